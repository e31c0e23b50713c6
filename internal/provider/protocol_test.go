package provider_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/internal/provider"
)

func TestWriterGolden(t *testing.T) {
	var out bytes.Buffer
	writer := provider.NewWriter(&out)
	fmt.Fprint(writer, "waiting: a lock\n\n  0.3s  Container a Creat")
	fmt.Fprint(writer, "ed\nnote: <b> & \"c\"\x1b[31m\u202e\nno end yet")
	assert.NilError(t, writer.Send(provider.Message{Type: provider.TypeSetEnv, Message: "A=b=c d"}))
	assert.NilError(t, writer.Error("it failed:\nbadly\x07", "docker telemetry logs", "line 1\r\nline \x00 2\n"))
	assert.NilError(t, writer.Error("alone", "", ""))
	golden.Assert(t, out.String(), "writer.golden")
}

// What several goroutines say at once stays one message a line, whatever the bytes are.
func TestWriterKeepsLinesWhole(t *testing.T) {
	var out bytes.Buffer
	writer := provider.NewWriter(&out)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			fmt.Fprintf(writer, "line %d \xff\xfe\n", i)
			assert.Check(t, writer.Send(provider.Message{Type: provider.TypeInfo, Message: strings.Repeat("x", 10_000)}))
		})
	}
	all.Wait()
	decoder, count := json.NewDecoder(&out), 0
	for ; ; count++ {
		var message provider.Message
		err := decoder.Decode(&message)
		if errors.Is(err, io.EOF) {
			break
		}
		assert.NilError(t, err)
		assert.Equal(t, message.Type, provider.TypeInfo)
	}
	assert.Equal(t, count, 40)
}

func FuzzWriter(f *testing.F) {
	f.Add("a\nb")
	f.Add("{\"type\":\"error\"}\n\x00\xff\u2028\n")
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		writer := provider.NewWriter(&out)
		fmt.Fprint(writer, text)
		assert.NilError(t, writer.Error(text, text, text))
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		for i, line := range lines {
			var message provider.Message
			assert.NilError(t, json.Unmarshal([]byte(line), &message))
			assert.Equal(t, message.Type == provider.TypeError, i == len(lines)-1)
		}
	})
}
