//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

const engineName = "retbench"

// engine answers what a report asks of the Engine API: who it is, which containers the stack has, and a command in one of them,
// which runs on this machine, in the folder that the component writes to.
type engine struct {
	*http.Server
	folders map[string]string // by component

	mu       sync.Mutex
	commands map[string][]string // by the id of an exec
}

func serveEngine(ctx context.Context, socket string, folders map[string]string) (*engine, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	e := &engine{folders: folders, commands: map[string][]string{}}
	e.Server = &http.Server{Handler: e.routes(), ReadHeaderTimeout: time.Minute}
	go func() { _ = e.Serve(listener) }() // it was closed
	return e, nil
}

// routes are those of the Engine API under each version.
func (e *engine) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", stack.OldestAPI)
		w.Header().Set("Ostype", "linux")
		fmt.Fprint(w, "OK")
	})
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"ID": engineName, "Name": engineName, "OSType": "linux", "OperatingSystem": "Linux"})
	})
	mux.HandleFunc("GET /containers/json", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, e.containers()) })
	mux.HandleFunc("POST /containers/{id}/exec", e.create)
	mux.HandleFunc("POST /exec/{id}/start", e.start)
	version := regexp.MustCompile(`^/v[0-9.]+`)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = version.ReplaceAllString(r.URL.Path, "")
		mux.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who asked is gone
}

func (e *engine) containers() []map[string]any {
	all := make([]map[string]any, 0, len(e.folders))
	for component := range e.folders {
		all = append(all, map[string]any{
			"Id": component, "Names": []string{"/" + stackName + "-" + component + "-1"}, "State": "running", "Status": "Up 5 weeks",
			"Labels": map[string]string{stack.StackLabel: stackName, stack.ComponentLabel: component},
		})
	}
	return all
}

func (e *engine) create(w http.ResponseWriter, r *http.Request) {
	var request struct{ Cmd []string }
	folder, known := e.folders[r.PathValue("id")]
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&request); err != nil || !known || len(request.Cmd) < 2 {
		answer(w, http.StatusBadRequest, map[string]string{"message": "no such container, or no command"})
		return
	}
	// The last word is where the container has its volume.
	request.Cmd[len(request.Cmd)-1] = folder
	id := r.PathValue("id")
	e.mu.Lock()
	e.commands[id] = request.Cmd
	e.mu.Unlock()
	answer(w, http.StatusCreated, map[string]string{"Id": id})
}

// start answers with the stream of an exec without a terminal.
// https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
func (e *engine) start(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	command := e.commands[r.PathValue("id")]
	e.mu.Unlock()
	if command == nil {
		answer(w, http.StatusNotFound, map[string]string{"message": "no such exec"})
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<16))
	said, err := exec.CommandContext(r.Context(), command[0], command[1:]...).Output() //nolint:gosec // it is the program's that is measured
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"message": err.Error()})
		return
	}
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"message": err.Error()})
		return
	}
	defer connection.Close()
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
	if strings.EqualFold(r.Header.Get("Upgrade"), "tcp") {
		head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
	}
	_, _ = connection.Write(append([]byte(head), frame(said)...)) // who asked is gone
}

// frame is a piece of stdout: its stream, three bytes of nothing, its length, itself.
func frame(said []byte) []byte {
	var out bytes.Buffer
	out.Write([]byte{1, 0, 0, 0})
	_ = binary.Write(&out, binary.BigEndian, uint32(len(said)))
	out.Write(said)
	return out.Bytes()
}
