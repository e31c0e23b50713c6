//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

const (
	readyWithin = 30 * time.Second
	readyEvery  = 20 * time.Millisecond
	writtenBack = 6 * 24 * time.Hour // the stack takes no record that is older than a week
	writers     = 4
)

// openObserve is the lab's stand-in, as the stack runs it.
type openObserve struct {
	url    string // without the base path
	data   string // the folder that it writes to
	client *openobserve.Client

	command func(context.Context) *exec.Cmd
	process *os.Process
	said    *bytes.Buffer
	exited  chan struct{} // closed when the process has ended
}

func startOpenObserve(ctx context.Context, program, home string, set credentials.Set) (*openObserve, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	address, err := storetest.FreeAddress()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dotenv := filepath.Join(home, "openobserve.env")
	if err := os.WriteFile(dotenv, set.OpenObserveEnv(), 0o600); err != nil {
		return nil, err
	}
	s := &openObserve{url: "http://" + address, data: filepath.Join(home, "openobserve"), said: &bytes.Buffer{}}
	user, password := login(set)
	s.client = &openobserve.Client{
		BaseURL: s.url + "/openobserve", Org: "default", User: user, Password: password,
		HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}},
	}
	s.command = func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, "-c", dotenv)
		cmd.Env = []string{
			"ZO_DATA_DIR=" + s.data, "ZO_BASE_URI=/openobserve", "ZO_HTTP_ADDR=" + host, "ZO_HTTP_PORT=" + port,
			"ZO_TELEMETRY=false", "ZO_COMPACT_DATA_RETENTION_DAYS=14", "ZO_INGEST_ALLOWED_UPTO=168",
		}
		return cmd
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *openObserve) start(ctx context.Context) error {
	s.said.Reset()
	cmd, exited := s.command(ctx), make(chan struct{})
	cmd.Stdout, cmd.Stderr = s.said, s.said
	if err := cmd.Start(); err != nil {
		return err
	}
	s.process, s.exited = cmd.Process, exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // it was ended
	}()
	if err := s.ready(ctx); err != nil {
		return errors.Join(err, s.stop())
	}
	return nil
}

func (s *openObserve) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		if _, err := s.client.Keeping(ctx); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("OpenObserve ended before it answered: %s", s.said)
		case <-ctx.Done():
			return errors.New("OpenObserve did not answer in time")
		}
	}
}

func (s *openObserve) stop() error {
	err := s.process.Signal(syscall.SIGTERM)
	<-s.exited
	s.client.HTTP.CloseIdleConnections()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// fill writes streams of logs, each with records of six days and a setting of its own. What the store tells of a stream it counts
// each ten minutes and when it starts, so it is started again.
func (s *openObserve) fill(ctx context.Context, streams int, now time.Time) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for number := range streams {
		group.Go(func() error {
			name := streamName(number)
			if err := s.post(groupCtx, name, records(number, now)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return s.client.SetDays(groupCtx, "logs", name, openobserve.LeastDays+number%30)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return errors.Join(s.stop(), s.start(ctx))
}

func streamName(number int) string { return fmt.Sprintf("stream_%03d", number) }

// records are 100 to 149 of a stream, from six days ago until now, as one request.
func records(number int, now time.Time) []byte {
	count := 100 + number%50
	var out bytes.Buffer
	out.WriteByte('[')
	for i := range count {
		if i > 0 {
			out.WriteByte(',')
		}
		at := now.Add(-writtenBack * time.Duration(count-i) / time.Duration(count))
		fmt.Fprintf(&out, `{"_timestamp":%d,"level":"info","container_name":"made-%d","message":"record %d of %d"}`, at.UnixMicro(), number, i, count)
	}
	out.WriteByte(']')
	return out.Bytes()
}

func (s *openObserve) post(ctx context.Context, stream string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.client.BaseURL+"/api/default/"+stream+"/_json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth(s.client.User, s.client.Password)
	response, err := s.client.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	// It takes what is too old with 200 and says how many failed.
	if err == nil && (response.StatusCode != http.StatusOK || !bytes.Contains(text, []byte(`"failed":0`))) {
		err = errors.New(strconv.Itoa(response.StatusCode) + " " + string(text))
	}
	return err
}
