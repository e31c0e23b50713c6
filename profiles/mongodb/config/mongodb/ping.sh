# Asks MongoDB for a ping, which needs no log-in. mongosh would start a Node.js of 100 MB for each check.
# On the container's own address: while the first user is made, another server listens on 127.0.0.1.
set -e
exec 3<>"/dev/tcp/$HOSTNAME/27017"
# OP_MSG (2013): length, id, answer to, opcode, flags, section 0, and the document {ping: 1, $db: "admin"}.
printf '\x33\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0' >&3
printf '\x1e\0\0\0\x10ping\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0' >&3
# The answer is {ok: 1.0}: its number ends in f0 3f.
head -c 38 <&3 | grep -aqP 'ok\0{7}\xf0\x3f'
