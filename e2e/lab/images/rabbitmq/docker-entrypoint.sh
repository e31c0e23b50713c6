#!/bin/sh
set -e
case $1 in
rabbitmq*)
  if [ "$(id -u)" = 0 ] && [ "$1" = rabbitmq-server ]; then
    find /var/lib/rabbitmq \! -user rabbitmq -exec chown rabbitmq '{}' +
    exec setpriv --reuid=rabbitmq --regid=rabbitmq --clear-groups "$0" "$@"
  fi
  ;;
esac
exec "$@"
