# Places orders in a queue and packs them. Orders come in rushes that the packer cannot keep up with, so the queue fills
# and empties. The queue holds 500 messages at most, each for two minutes, and goes when nobody used it for ten.
set -u

readonly QUEUE=$'destination:/queue/demo-orders\ndurable:true\nauto-delete:false\nx-max-length:500\nx-message-ttl:120000\nx-expires:600000\n'

say() { # LEVEL TEXT
	printf 'time=%(%FT%TZ)T level=%s msg="%s" %s\n' -1 "$1" "$2" "${*:3}"
}

give_up() { # WHY
	say error "$1"
	exit 1
}

# A session with the broker on descriptor 3. The password is in no argument: printf belongs to the shell.
connect() {
	exec 3<>/dev/tcp/rabbitmq/61613 || give_up "cannot reach the broker"
	printf 'CONNECT\naccept-version:1.2\nhost:/\nheart-beat:0,0\nlogin:%s\npasscode:%s\n\n\0' \
		"$(</run/secrets/rabbitmq_user)" "$(</run/secrets/rabbitmq_password)" >&3
	receive
	case $frame in CONNECTED*) ;; *) give_up "the broker refuses the session" ;; esac
}

# One frame of STOMP ends with NUL and may begin with empty lines.
receive() {
	IFS= read -r -d '' -t 60 frame <&3 || give_up "the broker does not answer"
	while [ "${frame:0:1}" = $'\n' ]; do frame=${frame:1}; done
	: >/tmp/answered
}

header() { # NAME, of frame
	local rest=${frame#*$'\n'"$1":}
	printf %s "${rest%%$'\n'*}"
}

send() { # DESTINATION-AND-HEADERS BODY
	printf 'SEND\n%s\n%s\0' "$1" "$2" >&3 || give_up "the broker closed the session"
}

# A till opens, takes orders and closes: its session is one of those that come and go.
open_till() { # FIRST-ORDER ORDERS PAUSE
	local order
	connect
	for ((order = $1; order < $1 + $2; order++)); do
		send "$QUEUE" "{\"order\": $order, \"items\": $((order % 7 + 1))}"
		say info "order placed" "order=$order items=$((order % 7 + 1))"
		# Nobody listens, so the broker drops it.
		((order % 20)) || send $'destination:/exchange/amq.direct/demo-newsletter\n' "news"
		sleep "$3"
	done
	printf 'DISCONNECT\n\n\0' >&3
	exec 3>&-
}

sell() {
	local order
	# Twice four orders a second against five that are packed: with less between them, a machine that is slow to start a
	# `sleep` has no queue at all.
	for ((order = 1; ; order += 172)); do
		say info "a rush begins, a second till opens"
		open_till "$order" 80 0.25 &
		open_till "$((order + 80))" 80 0.25
		wait $! || exit 1
		say info "the shop is quiet"
		open_till "$((order + 160))" 12 3
	done
}

pack() {
	local id order
	connect
	printf 'SUBSCRIBE\nid:packer\nack:client-individual\nprefetch-count:10\n%s\n\0' "$QUEUE" >&3
	for ((order = 1; ; order++)); do
		receive
		case $frame in MESSAGE*) ;; *) give_up "the broker ends the subscription" ;; esac
		id=$(header ack)
		sleep 0.2
		# The first of each twenty-five is put back once, and comes again.
		if ((order % 25 == 1)) && [ "$(header redelivered)" = false ]; then
			say error "payment refused, the order goes back" "packed=$order"
			printf 'NACK\nid:%s\n\n\0' "$id" >&3
			continue
		fi
		((order % 10)) || say warn "packing takes long" "packed=$order took=200ms"
		say debug "order packed" "packed=$order"
		printf 'ACK\nid:%s\n\n\0' "$id" >&3
	done
}

sell &
pack &
wait -n
exit 1
