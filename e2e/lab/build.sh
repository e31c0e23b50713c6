#!/usr/bin/env bash
# Builds the lab's images: what the tests run on when no image registry is reachable. They carry the names and
# tags that stack/bundle/images.env pins, and behave like their originals where the stack can tell the difference:
# user, entry point, paths, and the tools that health checks use.
#
# real:      nginx, VictoriaMetrics, RabbitMQ, Valkey and its exporter (Debian packages), node-exporter, OpenTelemetry collector
#            (Go; of its receivers redis, rabbitmq and mongodb are stand-ins), the agent's journalctl, systemd-journal-remote
#            (writes the journals that tests read)
# stand-in:  Vector (agent, aggregator), OpenObserve, Grafana: the Go module in this folder; MongoDB: FerretDB, which speaks
#            its protocol and keeps the data, behind a proxy of ours
set -euo pipefail

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly LAB
readonly IMAGES_ENV=$LAB/../../stack/bundle/images.env
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/docker-telemetry-lab
readonly LABEL=io.github.docker-telemetry.lab
readonly SUITE=forky
readonly COMPONENTS=(nginx victoriametrics rabbitmq valkey valkey-exporter mongodb node-exporter otelcol agent aggregator openobserve grafana)
readonly BUSYBOX=docker-telemetry-lab/busybox:1
readonly JOURNAL=docker-telemetry-lab/journal:1
# The last of its line that needs no PostgreSQL.
readonly FERRETDB=1.24.2

# The classic builder is in every engine and needs no plugin; BuildKit can be asked for.
export DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0}
# debootstrap and chroot live in sbin.
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

ONLY=("${COMPONENTS[@]}" busybox journal)
FORCE=

usage() {
	cat <<USAGE
usage: e2e/lab/build.sh [--only KEY,KEY...] [--force]

  --only   build these only: ${COMPONENTS[*]} busybox journal
  --force  build again what has not changed, and replace upstream images that carry our tags

environment:
  LAB_MIRROR  the Debian mirror (default: the one that apt uses here)
USAGE
}

# Progress, also from inside jobs whose standard error is a log.
exec 8>&2
say() { printf '==> %s\n' "$*" >&8; }

die() {
	printf 'e2e/lab/build.sh: %s\n' "$1" >&2
	[ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
	exit 1
}

# --- Names, hashes, labels -------------------------------------------------------------------------

image_ref() { # KEY
	local variable line
	case $1 in
	base | curl) printf 'docker-telemetry-lab/%s:%s' "$1" "$SUITE"; return ;;
	busybox) printf '%s' "$BUSYBOX"; return ;;
	journal) printf '%s' "$JOURNAL"; return ;;
	esac
	variable=${1//-/_}
	line=$(grep -m 1 "^${variable^^}_IMAGE=" "$IMAGES_ENV") || die "$IMAGES_ENV pins no ${variable^^}_IMAGE"
	printf '%s' "${line#*=}"
}

# 1.2.3 of name:v1.2.3-variant
pinned_version() { # KEY
	local tag
	tag=$(image_ref "$1")
	tag=${tag##*:}
	tag=${tag#v}
	printf '%s' "${tag%%-*}"
}

# One question to the engine for each image; the answers stay in INFO.
load_info() { # REF
	[ -z "${INFO[$1]+known}" ] || return 0
	INFO[$1]=$(docker image inspect --format "$INFO_FORMAT" "$1" 2>/dev/null) || INFO[$1]=
}

# Of an image that load_info has seen; empty when there is none, or no such label.
info() { # REF id|lab|inputs|kind|version
	local id lab inputs kind version
	# shellcheck disable=SC2034 # read by name
	IFS='|' read -r id lab inputs kind version <<<"${INFO[$1]}"
	printf '%s' "${!2}"
}

hash_stdin() { sha256sum | cut -d' ' -f1; }

# Names, modes and contents; not who built it when.
hash_folder() { # DIR
	tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . | hash_stdin
}

# --- What the script needs -------------------------------------------------------------------------

# An image is found by its tag alone, so a lab image would silently take the place of one that was pulled.
refuse_upstream() { # REF
	[ -z "$FORCE" ] || return 0
	[ -n "${INFO[$1]}" ] || return 0
	[ "$(info "$1" lab)" = true ] || die "$1 is here already and not a lab image" \
		"run the tests on upstream images (IMAGES=upstream), or replace it with --force"
}

check_engine() {
	local arch
	arch=$(docker version --format '{{.Server.Os}}/{{.Server.Arch}}' 2>/dev/null) ||
		die "no Docker Engine answers" "run hack/engine.sh ensure, then eval what hack/engine.sh env prints"
	[ "$arch" = "linux/$(go env GOARCH)" ] || die "the engine is $arch and this machine is linux/$(go env GOARCH): no lab images for it"
}

need_debootstrap() {
	command -v debootstrap >/dev/null && return
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		die "debootstrap is missing" "install it, or run as root on Debian or Ubuntu"
	fi
	say "debootstrap: installing"
	{ apt-get -q update || true; apt-get -q install -y --no-install-recommends debootstrap debian-archive-keyring; } >"$WORK/apt.log" 2>&1 ||
		fail_with "$WORK/apt.log" "debootstrap could not be installed"
}

apt_mirror() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && !found {found = $2} END {print found}'
}

# The machine knows how it reaches Debian; nothing about it is written down here.
debian_mirror() {
	local mirror
	if [ -n "${LAB_MIRROR:-}" ]; then
		printf '%s' "$LAB_MIRROR"
		return
	fi
	mirror=$(apt_mirror)
	if [ -z "$mirror" ]; then
		# Labels come from downloaded lists.
		apt-get -q update >/dev/null 2>&1 || true
		mirror=$(apt_mirror)
	fi
	[ -n "$mirror" ] || die "apt has no Debian mirror here" "set LAB_MIRROR to one"
	printf '%s' "${mirror%/}"
}

# apt's proxy as the variables that wget, apt and docker build understand. Predefined build arguments leave no
# trace in the image.
use_apt_proxy() {
	local http https
	http=$(apt-config dump --format '%v%n' Acquire::http::Proxy 2>/dev/null | head -n 1) || true
	https=$(apt-config dump --format '%v%n' Acquire::https::Proxy 2>/dev/null | head -n 1) || true
	[ -z "$http" ] || [ "$http" = DIRECT ] || export http_proxy=$http
	[ -z "$https" ] || [ "$https" = DIRECT ] || export https_proxy=$https
}

fail_with() { # LOG MESSAGE
	tail -n 30 "$1" >&2
	die "$2"
}

# --- Go binaries -----------------------------------------------------------------------------------

# Cached by what they are made of; Go's own cache may be gone while ours is still there.
cached_binary() { # NAME KEY BUILD_FUNCTION
	local out=$CACHE/bin/$1
	if [ -x "$out" ] && [ "$(cat "$out.key" 2>/dev/null)" = "$2" ]; then
		return 0
	fi
	say "$1: compiling"
	"$3" "$out.new"
	mv "$out.new" "$out"
	printf '%s' "$2" >"$out.key"
}

compile_node_exporter() { # OUT
	local module=github.com/prometheus/node_exporter version
	version=$(pinned_version node-exporter)
	GOBIN=$WORK/gobin go install -trimpath \
		-ldflags "-s -w -X github.com/prometheus/common/version.Version=$version" "$module@v$version"
	mv "$WORK/gobin/node_exporter" "$1"
}

compile_otelcol() { # OUT
	local version
	version=$(pinned_version otelcol)
	grep -qx "  version: $version" "$LAB/otelcol/builder.yaml" ||
		{ echo "otelcol/builder.yaml is not for $version, which images.env pins"; return 1; }
	mkdir "$WORK/otelcol"
	(
		cd "$WORK/otelcol"
		go run "go.opentelemetry.io/collector/cmd/builder@v$version" \
			--config "$LAB/otelcol/builder.yaml" --skip-compilation --skip-get-modules
		cp -r "$LAB/otelcol/go.mod" "$LAB/otelcol/go.sum" "$LAB/otelcol/receivers" src/
		cd src
		# Prometheus' own tag: without its service discoveries there is no cloud vendor's SDK to compile.
		go build -trimpath -mod=readonly -tags remove_all_sd -ldflags='-s -w' -o "$1" .
	)
}

compile_ferretdb() { # OUT
	local source=$WORK/ferretdb
	# It refuses to start without the file that its own release makes, and a module's files must not be touched where they are.
	cp -r "$(go mod download -json "github.com/FerretDB/FerretDB@v$FERRETDB" | sed -nE 's/^\t"Dir": "(.*)",$/\1/p')" "$source"
	chmod -R u+w "$source"
	printf 'v%s' "$FERRETDB" >"$source/build/version/version.txt"
	go -C "$source" build -trimpath -mod=readonly -ldflags='-s -w' -o "$1" ./cmd/ferretdb
}

compile_lab() { # PACKAGE
	go -C "$LAB" build -trimpath -ldflags='-s -w' -o "$CACHE/bin/$1" "./$1"
}

compile() { # NAME TOOLCHAIN
	case $1 in
	node_exporter)
		cached_binary "$1" \
			"$({ echo "$2"; pinned_version node-exporter; declare -f compile_node_exporter; } | hash_stdin)" compile_node_exporter
		;;
	otelcol-contrib)
		cached_binary "$1" \
			"$({ echo "$2"; pinned_version otelcol; declare -f compile_otelcol; hash_folder "$LAB/otelcol"; } | hash_stdin)" compile_otelcol
		;;
	ferretdb)
		cached_binary "$1" "$({ echo "$2"; echo "$FERRETDB"; declare -f compile_ferretdb; } | hash_stdin)" compile_ferretdb
		;;
	*) compile_lab "$1" ;;
	esac
}

# Runs beside debootstrap and the packages: one job after the other, since each uses all cores.
# NAME.done or NAME.failed tells the other side.
compile_all() { # NAME...
	local name began toolchain
	export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -buildvcs=false"
	toolchain=$(go version)
	for name in "$@"; do
		began=$SECONDS
		# Not `if ( ... )`: bash ignores `set -e` inside a condition.
		compile "$name" "$toolchain" >"$WORK/$name.log" 2>&1 &
		if wait $!; then
			echo $((SECONDS - began)) >"$WORK/$name.done"
		else
			touch "$WORK/$name.failed"
		fi
	done
}

binaries_of() { # KEY
	case $1 in
	agent | aggregator) echo vector ;;
	openobserve | grafana) echo "$1" ;;
	mongodb) echo mongod mongotools ferretdb ;;
	node-exporter) echo node_exporter ;;
	otelcol) echo otelcol-contrib ;;
	esac
}

await_binary() { # NAME
	local waited=
	until [ -e "$WORK/$1.done" ]; do
		if [ -e "$WORK/$1.failed" ]; then
			fail_with "$WORK/$1.log" "$1 does not compile"
		fi
		kill -0 "$COMPILER" 2>/dev/null || [ -e "$WORK/$1.done" ] || [ -e "$WORK/$1.failed" ] || die "the compile job ended without $1"
		[ -n "$waited" ] || { waited=1; [ $SECONDS -lt 5 ] || say "$1: waiting for the compiler"; }
		sleep 0.2
	done
}

# --- Base ------------------------------------------------------------------------------------------

make_rootfs() { # OUT
	local root=$CACHE/rootfs scripts=$WORK/debootstrap mirror
	[ "$(id -u)" -eq 0 ] || die "debootstrap needs root"
	need_debootstrap
	mirror=$(debian_mirror)
	rm -rf --one-file-system "$root"
	# An older debootstrap does not know the suite by name; its script is the one of sid.
	cp -a /usr/share/debootstrap "$scripts"
	[ -e "$scripts/scripts/$SUITE" ] || ln -s sid "$scripts/scripts/$SUITE"
	DEBOOTSTRAP_DIR=$scripts debootstrap --variant=minbase --include=busybox-static,ca-certificates \
		"$SUITE" "$root" "$mirror" >"$WORK/debootstrap.log" 2>&1 ||
		fail_with "$WORK/debootstrap.log" "debootstrap failed"

	install -m 644 "$LAB/images/base/dpkg-lab.cfg" "$root/etc/dpkg/dpkg.cfg.d/lab"
	install -m 644 "$LAB/images/base/apt-lab.conf" "$root/etc/apt/apt.conf.d/90lab"
	install -m 755 "$LAB/images/base/lab-install" "$root/usr/local/sbin/lab-install"
	# No package may start a service while an image is built.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old \
		"$root"/var/log/* "$root"/usr/share/{doc,man,info,locale,lintian,bash-completion} "$root"/etc/{resolv.conf,hostname}
	tar -C "$root" --one-file-system --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' -cf "$1.new" .
	mv "$1.new" "$1"
	rm -rf --one-file-system "$root"
}

base_inputs() {
	{ image_ref base; go env GOARCH; declare -f make_rootfs; hash_folder "$LAB/images/base"; } | hash_stdin
}

# The tarball outlives the engine: a second engine gets its base from it in seconds.
base_tar() {
	local tar
	tar=$CACHE/base-$(base_inputs).tar
	if [ ! -e "$tar" ]; then
		say "base: Debian $SUITE"
		rm -f "$CACHE"/base-*.tar
		make_rootfs "$tar"
	fi
	BASE_TAR=$tar
}

build_base() {
	local ref inputs began=$SECONDS
	ref=$(image_ref base)
	inputs=$(base_inputs)
	load_info "$ref"
	if is_current "$ref" "$inputs"; then
		report base "$ref" cached
		return
	fi
	base_tar
	docker import -c "LABEL $LABEL=true" -c "LABEL $LABEL.kind=real" -c "LABEL $LABEL.inputs=$inputs" \
		-c "LABEL $LABEL.version=\"Debian $SUITE\"" -c 'CMD ["bash"]' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
		"$BASE_TAR" "$ref" >/dev/null
	report base "$ref" $((SECONDS - began))
}

# --- Images ----------------------------------------------------------------------------------------

is_current() { # REF INPUTS
	[ -z "$FORCE" ] && [ "$(info "$1" inputs)" = "$2" ]
}

row() { printf '%-50s %-9s %-34s %s\n' "$@"; }

report() { # KEY REF SECONDS|cached
	BUILT[$1]=1
	[ "$3" = cached ] || unset "INFO[$2]"
	load_info "$2"
	ROWS+=("$(row "$2" "$(info "$2" kind)" "$(info "$2" version)" "$3")")
}

# Debian's file, out of the rootfs that is there anyway.
from_rootfs() { # PATH OUT
	base_tar
	tar -xOf "$BASE_TAR" "./$1" >"$2"
}

busybox_rootfs() { # DIR
	mkdir -p "$1"/{bin,sbin,usr/bin,usr/sbin,etc,root,tmp,var/tmp,var/lib,home,dev,proc,sys,run}
	chmod 1777 "$1/tmp" "$1/var/tmp"
	from_rootfs usr/bin/busybox "$1/bin/busybox"
	chmod 755 "$1/bin/busybox"
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$1/etc/passwd"
	printf 'root:x:0:\nnobody:x:65534:\n' >"$1/etc/group"
}

# Everything the Dockerfile copies, so that the folder's hash is the hash of the inputs.
make_context() { # KEY DIR
	local binary
	cp -a "$LAB/images/$1" "$2"
	case $1 in
	busybox) busybox_rootfs "$2/rootfs" ;;
	aggregator | otelcol) from_rootfs etc/ssl/certs/ca-certificates.crt "$2/ca-certificates.crt" ;;
	esac
	for binary in $(binaries_of "$1"); do
		await_binary "$binary"
		cp "$CACHE/bin/$binary" "$2/"
	done
}

image_kind() { # KEY
	case $1 in
	agent | aggregator | openobserve | grafana | mongodb) echo stand-in ;;
	*) echo real ;;
	esac
}

package_version() { # IMAGE PACKAGE
	# shellcheck disable=SC2016 # dpkg-query's own variable
	printf '%s %s' "$2" "$(docker run --rm --network none --entrypoint dpkg-query "$1" -W -f '${Version}' "$2")"
}

# What really runs, which is not always what the tag says.
image_version() { # KEY IMAGE
	case $1 in
	nginx | curl) package_version "$2" "$1" ;;
	victoriametrics) package_version "$2" victoria-metrics ;;
	rabbitmq | valkey) package_version "$2" "$1-server" ;;
	journal) package_version "$2" systemd-journal-remote ;;
	valkey-exporter) package_version "$2" prometheus-redis-exporter ;;
	busybox) docker run --rm --network none "$2" busybox | sed -nE '1s/^BusyBox v([^ ]+).*/busybox \1/p' ;;
	node-exporter) printf 'node_exporter %s' "$(pinned_version "$1")" ;;
	otelcol) printf 'otelcol-contrib %s' "$(pinned_version "$1")" ;;
	*) printf 'stand-in for %s' "$(image_ref "$1" | sed 's/.*://')" ;;
	esac
}

parent_of() { # DOCKERFILE
	sed -nE 's,^FROM docker-telemetry-lab/([a-z]+):.*,\1,p' "$1"
}

build_image() { # KEY
	local key=$1 ref parent inputs context log old version began=$SECONDS
	[ -z "${BUILT[$key]:-}" ] || return 0
	if [ "$key" = base ]; then
		build_base
		return
	fi
	ref=$(image_ref "$key")
	load_info "$ref"
	refuse_upstream "$ref"
	parent=$(parent_of "$LAB/images/$key/Dockerfile")
	[ -z "$parent" ] || build_image "$parent"
	began=$SECONDS

	context=$WORK/context-$key
	make_context "$key" "$context"
	inputs=$({ echo "$ref"; hash_folder "$context"; [ -z "$parent" ] || info "$(image_ref "$parent")" inputs; } | hash_stdin)
	if is_current "$ref" "$inputs"; then
		report "$key" "$ref" cached
		return
	fi

	say "$key: building $ref"
	log=$WORK/$key.build.log
	old=$(info "$ref" id)
	# --network host: on a machine where containers cannot reach out, the host still does.
	docker build --network host --tag "$TEMPORARY:$key" ${FORCE:+--no-cache} \
		${http_proxy:+--build-arg http_proxy} ${https_proxy:+--build-arg https_proxy} "$context" >"$log" 2>&1 ||
		fail_with "$log" "$key: docker build failed"
	version=$(image_version "$key" "$TEMPORARY:$key")
	[ -n "$version" ] || die "$key: the image does not tell its version"
	docker build --tag "$ref" --label "$LABEL=true" --label "$LABEL.kind=$(image_kind "$key")" \
		--label "$LABEL.version=$version" --label "$LABEL.inputs=$inputs" - <<<"FROM $TEMPORARY:$key" >"$log" 2>&1 ||
		fail_with "$log" "$key: labelling failed"
	docker rmi "$TEMPORARY:$key" >/dev/null
	# Only when nobody else has given it a name. It fails while a container still runs on it, which is fine.
	if [ -n "$old" ] && [ "$(docker image inspect --format '{{len .RepoTags}}' "$old" 2>/dev/null)" = 0 ]; then
		docker rmi "$old" >/dev/null 2>&1 || true
	fi
	rm -rf "$context"
	report "$key" "$ref" $((SECONDS - began))
}

# --- Main ------------------------------------------------------------------------------------------

parse() {
	local key
	while [ $# -gt 0 ]; do
		case $1 in
		--only)
			[ $# -gt 1 ] || { usage >&2; exit 2; }
			IFS=, read -ra ONLY <<<"$2"
			shift
			;;
		--force) FORCE=1 ;;
		-h | --help) usage; exit 0 ;;
		*) usage >&2; exit 2 ;;
		esac
		shift
	done
	for key in "${ONLY[@]}"; do
		[[ " ${COMPONENTS[*]} busybox journal " == *" $key "* ]] || { usage >&2; die "\"$key\" is no component of the lab"; }
	done
}

clean_up() {
	[ -z "${COMPILER:-}" ] || kill -- "-$COMPILER" 2>/dev/null || true
	rm -rf --one-file-system "$WORK"
}

main() {
	local key name names=()
	parse "$@"
	command -v go >/dev/null || die "go is missing"
	command -v docker >/dev/null || die "the docker command is missing"
	check_engine
	mkdir -p "$CACHE/bin"
	exec 9>"$CACHE/lock"
	flock -n 9 || { say "waiting for another build"; flock 9; }
	use_apt_proxy

	for key in "${ONLY[@]}"; do
		for name in $(binaries_of "$key"); do
			[[ " ${names[*]:-} " == *" $name "* ]] || names+=("$name")
		done
	done
	# A group of its own, so that an interrupted build ends its compilers too.
	set -m
	compile_all "${names[@]}" 9>&- &
	COMPILER=$!
	set +m

	for key in "${ONLY[@]}"; do
		build_image "$key"
	done
	row IMAGE KIND VERSION SECONDS
	printf '%s\n' "${ROWS[@]}"
}

INFO_FORMAT="{{.Id}}"
# `with`, because an image without labels has none to index.
for label in "" .inputs .kind .version; do
	INFO_FORMAT+="|{{with .Config}}{{with .Labels}}{{index . \"$LABEL$label\"}}{{end}}{{end}}"
done
readonly INFO_FORMAT
declare -A INFO=() BUILT=()
ROWS=()
COMPILER=
BASE_TAR=
WORK=$(mktemp -d "${TMPDIR:-/tmp}/docker-telemetry-lab.XXXXXX")
readonly WORK
readonly TEMPORARY=docker-telemetry-lab/unlabelled
trap clean_up EXIT
main "$@"
