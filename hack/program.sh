# shellcheck shell=bash
# Sourced: a program of a Debian release for tests and measurements, without an engine and without being installed.

# shellcheck source=hack/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"

# program_path PROG VARIABLE SUITE BINARY PACKAGE...
#
# Prints the path of a program: the one that VARIABLE of the environment names, else usr/bin/BINARY of the packages, unpacked once
# beside the lab's cache. PROG is the script that people know it by.
program_path() {
	local prog=$1 variable=$2 suite=$3 binary=$4
	shift 4
	local dir=${XDG_CACHE_HOME:-$HOME/.cache}/docker-telemetry-lab/${prog##*/}
	dir=${dir%.sh}-$suite
	if [ -z "${!variable:-}" ] && [ ! -e "$dir" ]; then
		mkdir -p "$(dirname "$dir")"
		(
			exec 9>"$dir.lock"
			flock 9
			[ -e "$dir" ] || program_unpack "$prog" "$variable" "$suite" "$binary" "$dir" "$@"
		) || return 1
	fi
	printf '%s\n' "${!variable:-$dir/$binary}"
}

program_failed() { # PROG VARIABLE BINARY WHAT
	printf '%s: %s\nhint: name one yourself: %s=/path/to/%s\n' "$1" "$4" "$2" "$3" >&2
	return 1
}

program_unpack() { # PROG VARIABLE SUITE BINARY DIR PACKAGE...
	local prog=$1 variable=$2 suite=$3 binary=$4 dir=$5 work=$5.new log=$5.log deb
	shift 5
	command -v apt-get >/dev/null ||
		program_failed "$prog" "$variable" "$binary" "the package needs apt, and this is not Debian or Ubuntu" || return 1
	printf '%s: unpacking that of Debian %s\n' "$prog" "$suite" >&2
	rm -rf "$work"
	mkdir -p "$work"/{lib,debs,files}
	suite_apt_conf "$work" "$suite" ||
		program_failed "$prog" "$variable" "$binary" "apt has no Debian mirror here" || return 1
	(
		cd "$work/debs" &&
			apt-get -c "$work/apt.conf" -q update &&
			apt-get -c "$work/apt.conf" -q download "$@" libc6
	) >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		program_failed "$prog" "$variable" "$binary" "the packages of $suite cannot be fetched" || return 1
	}
	for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/files" || return 1; done
	install -m 755 "$work/files/usr/bin/$binary" "$work/lib/" || return 1
	cp -L "$work"/files/usr/lib/*-linux-*/*.so.[0-9]* "$work/lib/" || return 1
	program_wrap "$work" "$dir" "$binary" || return 1
	rm -rf "$work"/{debs,files,state,cache,status,sources.list,apt.conf} "$log"
	mv "$work" "$dir"
}

# An older machine lacks the C library that the package was linked with, so the package's own goes with it.
program_wrap() { # WORK DIR BINARY
	local loader
	loader=$(cd "$1/lib" && echo ld-linux*.so.*)
	cat >"$1/$3" <<WRAPPER
#!/bin/sh
exec '$2/lib/$loader' --library-path '$2/lib' '$2/lib/$3' "\$@"
WRAPPER
	chmod 755 "$1/$3"
}
