#!/bin/bash
# The original's rule: GF_X__FILE becomes the value of GF_X, and giving both is an error.
set -e
for file_name in "${!GF_@}"; do
  [[ $file_name == *__FILE ]] || continue
  name=${file_name%__FILE}
  if [ -n "${!name+set}" ]; then
    echo "ERROR: Both $name and $file_name are set (but are exclusive)" >&2
    exit 1
  fi
  value=$(<"${!file_name}")
  export "$name=$value"
  unset "$file_name"
done
exec grafana server "$@"
