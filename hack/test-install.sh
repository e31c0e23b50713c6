#!/usr/bin/env bash
# Installs, re-installs, refuses and uninstalls in a throw-away home. Needs Go; touches nothing outside the temporary folder.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The home changes below; Go's caches and settings stay where they are.
for name in GOCACHE GOMODCACHE GOPATH GOENV; do
	export "$name=$(go env "$name")"
done
unset XDG_STATE_HOME XDG_CONFIG_HOME DOCKER_CONFIG DOCKER_HOST DOCKER_CONTEXT

passed=0
failed=0
ok() { passed=$((passed + 1)) && printf 'ok    %s\n' "$1"; }
bad() {
	failed=$((failed + 1))
	printf 'FAIL  %s\n' "$1"
	sed 's/^/      | /' "$work/out"
}
check() { # WHAT COMMAND...
	local what=$1
	shift
	if "$@" >>"$work/out" 2>&1; then ok "$what"; else bad "$what"; fi
}

# Runs a command in the home of the case; its output is in $work/out, its exit code in $code.
code=0
run() {
	code=0
	(cd "$work" && HOME=$home PATH=$work/path:$PATH "$@") >"$work/out" 2>&1 </dev/null || code=$?
}
new_home() {
	home=$work/home
	rm -rf "$home"
	mkdir "$home"
	plugins=$home/.docker/cli-plugins
	plugin=$plugins/docker-telemetry
}
code_is() { [ "$code" -eq "$1" ]; }
# What a refusal prints: its one line, a hint, and nothing of curl or tar.
one_error() { [ "$(cut -d: -f1 "$work/out" | tr '\n' ' ')" = 'error hint ' ]; }
said() { grep -qF -- "$1" "$work/out"; }
# What is in the home besides the counters that `go` itself writes into it.
home_holds() { [ "$(cd "$home" && find . -type f ! -path '*/go/telemetry/*' | sort | tr '\n' ' ')" = "$1" ]; }

# A Docker client that knows of the stacks in $work/stacks, so that no real engine is asked.
mkdir "$work/path"
: >"$work/stacks"
printf '#!/bin/sh\ncat "%s"\n' "$work/stacks" >"$work/path/docker"
chmod 755 "$work/path/docker"

# A release: a program that answers like the plugin, and its checksum.
os=$(uname -s | tr '[:upper:]' '[:lower:]')
case $(uname -m) in x86_64 | amd64) arch=amd64 ;; *) arch=arm64 ;; esac
archive=docker-telemetry_${os}_$arch.tar.gz
sum() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi; }
release() { # VERSION FOLDER
	mkdir -p "$2"
	cat >"$2/docker-telemetry" <<PROGRAM
#!/bin/sh
echo '{"SchemaVersion": "0.1.0", "Vendor": "test", "Version": "$1"}'
PROGRAM
	chmod 755 "$2/docker-telemetry"
	(cd "$2" && tar -czf "$archive" docker-telemetry && rm docker-telemetry && sum "$archive" >checksums.txt)
}
releases=$work/releases
release 1.2.3 "$releases/latest/download"
release 1.0.0 "$releases/download/v1.0.0"
export DOCKER_TELEMETRY_URL=file://$releases

echo '# from source'
new_home
run "$root/install.sh"
check 'installs from a checkout' code_is 0
check 'says where' said "installed $plugin"
check 'the Docker CLI would take it' grep -q '"SchemaVersion": "0.1.0"' <("$plugin" docker-cli-plugin-metadata)
check 'nothing else is made' home_holds './.docker/cli-plugins/docker-telemetry '
run "$root/install.sh"
check 'installs again' code_is 0
check 'and makes nothing more' home_holds './.docker/cli-plugins/docker-telemetry '
run env DOCKER_CONFIG="$home/other folder" "$root/install.sh"
check 'follows DOCKER_CONFIG' test -x "$home/other folder/cli-plugins/docker-telemetry"
run env DOCKER_CONFIG="$home/other folder" "$root/install.sh" --uninstall
check 'uninstalls from DOCKER_CONFIG' test ! -e "$home/other folder"
run env DOCKER_CONFIG=relative "$root/install.sh"
check 'a relative DOCKER_CONFIG is below the current folder' test -x "$work/relative/cli-plugins/docker-telemetry"
run "$root/install.sh" --uninstall
check 'uninstalls' code_is 0
check 'names what it removed' said "removed $plugin"
check 'leaves nothing' home_holds ''
check 'not even its folders' test ! -e "$home/.docker"
run "$root/install.sh" --uninstall
check 'uninstalls when there is nothing' code_is 0

echo '# from a release'
new_home
run sh <"$root/install.sh"
run sh -c "sh <'$root/install.sh'"
check 'installs through a pipe' code_is 0
check 'the latest release' said '(1.2.3)'
check 'nothing else is made' home_holds './.docker/cli-plugins/docker-telemetry '
run sh -c "cd '$root' && sh <'$root/install.sh'"
check 'through a pipe the current folder is no checkout' said '(1.2.3)'
run "$root/install.sh" --version 1.0.0
check 'installs the version asked for' said '(1.0.0)'
run "$root/install.sh" --version v1.0.0
check 'with a v as well' said '(1.0.0)'
run "$root/install.sh" --version 9.9.9
check 'a release that is not there is refused' code_is 1
run "$root/install.sh" --version '1/../..'
check 'a version is no path' code_is 2

echo '# refusals leave the installed one as it is, and where there is none, nothing'
before=$(sum "$plugin")
unchanged() { [ "$(sum "$plugin")" = "$before" ] && home_holds './.docker/cli-plugins/docker-telemetry '; }
latest=$releases/latest/download
# A release that is broken in one way is refused with one line; the next one is whole again.
refuses() { # WHAT MESSAGE
	run "$root/install.sh" --release
	check "$1: exit code 1" code_is 1
	check "$1: said" said "$2"
	check "$1: in one line" one_error
	check "$1: unchanged" unchanged
	run env DOCKER_CONFIG="$home/fresh" "$root/install.sh" --release
	check "$1: nothing is made" test ! -e "$home/fresh"
	rm -rf "$latest"
	release 1.2.3 "$latest"
}
sed 's/^......../00000000/' "$latest/checksums.txt" >"$work/checksums.txt"
mv "$work/checksums.txt" "$latest/checksums.txt"
refuses 'wrong checksum' "the checksum of $archive is"
head -c 60 "$latest/$archive" >"$work/half" && mv "$work/half" "$latest/$archive"
refuses 'truncated archive' "the checksum of $archive is"
head -c 60 "$latest/$archive" >"$work/half" && mv "$work/half" "$latest/$archive"
(cd "$latest" && sum "$archive" >checksums.txt)
refuses 'truncated archive with its own checksum' "$archive does not hold docker-telemetry"
: >"$latest/checksums.txt"
refuses 'no checksum' "does not name $archive"
rm "$latest/checksums.txt"
refuses 'no checksum file' 'could not download'
rm "$latest/$archive"
refuses 'no archive' 'could not download'
printf '#!/bin/sh\nexit 126\n' >"$latest/docker-telemetry"
chmod 755 "$latest/docker-telemetry"
(cd "$latest" && tar -czf "$archive" docker-telemetry && rm docker-telemetry && sum "$archive" >checksums.txt)
refuses 'a program that does not run' 'the program does not run on this machine'
run env DOCKER_TELEMETRY_URL=http://127.0.0.1:1/releases "$root/install.sh" --release
check 'plain http is refused' code_is 1
check 'plain http: in one line' one_error
check 'plain http: unchanged' unchanged
sed '$d' "$root/install.sh" >"$work/half.sh"
run sh "$work/half.sh" --uninstall
check 'a script without its last line does nothing' unchanged

echo '# wrong usage'
for args in --nonsense --purge --version '--source --version 1.0.0'; do
	# shellcheck disable=SC2086 # words on purpose
	run "$root/install.sh" $args
	check "install.sh $args: exit code 2 and a hint" test "$code" -eq 2 -a "$(grep -c '^hint: ' "$work/out")" -eq 1
done
run sh -c "sh -s -- --source <'$root/install.sh'"
check 'nothing to build outside of a checkout' code_is 1
run env -u HOME "$root/install.sh" --uninstall
check 'no home is said' said 'HOME is not set'
new_home
mkdir -p "$plugin"
run "$root/install.sh" --release
check 'a folder in the place of the plugin is said' said 'is a folder'

echo '# uninstall'
new_home
if [ "$os" = darwin ]; then
	config="$home/Library/Application Support/docker-telemetry" state="$home/Library/Application Support/docker-telemetry/state"
else
	config=$home/.config/docker-telemetry state=$home/.local/state/docker-telemetry
fi
release 1.2.3 "$releases/latest/download"
run "$root/install.sh" --release
mkdir -p "$state/default/telemetry" "$config/profiles" "$plugins/.docker-telemetry.abcdef"
touch "$state/default/telemetry/state.json" "$config/profiles/mine.yaml" "$plugins/docker-other" "$home/.docker/config.json"
printf 'telemetry\nsecond\n; rm -rf /\n' >"$work/stacks"
run "$root/install.sh" --uninstall
check 'warns of stacks on the engine' said 'stack "telemetry" is still on the engine'
check 'of each' said 'docker compose -p second down --volumes'
check 'and of names that are none it says nothing' test "$(grep -c rf "$work/out")" -eq 0
check 'keeps state and says where' said "kept $state"
check 'state is there' test -e "$state/default/telemetry/state.json"
check 'an interrupted run leaves nothing' test ! -e "$plugins/.docker-telemetry.abcdef"
check 'plugins of others stay' test -e "$plugins/docker-other" -a -e "$home/.docker/config.json"
: >"$work/stacks"
run "$root/install.sh" --uninstall --purge
check 'purge removes the state' said "removed $state"
check 'purge leaves only what is not ours' home_holds './.docker/cli-plugins/docker-other ./.docker/config.json '
mkdir -p "$home/xdg/docker-telemetry"
run env XDG_STATE_HOME="$home/xdg" "$root/install.sh" --uninstall --purge
check 'purge follows XDG_STATE_HOME' test ! -e "$home/xdg/docker-telemetry"

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
