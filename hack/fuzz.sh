#!/usr/bin/env bash
# Runs every fuzzer of every module for FUZZTIME each, one after another: two at once would share the processors and
# each would try half as much. It goes on after a failure, so that one run tells all.
set -euo pipefail

readonly FUZZTIME=${FUZZTIME:-10s}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

module_of() { # FILE
	local dir=$1
	while dir=$(dirname "$dir"); do
		[ ! -e "$dir/go.mod" ] || break
	done
	printf '%s' "$dir"
}

# "FILE:func NAME". Asking `go test -list` would compile every package first.
list() {
	grep -rEo --include='*_test.go' --exclude-dir=node_modules --exclude-dir='.?*' '^func Fuzz[A-Za-z0-9_]+' . |
		grep -E "${ONLY:-.}" | LC_ALL=C sort
}

failed=()
count=0
while IFS=: read -r file declaration; do
	name=${declaration#func }
	module=$(module_of "$file")
	package=./$(realpath --relative-to="$module" "$(dirname "$file")")
	count=$((count + 1))
	printf '==> %s %s (%s)\n' "${module#./}/${package#./}" "$name" "$FUZZTIME"
	(cd "$module" && go test -run '^$' -fuzz "^$name\$" -fuzztime "$FUZZTIME" "$package") </dev/null || failed+=("$file $name")
done < <(list)

[ "$count" -gt 0 ] || { echo 'hack/fuzz.sh: no fuzzer found' >&2; exit 1; }
if [ ${#failed[@]} -gt 0 ]; then
	printf 'hack/fuzz.sh: failed: %s\n' "${failed[@]}" >&2
	echo 'hint: the input is in testdata/fuzz beside the test; keep it there once it is fixed' >&2
	exit 1
fi
printf '%d fuzzers, none failed\n' "$count"
