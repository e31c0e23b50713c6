#!/bin/sh
set -e
# The first argument is a flag or a configuration file: it is for the server.
case $1 in
-* | *.conf) set -- valkey-server "$@" ;;
esac
if [ "$1" = valkey-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user valkey -exec chown valkey '{}' +
  exec setpriv --reuid=valkey --regid=valkey --clear-groups "$0" "$@"
fi
# The original is compiled with protected mode off, since a client is never on a container's loopback.
# An option comes after the configuration file and wins over it, so it is only given where nobody else decides.
if [ "$1" = valkey-server ]; then
  case " $* " in
  *" --protected-mode "*) ;;
  *)
    if [ ! -f "${2:-}" ] || ! grep -q '^[[:space:]]*protected-mode' "$2"; then
      set -- "$@" --protected-mode no
    fi
    ;;
  esac
fi
exec "$@"
