#!/usr/bin/env bash
# Prints the path of a VictoriaMetrics for tests and measurements: the one that VICTORIAMETRICS names, else that of the Debian
# release the lab is made of, unpacked once beside the lab's cache. It is the program of the lab's image, without an engine.
set -euo pipefail

# shellcheck source=hack/program.sh
. "$(dirname "${BASH_SOURCE[0]}")/program.sh"

program_path hack/victoriametrics.sh VICTORIAMETRICS forky victoria-metrics victoria-metrics libzstd1
