#!/usr/bin/env bash
# Prints the path of a Prometheus for tests: the one that PROMETHEUS names, else that of the Debian release the lab is made of,
# unpacked once beside the lab's cache.
set -euo pipefail

# shellcheck source=hack/program.sh
. "$(dirname "${BASH_SOURCE[0]}")/program.sh"

program_path hack/prometheus.sh PROMETHEUS forky prometheus prometheus
