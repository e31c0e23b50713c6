#!/bin/bash
set -e
case $1 in
-*) set -- mongod "$@" ;;
esac
if [[ $1 == mongo* ]] && [ "$(id -u)" = 0 ]; then
  [ "$1" != mongod ] || find /data/configdb /data/db \! -user mongodb -exec chown mongodb '{}' +
  exec setpriv --reuid=mongodb --regid=mongodb --clear-groups "$0" "$@"
fi
if [ "$1" = mongod ]; then
  for name in MONGO_INITDB_ROOT_USERNAME MONGO_INITDB_ROOT_PASSWORD; do
    file=${name}_FILE
    if [ -n "${!name}" ] && [ -n "${!file}" ]; then
      echo "error: both $name and $file are set (but are exclusive)" >&2
      exit 1
    fi
    [ -z "${!file}" ] || export "$name=$(<"${!file}")"
    unset "$file"
  done
  if [ -n "$MONGO_INITDB_ROOT_USERNAME" ] && [ -n "$MONGO_INITDB_ROOT_PASSWORD" ]; then
    set -- "$@" --auth
  elif [ -n "$MONGO_INITDB_ROOT_USERNAME$MONGO_INITDB_ROOT_PASSWORD" ]; then
    echo "error: missing 'MONGO_INITDB_ROOT_USERNAME' or 'MONGO_INITDB_ROOT_PASSWORD'" >&2
    exit 1
  fi
  [[ " $* " == *" --bind_ip"* ]] || set -- "$@" --bind_ip_all
fi
exec "$@"
