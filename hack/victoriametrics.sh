#!/usr/bin/env bash
# Prints the path of a VictoriaMetrics for tests and measurements: the one that VICTORIAMETRICS names, else that of the Debian
# release the lab is made of, unpacked once beside the lab's cache. It is the program of the lab's image, without an engine.
set -euo pipefail

# shellcheck source=hack/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"

readonly PROG=hack/victoriametrics.sh
readonly SUITE=forky
readonly DIR=${XDG_CACHE_HOME:-$HOME/.cache}/docker-telemetry-lab/victoriametrics-$SUITE

die() {
	printf '%s: %s\nhint: name a VictoriaMetrics yourself: VICTORIAMETRICS=/path/to/victoria-metrics-prod\n' "$PROG" "$1" >&2
	exit 1
}

# An older machine lacks the C library that the package was linked with, so the package's own goes with it.
wrap() { # WORK
	local loader
	loader=$(cd "$1/lib" && echo ld-linux*.so.*)
	cat >"$1/victoria-metrics" <<WRAPPER
#!/bin/sh
exec '$DIR/lib/$loader' --library-path '$DIR/lib' '$DIR/lib/victoria-metrics' "\$@"
WRAPPER
	chmod 755 "$1/victoria-metrics"
}

unpack() {
	local work=$DIR.new log=$DIR.log deb
	command -v apt-get >/dev/null || die "the package needs apt, and this is not Debian or Ubuntu"
	printf '%s: unpacking that of Debian %s\n' "$PROG" "$SUITE" >&2
	rm -rf "$work"
	mkdir -p "$work"/{lib,debs,files}
	suite_apt_conf "$work" "$SUITE" || die "apt has no Debian mirror here"
	(
		cd "$work/debs" &&
			apt-get -c "$work/apt.conf" -q update &&
			apt-get -c "$work/apt.conf" -q download victoria-metrics libc6 libzstd1
	) >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "the packages of $SUITE cannot be fetched"; }
	for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/files"; done
	install -m 755 "$work/files/usr/bin/victoria-metrics" "$work/lib/"
	cp -L "$work"/files/usr/lib/*-linux-*/{ld-linux*.so.*,libc.so.6,libzstd.so.1} "$work/lib/"
	wrap "$work"
	rm -rf "$work"/{debs,files,state,cache,status,sources.list,apt.conf} "$log"
	mv "$work" "$DIR"
}

if [ -z "${VICTORIAMETRICS:-}" ] && [ ! -e "$DIR" ]; then
	mkdir -p "$(dirname "$DIR")"
	(
		exec 9>"$DIR.lock"
		flock 9
		[ -e "$DIR" ] || unpack
	)
fi
printf '%s\n' "${VICTORIAMETRICS:-$DIR/victoria-metrics}"
