#!/bin/sh
# Installs the plugin behind `docker telemetry` for this user. The body is one function, called on the last line:
# a download that stops half way runs nothing.
set -eu

REPO=docker-telemetry/docker-telemetry
MODULE=github.com/$REPO
NAME=docker-telemetry
STACK_LABEL=io.github.docker-telemetry.stack

usage() {
	cat <<'USAGE'
usage: install.sh [--release | --source] [--version VERSION]
       install.sh --uninstall [--purge]

Installs the plugin behind `docker telemetry` into ${DOCKER_CONFIG:-~/.docker}/cli-plugins. Running it again replaces it.
In a checkout it is built from source; elsewhere the latest release is downloaded and its checksum compared.

  --release           download, in a checkout too
  --source            build from source, or fail
  --version VERSION   this release, for example 1.2.0
  --uninstall         remove what this script made; state and data stay
  --purge             with --uninstall: remove credentials, certificates and profiles as well
  --help              show this

environment:
  DOCKER_CONFIG            the Docker client's folder (default: ~/.docker)
  DOCKER_TELEMETRY_URL     where releases are, https:// or file:// (default: this project's GitHub releases)
USAGE
}

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }

die() { # MESSAGE [HINT [EXIT CODE]]
	printf 'error: %s\n' "$1" >&2
	[ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
	exit "${3:-1}"
}

have() { command -v "$1" >/dev/null 2>&1; }

# --- Where things are ------------------------------------------------------------------------------

# The same rule as internal/state: XDG where it is set to an absolute path, else what the system does.
folder_of() { # XDG VALUE, FALLBACK
	case $1 in
	/*) printf '%s/%s' "$1" "$NAME" ;;
	*) printf '%s' "$2" ;;
	esac
}

state_dir() {
	if [ "$(uname -s)" = Darwin ]; then
		folder_of "${XDG_STATE_HOME:-}" "$HOME/Library/Application Support/$NAME/state"
	else
		folder_of "${XDG_STATE_HOME:-}" "$HOME/.local/state/$NAME"
	fi
}

config_dir() {
	if [ "$(uname -s)" = Darwin ]; then
		folder_of "${XDG_CONFIG_HOME:-}" "$HOME/Library/Application Support/$NAME"
	else
		folder_of "${XDG_CONFIG_HOME:-}" "$HOME/.config/$NAME"
	fi
}

# The folder of this script when it is this project's checkout, else nothing. A script that comes through a pipe has no
# folder: $0 is then the shell's name, and the current folder says nothing.
checkout() {
	[ -f "$0" ] || return 0
	dir=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
	if [ "$(sed -n 's/^module //p' "$dir/go.mod" 2>/dev/null)" = "$MODULE" ]; then
		printf '%s' "$dir"
	fi
}

# --- Get the program -------------------------------------------------------------------------------

build() { # CHECKOUT OUTPUT
	have go || die "go is not installed, and a checkout is built from source" \
		"install Go from https://go.dev/dl, or take a release: install.sh --release"
	version=$(git -C "$1" describe --tags --match 'v*' --dirty 2>/dev/null | sed 's/^v//') || version=
	commit=$(git -C "$1" rev-parse --short HEAD 2>/dev/null) || commit=
	flags="-s -w -X $MODULE/internal/version.Commit=$commit"
	[ -z "$version" ] || flags="$flags -X $MODULE/internal/version.Version=$version"
	# In its own shell: the working folder of this one stays.
	(cd "$1" && CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$2" ./cmd/docker-telemetry) ||
		die "the build failed" "see the messages above; the Go version that is needed is in $1/go.mod"
}

platform() {
	case $(uname -s) in
	Linux) os=linux ;;
	Darwin) os=darwin ;;
	*) die "there is no release for $(uname -s) that this script can install" \
		"take the archive from https://github.com/$REPO/releases" ;;
	esac
	case $(uname -m) in
	x86_64 | amd64) arch=amd64 ;;
	aarch64 | arm64) arch=arm64 ;;
	*) die "there is no release for $(uname -m)" "build from source: git clone https://$MODULE && $NAME/install.sh" ;;
	esac
	printf '%s_%s' "$os" "$arch"
}

fetch() { # URL OUTPUT
	# A redirect must not lead out of TLS, even from file://. curl's last line is the cause, without its retries.
	curl --fail --silent --show-error --location --proto '=https,file' --proto-redir '=https' --tlsv1.2 \
		--connect-timeout 20 --retry 2 --output "$2" "$1" 2>"$2.err" ||
		die "could not download $1: $(tail -n 1 "$2.err" | sed 's/^curl: ([0-9]*) //')" "is there such a release, and is the network up?"
}

sha256() { # FILE
	if have sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

download() { # VERSION WORK OUTPUT
	have curl || die "curl is not installed" "install curl, or build from source in a checkout"
	have tar || die "tar is not installed" "install tar, or build from source in a checkout"
	have sha256sum || have shasum || die "neither sha256sum nor shasum is installed, so a download cannot be checked" \
		"install one of them, or build from source in a checkout"
	base=${DOCKER_TELEMETRY_URL:-https://github.com/$REPO/releases}
	if [ -n "$1" ]; then
		base=$base/download/v${1#v}
	else
		base=$base/latest/download
	fi
	platform=$(platform)
	archive=${NAME}_$platform.tar.gz
	fetch "$base/checksums.txt" "$2/checksums.txt"
	fetch "$base/$archive" "$2/$archive"
	want=$(awk -v file="$archive" '$2 == file || $2 == "*" file { print $1 }' "$2/checksums.txt")
	[ -n "$want" ] || die "checksums.txt of this release does not name $archive" "nothing was installed; see https://github.com/$REPO/releases"
	got=$(sha256 "$2/$archive")
	[ "$got" = "$want" ] || die "the checksum of $archive is $got, the release says $want" \
		"nothing was installed; download again, and report it if it stays so"
	tar -xzf "$2/$archive" -C "$2" "$NAME" 2>/dev/null ||
		die "$archive does not hold $NAME" "nothing was installed; report it: https://github.com/$REPO/issues"
	mv -f "$2/$NAME" "$3"
}

# --- Install ---------------------------------------------------------------------------------------

install_plugin() { # FOLDER HOW VERSION
	dir=$1
	source=
	[ "$2" = release ] || source=$(checkout)
	if [ "$2" = source ] && [ -z "$source" ]; then
		die "this is no checkout of $MODULE, so there is nothing to build" "git clone https://$MODULE"
	fi
	if [ -n "$3" ]; then
		[ "$2" != source ] || die "--version is for releases" "git checkout v${3#v}, then install.sh --source" 2
		source=
	fi
	target=$dir/$NAME
	# mv would put the program into it.
	[ ! -d "$target" ] || die "$target is a folder" "remove it, then run this again"
	made=
	[ -d "$dir" ] || made=$dir
	mkdir -p "$dir" 2>/dev/null || die "cannot make $dir" "is it yours? or name another: DOCKER_CONFIG=..."
	# Beside the target, so that the last step is a rename: a running plugin keeps its file, and no one sees half of one.
	# The Docker CLI takes only files named docker-*, so this is none until then.
	work=$(mktemp -d "$dir/.$NAME.XXXXXX" 2>/dev/null) || die "cannot write to $dir" "is it yours? or name another: DOCKER_CONFIG=..."
	# rmdir takes empty folders only: after a failure those that this run made, after a success none.
	trap 'rm -rf "$work"; [ -z "$made" ] || rmdir "$made" "${made%/*}" 2>/dev/null || :' EXIT
	trap 'exit 130' INT TERM HUP
	if [ -n "$source" ]; then
		build "$source" "$work/new"
	else
		download "$3" "$work" "$work/new"
	fi
	chmod 755 "$work/new"
	"$work/new" docker-cli-plugin-metadata >"$work/metadata" 2>/dev/null ||
		die "the program does not run on this machine" "nothing was replaced"
	mv -f "$work/new" "$target"
	version=$(sed -n 's/.*"Version": *"\([^"]*\)".*/\1/p' "$work/metadata")
	say "installed $target ($version)"
	have docker || warn "docker is not installed; the plugin also runs by itself: $target up"
	say "next: docker telemetry up"
}

# --- Uninstall -------------------------------------------------------------------------------------

# An engine that hangs must not hang this.
stacks_on_engine() {
	have docker || return 0
	for list in 'ps --all' 'volume ls'; do
		# shellcheck disable=SC2086 # two words on purpose
		${timeout:-} docker $list --filter "label=$STACK_LABEL" --format "{{.Label \"$STACK_LABEL\"}}" 2>/dev/null || true
	done | grep -E '^[a-z0-9][a-z0-9_-]*$' | sort -u || true
}

remove() { # PATH
	if [ -e "$1" ] || [ -L "$1" ]; then
		rm -rf -- "$1" || die "cannot remove $1" "is it yours?"
		say "removed $1"
	fi
}

# Only where nothing else is in it.
remove_if_empty() { # FOLDER
	if rmdir -- "$1" 2>/dev/null; then say "removed $1 (it was empty)"; fi
}

uninstall_plugin() { # FOLDER PURGE
	timeout=
	! have timeout || timeout='timeout 10'
	for stack in $(stacks_on_engine); do
		warn "stack \"$stack\" is still on the engine; remove it with its data: docker compose -p $stack down --volumes"
		[ -z "$2" ] || warn "its credentials go now: its data opens no more"
	done
	remove "$1/$NAME"
	# What an interrupted run left behind.
	for left in "$1/.$NAME".??????; do remove "$left"; done
	remove_if_empty "$1"
	remove_if_empty "$(dirname -- "$1")"
	state=$(state_dir)
	config=$(config_dir)
	for folder in "$state" "$config"; do
		if [ -n "$2" ]; then
			remove "$folder"
		elif [ -e "$folder" ]; then
			say "kept $folder (--purge removes it)"
		fi
	done
}

# --- Command line ----------------------------------------------------------------------------------

main() {
	how='' version='' uninstall='' purge=''
	while [ $# -gt 0 ]; do
		case $1 in
		--release) how=release ;;
		--source) how=source ;;
		--version)
			[ -n "${2:-}" ] || die "--version needs one, for example 1.2.0" "install.sh --help" 2
			version=$2
			shift
			;;
		--version=?*) version=${1#--version=} ;;
		--uninstall) uninstall=1 ;;
		--purge) purge=1 ;;
		-h | --help)
			usage
			exit 0
			;;
		*) die "unknown option \"$1\"" "install.sh --help" 2 ;;
		esac
		shift
	done
	case $version in
	*[!0-9A-Za-z.+-]*) die "\"$version\" is no version" "for example 1.2.0" 2 ;;
	esac
	[ -z "$purge" ] || [ -n "$uninstall" ] || die "--purge goes with --uninstall" "install.sh --uninstall --purge" 2
	[ -n "${HOME:-}" ] || die "HOME is not set, so there is no place to install to" "HOME=/your/home install.sh"
	plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
	# go build runs in another folder.
	case $plugins in
	/*) ;;
	*) plugins=$PWD/$plugins ;;
	esac
	if [ -n "$uninstall" ]; then
		uninstall_plugin "$plugins" "$purge"
	else
		install_plugin "$plugins" "$how" "$version"
	fi
}

main "$@"
