// Package provider speaks the protocol by which Compose runs the provider of a service, and decides what the projects that
// use one stack come to. The protocol is that of docs/extension.md in docker/compose; its messages are handled in
// pkg/compose/plugins.go there.
package provider

import (
	"encoding/json"
	"io"
	"strings"
	"sync"

	"github.com/docker-telemetry/docker-telemetry/internal/escape"
)

// Types of messages. Of these, Compose 2.36.0 knows the first three; an unknown one fails its command.
const (
	TypeError     = "error"
	TypeInfo      = "info"
	TypeSetEnv    = "setenv"
	TypeRawSetEnv = "rawsetenv"
)

// MessagesVariable is where a Compose says, separated by commas, which types it takes. One that does not say so is
// asked for nothing but what the first version with providers has.
const MessagesVariable = "COMPOSE_PROVIDER_MESSAGES"

// Message is one line of the protocol.
type Message struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// Writer writes messages to Compose, from several goroutines at once. What is not a message never gets to its output.
type Writer struct {
	mu   sync.Mutex
	out  io.Writer
	rest string // of a line that has no end yet
}

// NewWriter returns a writer of messages to out, which is the standard output of a provider.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Send writes one message.
func (w *Writer) Send(message Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.send(message)
}

func (w *Writer) send(message Message) error {
	var line strings.Builder
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(message); err != nil {
		return err
	}
	_, err := io.WriteString(w.out, line.String())
	return err
}

// Error ends the command: Compose kills a provider that has said so. hint is the command that helps and detail more lines,
// such as the log of what failed; "" for none.
func (w *Writer) Error(text, hint, detail string) error {
	lines := []string{escape.Text(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))}
	if hint != "" {
		lines = append(lines, "hint: "+escape.Text(hint))
	}
	for line := range strings.Lines(detail) {
		lines = append(lines, "  | "+escape.Text(strings.TrimRight(line, "\r\n")))
	}
	return w.Send(Message{Type: TypeError, Message: strings.Join(lines, "\n")})
}

// Write makes each line of what a command says on its way an info, which Compose shows as the state of the service.
func (w *Writer) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest += string(text)
	for {
		line, rest, ended := strings.Cut(w.rest, "\n")
		if !ended {
			return len(text), nil
		}
		w.rest = rest
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := w.send(Message{Type: TypeInfo, Message: escape.Text(line)}); err != nil {
			return 0, err
		}
	}
}
