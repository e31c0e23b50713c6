# Puts goods on the shelf, sells them, looks at them. There are 60 places, so there are never more documents than that.
set -u

readonly TOOL_ARGUMENTS=(
	--config=/run/secrets/mongodb_tools --host=mongodb --authenticationDatabase=admin --db=demo --collection=goods --quiet
	"--username=$(</run/secrets/mongodb_user)"
)

say() { # LEVEL TEXT
	printf '%(%FT%TZ)T [%s] %s\n' -1 "$1" "$2"
}

goods() { # FIRST COUNT
	local place
	for ((place = $1; place < $1 + $2; place++)); do
		printf '{"_id": %d, "name": "goods %d", "price": %d.90, "pieces": %d}\n' "$place" "$place" $((place % 40 + 1)) $((SECONDS % 50))
	done
}

# mongoimport reads documents from its standard input; insert, upsert and delete are modes of it.
write() { # MODE
	if ! mongoimport --mode="$1" "${TOOL_ARGUMENTS[@]}"; then
		say error "the shelf cannot be reached: $1 failed"
		return 1
	fi
	touch /tmp/answered
}

look() { # QUERY
	mongoexport --query="$1" --limit=5 "${TOOL_ARGUMENTS[@]}" | wc -l
}

# A buyer who stays, has a connection and buys nothing. Those of the other tools are over before anybody counts them: a
# dashboard would show a straight line.
linger() {
	sleep 20 | write upsert
}

# Ten rounds fill the shelf and ten empty it.
round() { # NUMBER
	local place=$(($1 % 10 * 6)) found
	if (($1 / 10 % 2)); then
		goods "$place" 6 | write delete || return
		say info "6 goods sold from place $place on"
	else
		goods "$place" 6 | write insert || return
		say info "6 goods put on the shelf from place $place on"
		goods "$place" 2 | write upsert || return
		say debug "2 prices changed"
	fi
	found=$(look '{"price": {"$lt": 20}}')
	say debug "a customer looked for something below 20 and saw $found"
	((found)) || say warn "nothing below 20 is left"
	(($1 % 15 != 2)) || say error "order from the supplier failed: 503 from upstream, will try again"
}

# What an earlier run left would be in the way of the inserts.
until goods 0 60 | write delete; do sleep 2; done
for ((number = 0; ; number++)); do
	round "$number"
	((number % 15)) || linger &
	sleep 2
done
