#!/usr/bin/env bash
# The Docker Engine that the tests run on. An engine that answers is used as it is and never touched;
# only where none does, a private one is started from the distribution's package.
set -euo pipefail

# shellcheck source=hack/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"

readonly PROG=hack/engine.sh
readonly ROOT=${DT_ENGINE_DIR:-/var/lib/docker-telemetry-engine}
readonly START_SECONDS=60
readonly STOP_SECONDS=90

# dockerd, ip and iptables live in sbin, which a user's PATH may lack.
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

NAME=
TCP=
PURGE=
SUITE=${ENGINE_SUITE:-}

usage() {
	cat <<'USAGE'
usage: hack/engine.sh COMMAND [--name NAME]

  ensure   nothing when an engine answers; else install what is missing and start a private one
  start    start a private engine [--tcp 127.0.0.1:PORT: answer there too]
  stop     stop a private engine [--purge: remove its images, containers and volumes as well]
  status   tell what runs; exit 0 when the private engine answers, 3 when it does not
  env      print `export DOCKER_HOST=...` when the private engine is the one to use, else nothing

  --name NAME     another private engine beside the first (default: that of --suite, else main)
  --suite SUITE   the engine of another Debian release (forky, trixie), which is not installed; on Debian machines

environment:
  ENGINE_SUITE    as --suite; that engine is the one to use then, whatever else answers
  DT_ENGINE_DIR   where private engines keep everything (default: /var/lib/docker-telemetry-engine)
  ENGINE=install  let `ensure` and `start` use sudo when not root
USAGE
}

say() { printf '%s: %s\n' "$PROG" "$*" >&2; }

die() {
	say "$1"
	[ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
	exit 1
}

# --- What is there ---------------------------------------------------------------------------------

# macOS has no timeout of its own.
limited() { if command -v timeout >/dev/null; then timeout 10 "$@"; else "$@"; fi; }

# An engine that hangs is no engine: without the timeout a dead TCP address blocks for minutes.
answers() { # [DOCKER_HOST]
	[ $# -eq 0 ] || local -x DOCKER_HOST=$1
	[ $# -eq 0 ] || local -x DOCKER_CONTEXT=
	limited docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

dir() { printf '%s/%s' "$ROOT" "$NAME"; }
host() { printf 'unix://%s/docker.sock' "$(dir)"; }

# A pid alone proves nothing after a reboot: it must be a dockerd that was started on our data folder.
private_pid() {
	local pid args
	pid=$(cat "$(dir)/dockerd.pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] || return 1
	args=$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null) || return 1
	[[ $(head -n 1 <<<"$args") == *dockerd ]] || return 1
	grep -qFx -- "--data-root=$(dir)/data" <<<"$args" || return 1
	printf '%s' "$pid"
}

# --- Install ---------------------------------------------------------------------------------------

debian_like() { grep -qsE '^(ID|ID_LIKE)=.*(debian|ubuntu)' /etc/os-release && command -v apt-get >/dev/null; }

need_root() {
	[ "$(id -u)" -ne 0 ] || return 0
	if [ "${ENGINE:-}" = install ] && command -v sudo >/dev/null; then
		exec sudo env DT_ENGINE_DIR="$ROOT" ENGINE_SUITE="$SUITE" DT_ENGINE_GROUP="$(id -gn)" bash "${BASH_SOURCE[0]}" "$@"
	fi
	die "no Docker Engine answers, and starting a private one needs root" \
		"start Docker, point DOCKER_HOST at an engine, or run with ENGINE=install to use sudo"
}

missing_packages() {
	command -v dockerd >/dev/null || printf 'docker.io '
	command -v ip >/dev/null || printf 'iproute2 '
	command -v iptables >/dev/null || printf 'iptables '
	# From Debian 13 on the client is a package of its own.
	command -v docker >/dev/null || { apt-cache show docker-cli >/dev/null 2>&1 && printf 'docker-cli '; } || true
}

install_packages() {
	local packages guard=/usr/sbin/policy-rc.d kept=
	apt-get update -q >/dev/null 2>&1 || true
	read -ra packages <<<"$(missing_packages)"
	[ ${#packages[@]} -gt 0 ] || return 0
	say "installing ${packages[*]}"

	# The package would start its own daemon on the usual socket. policy-rc.d 101 forbids that while
	# it is configured; what was there before comes back whatever happens.
	if [ -e "$guard" ]; then
		kept=$guard.docker-telemetry
		mv "$guard" "$kept"
	fi
	# shellcheck disable=SC2064 # the values of now are meant
	trap "rm -f '$guard'; [ -z '$kept' ] || mv '$kept' '$guard'" EXIT
	printf '#!/bin/sh\nexit 101\n' >"$guard"
	chmod 755 "$guard"

	local log status=0
	log=$(mktemp)
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}" >"$log" 2>&1 || status=$?
	if [[ " ${packages[*]} " == *" docker.io "* ]]; then
		# Not started now, and not at the next boot either.
		systemctl disable --quiet docker.service docker.socket containerd.service >/dev/null 2>&1 || true
		update-rc.d docker disable >/dev/null 2>&1 || true
	fi
	rm -f "$guard"
	[ -z "$kept" ] || mv "$kept" "$guard"
	trap - EXIT

	[ "$status" -eq 0 ] || { tail -n 20 "$log" >&2; rm -f "$log"; die "apt-get could not install ${packages[*]}"; }
	rm -f "$log"
}

# --- The engine of another Debian release ----------------------------------------------------------

# Nothing is installed: the packages' programs and C library lie in a folder of their own, and dockerd finds them
# there because it is first in PATH. No chroot, so paths of the host mean the same to this engine as to any other.
suite_dir() { printf '%s/.%s' "$ROOT" "$SUITE"; } # no engine's name starts with a dot

# Not `ld.so PROGRAM`: dockerd and runc start themselves again through /proc/self/exe. And a RPATH, not a RUNPATH:
# libraries of libraries come from here too.
bind_programs() { # WORK
	local loader program patch
	loader=$(cd "$1/lib" && echo ld-linux*.so.*)
	patch=("$1/tool/$loader" --library-path "$1/tool" "$1/tool/patchelf")
	"${patch[@]}" --version >/dev/null || die "patchelf of $SUITE does not run"
	for program in "$1"/bin/*; do
		# docker-init is static.
		"${patch[@]}" --print-interpreter "$program" >/dev/null 2>&1 || continue
		"${patch[@]}" --set-interpreter "$(suite_dir)/lib/$loader" --force-rpath --set-rpath "$(suite_dir)/lib" "$program"
	done
}

unpack_suite() {
	local work log deb file
	# Its version is of the day it was unpacked; removing the folder is the way to a newer one.
	[ ! -e "$(suite_dir)" ] || return 0
	debian_like || die "--suite needs apt, and this is not Debian or Ubuntu"
	say "unpacking the engine of Debian $SUITE"
	work=$(suite_dir).new
	log=$(suite_dir).log
	rm -rf "$work"
	mkdir -p "$work"/{bin,lib,tool,debs,files}
	suite_apt_conf "$work" "$SUITE" || die "apt has no Debian mirror here, and $SUITE comes from there"
	(
		cd "$work/debs" &&
			apt-get -c "$work/apt.conf" -q update &&
			apt-get -c "$work/apt.conf" -q download docker.io docker-cli containerd runc tini-static \
				libc6 libseccomp2 libsystemd0 patchelf libstdc++6 libgcc-s1
	) >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "the packages of $SUITE cannot be fetched"; }
	for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/files"; done
	for file in sbin/dockerd sbin/docker-proxy sbin/runc bin/docker bin/containerd bin/containerd-shim-runc-v2; do
		install -m 755 "$work/files/usr/$file" "$work/bin/"
	done
	install -m 755 "$work/files/usr/bin/tini-static" "$work/bin/docker-init"
	cp -L "$work"/files/usr/lib/*-linux-*/{ld-linux*.so.*,libc.so.6,libm.so.6,libresolv.so.2,libseccomp.so.2,libsystemd.so.0} "$work/lib/"
	cp -L "$work"/lib/* "$work"/files/usr/lib/*-linux-*/{libstdc++.so.6,libgcc_s.so.1} "$work/files/usr/bin/patchelf" "$work/tool/"
	bind_programs "$work"
	rm -rf "$work"/{tool,debs,files,state,cache,status,sources.list,apt.conf} "$log"
	mv "$work" "$(suite_dir)"
}

# --- Network ---------------------------------------------------------------------------------------

# One /16 an engine: its bridge is 10.N.0.0/24, the networks it creates come from 10.N.128.0/17.
# N is kept with the data, because stored networks keep their addresses.
pick_octet() {
	local file start octet i used
	file=$(dir)/octet
	if [ -s "$file" ]; then
		cat "$file"
		return
	fi
	used=$(ip -4 -o address; ip -4 route)
	start=$(($(printf '%s' "$NAME" | cksum | cut -d' ' -f1) % 150))
	for ((i = 0; i < 150; i++)); do
		octet=$((64 + (start + i) % 150))
		grep -qE "(^|[^0-9.])10\.$octet\." <<<"$used" && continue
		echo "$octet" | tee "$file"
		return
	done
	die "no free 10.x.0.0/16 for the engine's networks"
}

bridge() { printf 'dt-%s' "$NAME"; }

make_bridge() { # OCTET
	ip link show "$(bridge)" >/dev/null 2>&1 || ip link add "$(bridge)" type bridge
	ip address replace "10.$1.0.1/24" dev "$(bridge)"
	ip link set "$(bridge)" up
}

# dockerd empties the chains DOCKER* when it starts, so a second one takes the published ports and the network
# isolation of the first away. Ours keeps its rules in chains of its own: a wrapper that it finds before the
# real iptables renames them. Without iptables at all, `internal` networks would have a way out.
make_iptables() { # OCTET
	local real
	real=$(command -v iptables)
	mkdir -p "$(dir)/bin"
	cat >"$(dir)/bin/iptables" <<WRAPPER
#!/bin/sh
for arg; do
	shift
	case \$arg in
	DOCKER | DOCKER-*) arg=$(chain "$1")\${arg#DOCKER} ;;
	esac
	set -- "\$@" "\$arg"
done
exec $real "\$@"
WRAPPER
	chmod 755 "$(dir)/bin/iptables"
}

# A chain's name has at most 28 characters, and DOCKER-ISOLATION-STAGE-1 has 24 of them.
chain() { printf 'DT%s' "$1"; } # OCTET

# dockerd leaves its rules behind when it stops. Ours are those that name our chains, addresses or links.
remove_rules() { # OCTET
	local table ours name
	ours="$(chain "$1")( |-|\$)|[ /]10\\.$1\\.$(links "$1" | sed 's/.*/| & /' | tr -d '\n')"
	for table in raw nat filter; do
		# Rules first: a chain that is still jumped to cannot be deleted.
		iptables -w -t "$table" -S 2>/dev/null | grep -E "^-A .*($ours)" | sed 's/^-A/-D/' |
			xargs -r -L 1 iptables -w -t "$table" || true
		for name in $(iptables -w -t "$table" -S 2>/dev/null | awk -v own="^$(chain "$1")(-|\$)" '$1 == "-N" && $2 ~ own {print $2}'); do
			iptables -w -t "$table" -F "$name" || true
			iptables -w -t "$table" -X "$name" || true
		done
	done
}

# The engine's own bridge and those of the networks it made.
links() { # OCTET
	ip -4 -o address | awk -v net="^10\\.$1\\." '$4 ~ net {print $2}'
	# The bridges of the stack's internal networks have no address; the engine names them after the network.
	local store
	store=$(dir)/data/network/files/local-kv.db
	[ ! -f "$store" ] || { grep -aoE 'network/v1.0/network/[0-9a-f]{12}' "$store" || true; } | sed 's|.*/|br-|' | sort -u | while read -r link; do
		[ ! -e "/sys/class/net/$link" ] || echo "$link"
	done
}

remove_links() { # OCTET
	local link
	for link in $(links "$1"); do
		ip link delete "$link" 2>/dev/null || true
	done
}

# --- Start and stop --------------------------------------------------------------------------------

# What a dockerd that was killed left running: its containerd, the shims, and their children, which are the
# containers. All of them name our exec root in their arguments.
end_leftovers() {
	local cmdline pid children exec
	exec=$(dir)/exec/containerd
	for cmdline in /proc/[0-9]*/cmdline; do
		{ tr '\0' '\n' <"$cmdline"; } 2>/dev/null |
			grep -qFx -e "$exec/containerd.sock" -e "$exec/containerd.toml" || continue
		pid=${cmdline#/proc/}
		pid=${pid%/cmdline}
		children=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null) || true
		# shellcheck disable=SC2086 # a list of pids
		kill -KILL "$pid" $children 2>/dev/null || true
	done
}

# Deepest first: overlay mounts lie under the data folder, network namespaces under the exec root, and
# dockerd mounts the data folder onto itself.
unmount_all() {
	local target
	while read -r target; do
		umount "$target" 2>/dev/null || umount -l "$target" 2>/dev/null || true
	done < <(awk -v dir="$(dir)/" 'index($5, dir) == 1 {print $5}' /proc/self/mountinfo | sort -r)
}

dockerd_flags() { # OCTET
	printf '%s\n' \
		"--data-root=$(dir)/data" "--exec-root=$(dir)/exec" "--pidfile=$(dir)/dockerd.pid" \
		"--host=$(host)" "--config-file=$(dir)/daemon.json" \
		"--bridge=$(bridge)" "--default-address-pool=base=10.$1.128.0/17,size=24" \
		--ip6tables=false --shutdown-timeout=15 \
		"--containerd-namespace=dt-$NAME" "--containerd-plugins-namespace=dt-$NAME-plugins"
	[ -z "${DT_ENGINE_GROUP:-}" ] || printf '%s\n' "--group=$DT_ENGINE_GROUP"
	# Without TLS on purpose, and said so: newer engines refuse to guess. Loopback only, see parse().
	[ -z "$TCP" ] || printf '%s\n' "--host=tcp://$TCP" --tls=false
}

# Own session and no inherited descriptors: a make whose jobserver pipe stays open would wait for the
# daemon, and our own lock would never be free again.
run_detached() {
	local fd
	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		[ "$fd" -le 2 ] || exec {fd}>&-
	done
	exec setsid "$@" </dev/null
}

wait_for_answer() { # PID
	local deadline=$((SECONDS + START_SECONDS))
	until answers "$(host)"; do
		if ! kill -0 "$1" 2>/dev/null; then
			tail -n 20 "$(dir)/dockerd.log" >&2
			die "dockerd ended before it answered; its log is $(dir)/dockerd.log"
		fi
		if [ "$SECONDS" -ge "$deadline" ]; then
			tail -n 20 "$(dir)/dockerd.log" >&2
			die "dockerd did not answer within $START_SECONDS s; its log is $(dir)/dockerd.log"
		fi
		sleep 0.2
	done
}

# Two at once would remove each other's exec root.
lock() {
	mkdir -p "$ROOT"
	exec 9>"$ROOT/$NAME.lock"
	flock 9
}

start() {
	need_root "${COMMAND[@]}"
	lock
	if private_pid >/dev/null; then
		answers "$(host)" && return 0
		die "engine $NAME runs (pid $(private_pid)) but does not answer" "$PROG stop --name $NAME"
	fi
	if [ -n "$(missing_packages)" ]; then
		debian_like || die "no Docker Engine answers, and this is not Debian or Ubuntu: no private one can be installed" \
			"start Docker, or point DOCKER_HOST at an engine"
		install_packages
	fi
	if [ -n "$SUITE" ]; then
		(
			# Two engines of one suite share its folder.
			exec 8>"$(suite_dir).lock"
			flock 8
			unpack_suite
		)
		PATH=$(suite_dir)/bin:$PATH
	fi

	mkdir -p "$(dir)/data"
	end_leftovers
	unmount_all
	rm -rf "$(dir)/exec" "$(dir)/dockerd.pid" "$(dir)/docker.sock"
	# The machine's own /etc/docker/daemon.json is for the machine's own engine.
	echo '{}' >"$(dir)/daemon.json"

	local octet flags
	octet=$(pick_octet)
	mapfile -t flags < <(dockerd_flags "$octet")
	make_bridge "$octet"
	make_iptables "$octet"
	PATH=$(dir)/bin:$PATH run_detached dockerd "${flags[@]}" >"$(dir)/dockerd.log" 2>&1 &
	wait_for_answer $!
}

stop() {
	local pid octet deadline
	[ -d "$(dir)" ] || return 0
	[ "$(id -u)" -eq 0 ] || die "stopping engine $NAME needs root"
	lock
	if pid=$(private_pid); then
		kill -TERM "$pid"
		deadline=$((SECONDS + STOP_SECONDS))
		while kill -0 "$pid" 2>/dev/null; do
			if [ "$SECONDS" -ge "$deadline" ]; then
				tail -n 20 "$(dir)/dockerd.log" >&2
				die "dockerd (pid $pid) did not end within $STOP_SECONDS s; nothing was removed"
			fi
			sleep 0.2
		done
	fi
	end_leftovers
	unmount_all
	if [ -s "$(dir)/octet" ]; then
		octet=$(cat "$(dir)/octet")
		remove_rules "$octet"
		remove_links "$octet"
	fi
	rm -rf "$(dir)/exec" "$(dir)/docker.sock" "$(dir)/dockerd.pid"
	[ -z "$PURGE" ] || rm -rf --one-file-system "$(dir)"
}

ensure() {
	if answers "$(host)" || { [ -z "$SUITE" ] && answers; }; then
		return 0
	fi
	if [ "$(id -u)" -eq 0 ] || [ "${ENGINE:-}" = install ]; then
		if [ -n "$SUITE" ]; then
			say "starting the engine of Debian $SUITE in $(dir)"
		elif [ -z "$(missing_packages)" ]; then
			say "no engine answers; starting a private one in $(dir)"
		elif debian_like; then
			say "no engine answers; installing the distribution's and starting a private one in $(dir)"
		fi
	fi
	start
}

status() {
	local pid
	if pid=$(private_pid) && answers "$(host)"; then
		printf '%s: engine %s answers at %s (pid %s)\n' "$NAME" \
			"$(DOCKER_CONTEXT='' DOCKER_HOST=$(host) docker version --format '{{.Server.Version}}')" "$(host)" "$pid"
		return 0
	fi
	if [ "$NAME" = main ] && answers; then
		printf 'no private engine; engine %s answers at %s\n' \
			"$(docker version --format '{{.Server.Version}}')" "${DOCKER_HOST:-the current context}"
		return 3
	fi
	printf '%s: not running\n' "$NAME"
	return 3
}

print_env() {
	# A named engine is asked for by name; the first one only stands in where no other answers.
	if [ "$NAME" = main ] && answers; then
		return 0
	fi
	if private_pid >/dev/null || [ -S "$(dir)/docker.sock" ]; then
		! answers "$(host)" || printf 'export DOCKER_HOST=%s\n' "$(host)"
	fi
}

# --- Command line ----------------------------------------------------------------------------------

parse() {
	while [ $# -gt 0 ]; do
		case $1 in
		--name) NAME=${2:-}; shift ;;
		--tcp) TCP=${2:-}; shift ;;
		--suite) SUITE=${2:-}; shift ;;
		--purge) PURGE=1 ;;
		*) usage >&2; exit 2 ;;
		esac
		shift || { usage >&2; exit 2; }
	done
	NAME=${NAME:-${SUITE:-main}}
	# 15 characters is the kernel's limit for a link's name, and three are our prefix.
	[[ $NAME =~ ^[a-z0-9][a-z0-9-]{0,11}$ ]] || { say "\"$NAME\" is no name: 1 to 12 of a-z, 0-9 and -"; exit 2; }
	[ -z "$SUITE" ] || [[ $SUITE =~ ^[a-z]+$ ]] || { say "\"$SUITE\" is no Debian release"; exit 2; }
	# The API without TLS is root for whoever reaches it.
	[ -z "$TCP" ] || [[ $TCP =~ ^127\.[0-9.]+:[0-9]+$ ]] || { say "\"$TCP\" is not 127.x.x.x:PORT"; exit 2; }
	# A socket's path has room for 107 bytes, and containerd's lies deeper than ours.
	[ ${#ROOT} -le 60 ] || { say "DT_ENGINE_DIR is too long for socket paths (at most 60 bytes): $ROOT"; exit 2; }
}

[ $# -gt 0 ] || { usage >&2; exit 2; }
COMMAND=("$@")
verb=$1
shift
case $verb in
-h | --help | help) usage; exit 0 ;;
esac
parse "$@"
case $verb in
ensure) ensure ;;
start) start ;;
stop) stop ;;
status) status ;;
env) print_env ;;
*) usage >&2; exit 2 ;;
esac
