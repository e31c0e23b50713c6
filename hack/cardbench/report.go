//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/docker-telemetry/docker-telemetry/hack/series"
	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

const (
	// childCommand makes one report: a process of its own has a peak of memory of its own.
	childCommand = "report"
	// profileVariable names a file that gets the child's CPU profile.
	profileVariable = "CARDBENCH_PROFILE"

	// As the command has them by itself.
	topMetrics = 20
	samples    = 20
)

// counted is what the child tells: enough to see that it read everything and that its counts are those of the queries.
type counted struct {
	Series int64                     `json:"series"`
	Bytes  int64                     `json:"bytes"`
	Left   map[string]map[string]int `json:"left"`  // by metric and label
	Users  map[string]int            `json:"users"` // values of the label with the most, by metric
	Error  float64                   `json:"error"` // of what is left and of the values, the largest
}

func request(now time.Time) cardinality.Request {
	return cardinality.Request{Now: now, Top: topMetrics, Samples: samples}
}

// reportOnce makes the whole report of the store at args[0], as of the Unix time args[1].
func reportOnce(ctx context.Context, args []string, stdout io.Writer) (err error) {
	if len(args) != 2 {
		return errors.New("usage: cardbench report URL TIME")
	}
	seconds, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	if path := os.Getenv(profileVariable); path != "" {
		profile, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(profile); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	client := &victoriametrics.Client{
		BaseURL: args[0], HTTP: &http.Client{}, Identity: true,
		// A busy machine may sort ten million series for longer than a person waits.
		Limits: victoriametrics.Limits{Idle: 5 * time.Minute},
	}
	collected, err := cardinality.Collect(ctx, client, request(time.Unix(seconds, 0)))
	if err != nil {
		return err
	}
	report := cardinality.Analyse(collected, cardinality.Options{Top: topMetrics})
	if err := json.NewEncoder(io.Discard).Encode(report); err != nil {
		return err
	}
	if len(collected.Notes) > 1 {
		// One is that the store does not scrape itself.
		return fmt.Errorf("a part of the report is missing: %q", collected.Notes)
	}
	return json.NewEncoder(stdout).Encode(countsOf(collected))
}

func countsOf(collected cardinality.Collected) counted {
	found := counted{Series: collected.Stream.Series, Bytes: collected.Stream.Bytes, Left: map[string]map[string]int{}, Users: map[string]int{}}
	for _, metric := range collected.Metrics {
		left := map[string]int{}
		for _, label := range metric.Labels {
			left[label.Name] = label.Left
			if label.Name == series.UserLabel {
				found.Users[metric.Name] = label.Values
			}
		}
		found.Left[metric.Name] = left
		found.Error = max(found.Error, metric.Error)
	}
	return found
}
