//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/hack/process"
	"github.com/docker-telemetry/docker-telemetry/hack/series"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

// side is one of those that take turns.
type side struct {
	took    []time.Duration
	cpu     []time.Duration
	peakMiB float64
	bytes   int64
}

func (s *side) add(u usage) {
	s.took, s.cpu = append(s.took, u.Took), append(s.cpu, u.CPU)
	s.peakMiB = max(s.peakMiB, u.PeakMiB)
	s.bytes = u.bytes
}

// seconds are those of the fastest run: what else the machine does can only make one slower.
func (s *side) seconds() float64 { return slices.Min(s.took).Seconds() }

// usage is what a run took, and how much it read.
type usage struct {
	process.Usage
	bytes int64 // of answers
}

// measured is what was found of one store.
type measured struct {
	shape                 series.Shape
	curl, report, queries side
}

func (m *measured) rows(budget, peakBudget float64) rows {
	of := func(s *side) float64 { return s.seconds() / m.curl.seconds() }
	row := func(what string, s *side) row {
		return row{
			what: what, metrics: m.shape.Metrics, series: m.shape.Series(), seconds: s.seconds(),
			median: process.Median(s.took).Seconds(), cpu: slices.Min(s.cpu).Seconds(), ratio: of(s), peakMiB: s.peakMiB,
			bytes: s.bytes, runs: len(s.took),
		}
	}
	report := row("report", &m.report)
	report.budget, report.peakBudget = budget, peakBudget
	found := rows{row("curl of /api/v1/series", &m.curl), report}
	if len(m.queries.took) > 0 {
		found = append(found, row("a query for each label", &m.queries))
	}
	return found
}

// measuring is what is measured of a store. Queries to a large one would take half an hour.
type measuring struct {
	shape   series.Shape
	runs    int
	queries bool
	within  time.Duration
}

// measureStore makes a store, measures and removes it.
func measureStore(ctx context.Context, s measuring, stderr io.Writer) (found *measured, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	store, err := storetest.Start(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Stop()) }()
	now := time.Now()
	fmt.Fprintf(stderr, "%d series of %d metrics: writing%s\n", s.shape.Series(), s.shape.Metrics, process.LoadAverage())
	if err := s.shape.Fill(ctx, store, now); err != nil {
		return nil, err
	}
	fmt.Fprintf(stderr, "%d series of %d metrics: written in %.0f s, measuring%s\n", s.shape.Series(), s.shape.Metrics, time.Since(now).Seconds(), process.LoadAverage())
	defer func() {
		fmt.Fprintf(stderr, "%d series of %d metrics: done%s\n", s.shape.Series(), s.shape.Metrics, process.LoadAverage())
	}()
	b := &bencher{store: store, now: now, shape: s.shape}
	found = &measured{shape: s.shape}
	sides := []struct {
		run  func(context.Context) (usage, error)
		into *side
	}{{b.curl, &found.curl}, {b.report, &found.report}, {b.queries, &found.queries}}
	if !s.queries {
		sides = sides[:2]
	}
	// Round 0 fills the store's caches and is not counted. Each is first as often as last, nearly.
	for round := range s.runs + 1 {
		for turn := range sides {
			side := sides[(round+turn)%len(sides)]
			used, err := side.run(ctx)
			if err != nil {
				return nil, errors.Join(err, context.Cause(ctx))
			}
			if round == 0 {
				continue
			}
			side.into.add(used)
		}
	}
	return found, nil
}

// bencher runs the sides on one store.
type bencher struct {
	store *storetest.Store
	now   time.Time
	shape series.Shape
	left  map[string]map[string]int // what the report counted
}

// curl reads the same list as the report. What it does not do is look at it.
func (b *bencher) curl(ctx context.Context) (usage, error) {
	from, to := request(b.now).Window()
	query := url.Values{
		"match[]": {victoriametrics.EverySeries},
		"start":   {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(to.Unix(), 10)},
	}
	address := b.store.URL + "/api/v1/series?" + query.Encode()
	var out bytes.Buffer
	used, err := runOnce(ctx, &out, "curl", "-s", "-f", "-o", "/dev/null", "-w", "%{size_download}", address)
	if err != nil {
		return used, err
	}
	used.bytes, err = strconv.ParseInt(out.String(), 10, 64)
	return used, err
}

func (b *bencher) report(ctx context.Context) (usage, error) {
	own, err := os.Executable()
	if err != nil {
		return usage{}, err
	}
	var out bytes.Buffer
	used, err := runOnce(ctx, &out, own, childCommand, b.store.URL, strconv.FormatInt(b.now.Unix(), 10))
	if err != nil {
		return used, err
	}
	var found counted
	if err := json.Unmarshal(out.Bytes(), &found); err != nil {
		return used, err
	}
	if found.Series != int64(b.shape.Series()) {
		return used, fmt.Errorf("the report counted %d series of %d", found.Series, b.shape.Series())
	}
	for metric, values := range found.Users {
		if off := math.Abs(float64(values)/float64(b.shape.Each) - 1); off > found.Error {
			return used, fmt.Errorf("%s: the report counted %d users of %d", metric, values, b.shape.Each)
		}
	}
	used.bytes, b.left = found.Bytes, found.Left
	return used, nil
}

// queries ask for what is left of each metric without each label, as tools do that have nothing but queries. The answers are
// held against the report's, so that both measure the same work.
func (b *bencher) queries(ctx context.Context) (used usage, err error) {
	began := time.Now()
	for metric := range b.shape.Metrics {
		for _, label := range series.LabelNames() {
			name := series.MetricName(metric)
			left, read, err := b.query(ctx, fmt.Sprintf("count(count(%s) without (%s))", name, label))
			if err != nil {
				return used, err
			}
			if b.left != nil && left != b.left[name][label] {
				return used, fmt.Errorf("%s without %s: the store counts %d and the report %d", name, label, left, b.left[name][label])
			}
			used.bytes += read
		}
	}
	used.Took = time.Since(began)
	return used, nil
}

func (b *bencher) query(ctx context.Context, expression string) (value int, read int64, err error) {
	query := url.Values{"query": {expression}, "time": {strconv.FormatInt(b.now.Unix()+1, 10)}, "nocache": {"1"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.store.URL+"/api/v1/query?"+query.Encode(), http.NoBody)
	if err != nil {
		return 0, 0, err
	}
	response, err := b.store.HTTP.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return 0, 0, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return 0, 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, 0, fmt.Errorf("%s: %s", expression, raw)
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	value, err = strconv.Atoi(text)
	return value, int64(len(raw)), err
}

func runOnce(ctx context.Context, stdout io.Writer, name string, args ...string) (usage, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	used, err := process.Run(cmd)
	if err != nil {
		return usage{}, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, &stderr)
	}
	return usage{Usage: used}, nil
}
