package state

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode"

	"gotest.tools/v3/assert"
)

// FuzzDecode: what is read is of a schema that this version knows and survives being written and read again; what is
// refused is refused as damaged or as newer, in one printable line.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"schemaVersion":1,"version":"0.1.0","scale":{"aggregator":3},"bind":"127.0.0.1","port":8082,"phase":"running","createdAt":"2026-11-24T02:00:00Z","updatedAt":"2026-11-24T02:00:00.5+01:00"}`,
		`{"schemaVersion":1,"phase":"starting"}`,
		`{"schemaVersion":2,"scale":"now something else"}`,
		`{"schemaVersion":0}`, `{"schemaVersion":-1}`, `{"schemaVersion":1e30}`, `{"schemaVersion":"1"}`,
		`{"schemaVersion":1,"port":"8082"}`, `{"schemaVersion":1,"createdAt":"yesterday"}`,
		`{"schemaVersion":1,"host":"\u001b[31m\ufffd"}`, "{\"schemaVersion\":1,\"host\":\"\xff\"}",
		`{"schemaVersion":1`, `null`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := decode("state.json", data)
		if err != nil {
			var corrupt *CorruptError
			var newer *NewerSchemaError
			assert.Assert(t, errors.As(err, &corrupt) || errors.As(err, &newer), "%T", err)
			assertPrintable(t, err.Error())
			return
		}
		assert.Assert(t, file.SchemaVersion >= 1 && file.SchemaVersion <= Schema, "schema %d", file.SchemaVersion)
		written, err := json.Marshal(file)
		assert.NilError(t, err)
		again, err := decode("state.json", written)
		assert.NilError(t, err, "%s", written)
		rewritten, err := json.Marshal(again)
		assert.NilError(t, err)
		assert.Equal(t, string(rewritten), string(written))
	})
}

// FuzzHolder: whatever stands in a lock file, the refusal is one printable line and names no holder that is not there.
func FuzzHolder(f *testing.F) {
	for _, seed := range []string{
		`{"pid":42,"host":"laptop","verb":"docker telemetry up","started":"2026-11-24T02:00:00Z"}`,
		`{"pid":-1,"host":"a\u001b[31mb","verb":"\u202e\r\n"}`, "{\"pid\":1,\"verb\":\"\xff\"}",
		`{"pid":42,"host":"lap`, `{}`, `null`, ``, `   `,
	} {
		f.Add([]byte(seed))
	}
	note, err := os.Create(filepath.Join(f.TempDir(), lockFile))
	assert.NilError(f, err)
	f.Cleanup(func() { note.Close() })
	f.Fuzz(func(t *testing.T, text []byte) {
		assert.NilError(t, note.Truncate(0))
		_, err := note.WriteAt(text, holderOffset)
		assert.NilError(t, err)

		// Half a note is read again until it is whole; an ended context ends that at once.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = holder(ctx, note, "telemetry")
		if errors.Is(err, context.Canceled) {
			return
		}
		var held *LockedError
		assert.Assert(t, errors.As(err, &held), "%T", err)
		assert.Equal(t, held.Stack, "telemetry")
		assertPrintable(t, err.Error())
	})
}

func assertPrintable(t *testing.T, line string) {
	t.Helper()
	for _, char := range line {
		assert.Assert(t, unicode.IsPrint(char), "%q in %q", char, line)
	}
}
