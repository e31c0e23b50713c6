# Looks carts up and fills them. There are 80 numbers for carts, and each cart is gone after 30 s.
set -u

REDISCLI_AUTH=$(cat /run/secrets/valkey_password)
export REDISCLI_AUTH

say() { # LEVEL TEXT [MEMBERS]
	printf '{"time":"%s","level":"%s","msg":"%s"%s}\n' "$(date -u +%FT%TZ)" "$1" "$2" "${3:-}"
}

# The sh of the image has no random numbers, and the demo needs no good ones.
seed=1
next() { # LIMIT, into number
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	number=$((seed / 65536 % $1))
}

# Who comes may have no cart yet. Who fills one looks at it.
shop() { # SHOPPERS
	count=0
	while [ "$count" -lt "$1" ]; do
		next 120
		echo "GET demo:cart:$number"
		next 80
		echo "SET demo:cart:$number {\"items\":$((number % 9 + 1))} EX 30"
		echo "GET demo:cart:$number"
		echo "INCR demo:visits"
		count=$((count + 1))
	done
	echo "EXPIRE demo:visits 60"
}

# One who asks for the desk, where nobody is, and comes again: a client that waits in the server is one that is blocked. Both
# last longer than from one scrape to the next. Shorter ones fell between all of them, and a dashboard showed a straight line.
ask_at_the_desk() {
	while :; do
		valkey-cli -h valkey BRPOP demo:desk 20 >/dev/null 2>&1
		sleep 25
	done
}

# One connection for all commands of a round.
look_up() { # SHOPPERS
	shop "$1" >/tmp/commands
	replies=$(valkey-cli -h valkey </tmp/commands 2>&1) || return
	case $replies in *OK*) : >/tmp/answered ;; *) return 1 ;; esac
}

ask_at_the_desk &
round=0
while :; do
	# Twenty busy rounds, then twenty calm ones.
	shoppers=$((round / 20 % 2 ? 1 : 5))
	if look_up "$shoppers"; then
		# A key that is not there is an empty line.
		missed=$(echo "$replies" | grep -c '^$')
		say info "carts looked up" ",\"shoppers\":$shoppers,\"missed\":$missed"
		[ "$missed" -lt 3 ] || say warn "many shoppers have no cart" ",\"missed\":$missed"
		[ $((round % 30)) -ne 5 ] || say error "a cart could not be read: it is not JSON" ",\"shopper\":$number"
	else
		say error "the carts cannot be reached"
	fi
	round=$((round + 1))
	sleep 1
done
