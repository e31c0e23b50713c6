// Package storetest runs a store for tests and measurements, VictoriaMetrics or Prometheus: on loopback, in a folder of its own,
// gone afterwards.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	// Variable of the environment that names the program to run.
	Variable = "VICTORIAMETRICS"
	// Hint tells how to get one.
	Hint = "set VICTORIAMETRICS to the program that hack/victoriametrics.sh prints"

	readyWithin = 30 * time.Second
	readyEvery  = 20 * time.Millisecond

	visibleWithin = time.Minute
	// pageAge is longer than the second for which the store answers /metrics from memory.
	pageAge = 1100 * time.Millisecond
)

// ErrNoProgram is for an environment without Variable.
var ErrNoProgram = errors.New("no VictoriaMetrics is named: " + Hint)

// Store is a process that runs until Stop.
type Store struct {
	URL  string // what stands before /api/v1
	HTTP *http.Client
	Data string // the folder that it writes to

	name   string
	dir    string
	end    context.CancelFunc
	exited chan struct{} // closed when the process has ended
}

// Start runs the program that Variable names with a new folder below parent ("" for the system's), and waits until it answers.
// flags are more of its own. When ctx ends the process is killed; Stop is needed all the same.
func Start(ctx context.Context, parent string, flags ...string) (*Store, error) {
	if os.Getenv(Variable) == "" {
		return nil, ErrNoProgram
	}
	return start(ctx, parent, program{
		name: "VictoriaMetrics", path: os.Getenv(Variable), health: "/health",
		// The limits are out of the way: what is measured and counted is the whole of a large store.
		arguments: func(s *Store, address string) ([]string, error) {
			return append([]string{
				"-httpListenAddr=" + address, "-storageDataPath=" + s.Data, "-retentionPeriod=14d",
				"-search.maxSeries=20000000", "-search.maxLabelsAPIDuration=10m", "-search.maxQueryDuration=10m", "-loggerLevel=WARN",
			}, flags...), nil
		},
	})
}

// program is what a Store runs.
type program struct {
	name, path string
	health     string       // answers with a success when the store is ready
	https      *http.Client // reaches it; nil for one without TLS
	arguments  func(s *Store, address string) ([]string, error)
}

func start(ctx context.Context, parent string, p program) (*Store, error) {
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "docker-telemetry-store-")
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	s := &Store{
		URL: "http://" + address, HTTP: &http.Client{Transport: &http.Transport{}}, Data: filepath.Join(dir, "data"),
		name: p.name, dir: dir, end: end, exited: make(chan struct{}),
	}
	if p.https != nil {
		s.URL, s.HTTP = "https://"+address, p.https
	}
	err = s.run(ctx, p, address)
	if err == nil {
		err = s.ready(ctx, p.health)
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// FreeAddress is one on loopback. It may be taken again before a program listens there, which ends then.
func FreeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func (s *Store) run(ctx context.Context, p program, address string) error {
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		close(s.exited)
		return err
	}
	defer log.Close()
	arguments, err := p.arguments(s, address)
	if err != nil {
		close(s.exited)
		return err
	}
	cmd := exec.CommandContext(ctx, p.path, arguments...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		close(s.exited)
		return err
	}
	go func() {
		defer close(s.exited)
		_ = cmd.Wait() // it was killed
	}()
	return nil
}

func (s *Store) ready(ctx context.Context, health string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		if s.send(ctx, http.MethodGet, health, nil) == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return s.silent("ended before it answered")
		case <-ctx.Done():
			return s.silent("did not answer in time")
		}
	}
}

func (s *Store) silent(what string) error {
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("%s %s: %s", s.name, what, log[max(0, len(log)-2000):])
}

// Import writes series: path is that of one of the store's formats, such as /api/v1/import. They are found after Flush.
func (s *Store) Import(ctx context.Context, path string, body io.Reader) error {
	return s.send(ctx, http.MethodPost, path, body)
}

// Flush makes everything that was imported visible.
//
// The store's own flush does not promise that: samples that its background flusher, or another flush, has already taken are
// neither waited for nor found until they are sorted into a part (VictoriaMetrics #11260). So the store's counts are waited for.
func (s *Store) Flush(ctx context.Context) error {
	if err := s.send(ctx, http.MethodGet, "/internal/force_flush", nil); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, visibleWithin)
	defer cancel()
	for {
		select {
		// Before the first look as well: one that is answered from before the flush would say that nothing is missing.
		case <-time.After(pageAge):
		case <-ctx.Done():
			return fmt.Errorf("what was imported into VictoriaMetrics is not visible %s after a flush", visibleWithin)
		}
		missing, err := s.missing(ctx)
		if err == nil && missing <= 0 {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// Metrics are those that the store shows of itself, up to a second old.
func (s *Store) Metrics(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := s.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(response.Body)
}

// missing is how many of the samples that were taken are in no part. Those that left one again, by retention, are not missed.
func (s *Store) missing(ctx context.Context) (float64, error) {
	page, err := s.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	taken, there := page["vm_rows_added_to_storage_total"], page["vm_rows"]
	if taken == nil || there == nil {
		return 0, errors.New("VictoriaMetrics does not show its counts of samples")
	}
	return ofStorage(taken) - ofStorage(there) - ofStorage(page["vm_rows_deleted_total"]), nil
}

// ofStorage leaves out the rows of the index, which have a type of their own.
func ofStorage(family *dto.MetricFamily) (sum float64) {
	for _, metric := range family.GetMetric() {
		index := slices.ContainsFunc(metric.GetLabel(), func(label *dto.LabelPair) bool {
			return label.GetName() == "type" && !strings.HasPrefix(label.GetValue(), "storage/")
		})
		if !index {
			sum += metric.GetUntyped().GetValue() + metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return sum
}

func (s *Store) send(ctx context.Context, method, path string, body io.Reader) error {
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, body)
	if err != nil {
		return err
	}
	response, err := s.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err == nil && response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %d: %s", path, response.StatusCode, text)
	}
	return err
}

// Stop kills the process, whose data nobody wants, and removes its folder.
func (s *Store) Stop() error {
	s.end()
	<-s.exited
	s.HTTP.CloseIdleConnections()
	return os.RemoveAll(s.dir)
}
