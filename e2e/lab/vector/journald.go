package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// checkpointFile stands in the source's own folder of data_dir, and holds the cursor of the last entry that is safe.
	checkpointFile  = "checkpoint.txt"
	journalBackoff  = time.Second
	journalBatchGap = 10 * time.Millisecond
)

type journaldConf struct {
	path, directory string
	boot, sinceNow  bool
	batch           int64
}

func readJournald(o *options) *journaldConf {
	c := &journaldConf{
		path:      o.str("journalctl_path", "journalctl"),
		directory: o.str("journal_directory", ""),
		boot:      o.boolean("current_boot_only", true),
		sinceNow:  o.boolean("since_now", false),
		batch:     o.integer("batch_size", 16, 1),
	}
	// Vector accepts the source's own switch and gives it no effect.
	o.enabled("acknowledgements", false)
	o.lacks("include_units", "exclude_units", "include_matches", "exclude_matches", "data_dir", "remap_priority", "extra_args",
		"journal_namespace", "emit_cursor", "log_namespace")
	if !c.boot {
		o.fail("\"current_boot_only\": false is not supported by the stand-in")
	}
	return c
}

// journaldSource is journald: it reads what journalctl prints, and writes the cursor down when the sinks have the entries.
// Vector has several batches under way at once; here each is settled before the next is read.
type journaldSource struct {
	c          *component
	conf       *journaldConf
	out        *output
	checkpoint string
}

func newJournaldSource(c *component, conf *journaldConf, out *output, dataDir string) (*journaldSource, error) {
	if err := checkDataDir(dataDir); err != nil {
		return nil, err
	}
	dir := filepath.Join(dataDir, c.id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("could not make the data folder of the source: %w", err)
	}
	return &journaldSource{c: c, conf: conf, out: out, checkpoint: filepath.Join(dir, checkpointFile)}, nil
}

func (j *journaldSource) run(ctx context.Context) error {
	for ctx.Err() == nil {
		j.c.log.info(j.c.target(), "Starting journalctl.", "component_id", j.c.id)
		if err := j.follow(ctx); err != nil && ctx.Err() == nil {
			j.c.failed("Error starting journalctl process.", err, "command_failed", "receiving")
		}
		// journalctl --follow should never end.
		select {
		case <-ctx.Done():
		case <-time.After(journalBackoff):
		}
	}
	return nil
}

// arguments are Vector's, in its order.
func (j *journaldSource) arguments(cursor string) []string {
	args := []string{"--follow", "--all", "--show-cursor", "--output=json"}
	if j.conf.directory != "" {
		args = append(args, "--directory="+j.conf.directory)
	}
	args = append(args, "--boot")
	switch {
	case cursor != "":
		return append(args, "--after-cursor="+cursor)
	case j.conf.sinceNow:
		return append(args, "--since=now")
	default:
		return append(args, "--since=2000-01-01")
	}
}

// cursor reads the checkpoint. One that was not written to its end counts as none.
func (j *journaldSource) cursor() (string, error) {
	raw, err := os.ReadFile(j.checkpoint)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	cursor, _, whole := strings.Cut(string(raw), "\n")
	if !whole {
		cursor = ""
	}
	return cursor, err
}

func (j *journaldSource) follow(ctx context.Context) error {
	cursor, err := j.cursor()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, j.conf.path, j.arguments(cursor)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := make(chan []byte)
	go readLines(ctx, stdout, lines)
	failure := j.batches(ctx, lines)
	// What is left unread comes again after the cursor.
	_ = cmd.Cancel()
	for range lines { //nolint:revive // until the reader ends
	}
	return errors.Join(failure, cmd.Wait())
}

func readLines(ctx context.Context, from io.Reader, to chan<- []byte) {
	defer close(to)
	reader := bufio.NewReader(from)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		select {
		case to <- line:
		case <-ctx.Done():
			return
		}
	}
}

// batches sends entries on until journalctl or the source ends: what came within a moment, up to the batch's size.
func (j *journaldSource) batches(ctx context.Context, lines <-chan []byte) error {
	for {
		batch, open := j.gather(ctx, lines)
		if err := j.deliver(ctx, batch); err != nil {
			return err
		}
		if !open {
			return nil
		}
	}
}

type journalBatch struct {
	events []event
	cursor string
}

func (j *journaldSource) gather(ctx context.Context, lines <-chan []byte) (batch journalBatch, open bool) {
	var gap <-chan time.Time
	for int64(len(batch.events)) < j.conf.batch {
		select {
		case <-ctx.Done():
			return batch, false
		case <-gap:
			return batch, true
		case line, more := <-lines:
			if !more {
				return batch, false
			}
			j.add(&batch, line)
		}
		if gap == nil && len(batch.events) > 0 {
			gap = time.After(journalBatchGap)
		}
	}
	return batch, true
}

func (j *journaldSource) add(batch *journalBatch, line []byte) {
	fields, err := decodeJournal(line)
	if err != nil {
		j.c.failed("Invalid record from journald, discarding.", err, "parser_failed", "processing")
		return
	}
	if cursor, is := fields["__CURSOR"].(string); is {
		batch.cursor = cursor
		delete(fields, "__CURSOR")
	}
	j.c.count("component_received_bytes_total", len(line), "protocol", "journald")
	batch.events = append(batch.events, event{log: entryOf(fields)})
}

// deliver moves the checkpoint on when every sink behind the source has the batch.
func (j *journaldSource) deliver(ctx context.Context, batch journalBatch) error {
	if len(batch.events) == 0 {
		return nil
	}
	j.c.received(batch.events)
	var ack *delivery
	if j.out.acks() {
		ack = newDelivery()
		ack.hold(len(batch.events))
		for i := range batch.events {
			batch.events[i].ack = ack
		}
	}
	if err := j.out.send(ctx, batch.events); err != nil {
		return err
	}
	if ack != nil {
		ack.settle(delivered)
		select {
		case <-ack.done:
		case <-j.out.kill.Done():
			return nil
		}
		if outcome(ack.worst.Load()) != delivered {
			return nil
		}
	}
	return os.WriteFile(j.checkpoint, []byte(batch.cursor+"\n"), 0o644)
}

// decodeJournal reads one line of journalctl's JSON. Text that is not printable comes as an array of bytes.
func decodeJournal(line []byte) (map[string]any, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil {
		return nil, err
	}
	fields := map[string]any{}
	for name, value := range raw {
		text, err := entryText(value)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		fields[name] = text
	}
	return fields, nil
}

func entryText(value json.RawMessage) (string, error) {
	var text string
	if err := json.Unmarshal(value, &text); err == nil && !bytes.Equal(value, []byte("null")) {
		return text, nil
	}
	var numbers []uint8
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil || bytes.Equal(value, []byte("null")) {
		return "", fmt.Errorf("expected a string, got %.20s", value)
	}
	for _, item := range list {
		number, err := strconv.ParseUint(string(item), 10, 8)
		if err != nil {
			return string(value), nil
		}
		numbers = append(numbers, uint8(number))
	}
	return strings.ToValidUTF8(string(numbers), "\ufffd"), nil
}

// entryOf gives the fields their names in Vector's log schema.
func entryOf(fields map[string]any) map[string]any {
	for from, to := range map[string]string{"MESSAGE": "message", "_HOSTNAME": "host"} {
		if value, there := fields[from]; there {
			fields[to] = value
			delete(fields, from)
		}
	}
	for _, name := range []string{"_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"} {
		text, there := fields[name].(string)
		if !there {
			continue
		}
		if micros, err := strconv.ParseInt(text, 10, 64); err == nil {
			fields["timestamp"] = time.UnixMicro(micros).UTC()
		}
		break
	}
	fields["source_type"] = "journald"
	return fields
}
