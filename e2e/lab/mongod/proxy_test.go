package main

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"gotest.tools/v3/assert"
)

// message makes an OP_MSG of a command and, beside it, a list of documents.
func message(t *testing.T, command bson.D, list string, documents ...bson.D) []byte {
	t.Helper()
	body, err := bson.Marshal(command)
	assert.NilError(t, err)
	raw := append(make([]byte, headerSize+4), 0)
	raw = append(raw, body...)
	if list != "" {
		section := append([]byte(list), 0)
		for _, document := range documents {
			one, err := bson.Marshal(document)
			assert.NilError(t, err)
			section = append(section, one...)
		}
		raw = append(raw, 1)
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(section)+4))
		raw = append(raw, section...)
	}
	binary.LittleEndian.PutUint32(raw, uint32(len(raw)))
	binary.LittleEndian.PutUint32(raw[12:], opMsg)
	return raw
}

func TestCountsAsMongoDBDoes(t *testing.T) {
	one := bson.D{{Key: "_id", Value: 1}}
	p := &proxy{resident: func() int32 { return 0 }}
	for _, raw := range [][]byte{
		message(t, bson.D{{Key: "insert", Value: "c"}}, "documents", one, one, one),
		message(t, bson.D{{Key: "insert", Value: "c"}, {Key: "documents", Value: bson.A{one, one}}}, ""),
		message(t, bson.D{{Key: "update", Value: "c"}}, "updates", one),
		message(t, bson.D{{Key: "delete", Value: "c"}, {Key: "deletes", Value: bson.A{one}}}, ""),
		message(t, bson.D{{Key: "find", Value: "c"}}, ""),
		message(t, bson.D{{Key: "getMore", Value: int64(1)}}, ""),
		message(t, bson.D{{Key: "ping", Value: 1}}, ""),
		message(t, bson.D{{Key: "hello", Value: 1}}, ""),
	} {
		p.count(raw)
	}
	counters := p.figures()[1].Value.(bson.D)
	assert.DeepEqual(t, counters, bson.D{
		{Key: "insert", Value: int64(5)},
		{Key: "query", Value: int64(1)},
		{Key: "update", Value: int64(1)},
		{Key: "delete", Value: int64(1)},
		{Key: "getmore", Value: int64(1)},
		{Key: "command", Value: int64(2)},
	})
}

func TestDamagedMessagesAreNoCommand(t *testing.T) {
	whole := message(t, bson.D{{Key: "insert", Value: "c"}}, "documents", bson.D{{Key: "_id", Value: 1}})
	for length := headerSize + 4; length < len(whole); length++ {
		(&proxy{}).count(whole[:length]) // must not panic
	}
}

func TestAnswersGetTheCounts(t *testing.T) {
	p := &proxy{resident: func() int32 { return 12 }}
	answer := p.withCounts(message(t, bson.D{{Key: "host", Value: "h"}, {Key: "ok", Value: 1.0}}, ""))
	assert.Equal(t, int(binary.LittleEndian.Uint32(answer)), len(answer))
	body, _ := sections(answer[headerSize+4:])
	assert.NilError(t, body.Validate())
	assert.Equal(t, body.Lookup("host").StringValue(), "h")
	assert.Equal(t, body.Lookup("mem", "resident").Int32(), int32(12))

	refusal := message(t, bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: 13}}, "")
	assert.DeepEqual(t, p.withCounts(refusal), refusal)
}

func TestParse(t *testing.T) {
	opts, err := parse([]string{"--quiet", "--wiredTigerCacheSizeGB", "0.25", "--auth", "--bind_ip_all", "--port=1"})
	assert.NilError(t, err)
	assert.DeepEqual(t, opts, options{auth: true, bind: "0.0.0.0", port: "1", dbPath: "/data/db"}, cmp.AllowUnexported(options{}))
	for _, args := range [][]string{{"--nonsense"}, {"--port"}} {
		_, err := parse(args)
		assert.ErrorContains(t, err, "Error parsing command line: ")
	}
}
