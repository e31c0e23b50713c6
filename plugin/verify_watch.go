package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/docker-telemetry/docker-telemetry/internal/escape"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

const (
	watchEvery = 250 * time.Millisecond
	sayEvery   = 5 * time.Second
	// lostAfter is more than the agent waits between two tries while a store is away for a moment; what arrives later is taken
	// off the lost ones.
	lostAfter = 30 * time.Second
	// watchPast is how far back records are searched: what is older than lostAfter and comes twice is not looked for.
	watchPast = 2 * time.Minute
)

// watchJSON is a line of `verify --watch --format json`.
type watchJSON struct {
	Time           time.Time          `json:"time"`
	Sent           int                `json:"sent"`
	Arrived        int                `json:"arrived"`
	OnTheWay       int                `json:"onTheWay"`
	Lost           int                `json:"lost"`
	Duplicates     int                `json:"duplicates"`
	Reordered      int                `json:"reordered"`
	LatencySeconds map[string]float64 `json:"latencySeconds"`
}

// watchLogs has a container print a numbered line each second, and tells what becomes of them until the context ends. An
// error of a search or of a write is said once it lasts, and is no end: what is lost by it is the answer.
func (v *scene) watchLogs(ctx context.Context, format string) (pipeline.Summary, error) {
	mark := pipeline.NewMark()
	began := time.Now()
	counting, err := v.session.manager.CountProbe(ctx, v.project, mark.String())
	if err != nil {
		return pipeline.Summary{}, err
	}
	v.later(counting.End)
	stream := pipeline.NewStream(lostAfter)
	said, warned := time.Now(), ""
	for sleep(ctx, watchEvery) {
		problem := v.lookAtStream(ctx, stream, counting.ID, mark, began)
		if problem == nil {
			warned = ""
		}
		if time.Since(said) < sayEvery || ctx.Err() != nil {
			continue
		}
		said = time.Now()
		sum := stream.Summary()
		if err := v.saySummary(sum, format); err != nil {
			return sum, err
		}
		if err := v.metrics.Import(ctx, sum.Exposition(v.project.Name, routeLogs)); problem == nil {
			problem = err
		}
		if problem != nil && ctx.Err() == nil && problem.Error() != warned {
			warned = problem.Error()
			fmt.Fprintf(v.session.app.deps.stderr, "warning: %s\n", escape.Text(warned))
			printHint(v.session.app.deps.stderr, v.project.Name, "where it stops: docker telemetry verify")
		}
	}
	return stream.Summary(), nil
}

// lookAtStream reads how far the container has counted, and what of that is in the store.
func (v *scene) lookAtStream(ctx context.Context, stream *pipeline.Stream, id string, mark pipeline.Mark, began time.Time) error {
	lines, err := v.session.manager.LogSince(ctx, id, began.Add(-time.Second), 1)
	if err != nil {
		return err
	}
	now := time.Now()
	if len(lines) > 0 {
		stream.Written(numberOf(lines[0]), now)
	}
	hits, err := v.logs.Search(ctx, fmt.Sprintf(`SELECT _timestamp, message FROM "telemetry_probe" WHERE %s = '%s'`, pipeline.ProbeAttribute, mark),
		now.Add(-watchPast), now.Add(watchPast), 1000)
	var arrivals []pipeline.Arrival
	for _, hit := range hits {
		micro, _ := hit["_timestamp"].(float64)
		message, _ := hit["message"].(string)
		if number := numberOf(message); number > 0 {
			arrivals = append(arrivals, pipeline.Arrival{Number: number, Written: time.UnixMicro(int64(micro))})
		}
	}
	stream.Look(arrivals, time.Now())
	if !missing(err) {
		return err
	}
	return nil // no record was stored yet
}

// numberOf is the number that a line of the probe ends with, 0 where it has none.
func numberOf(line string) uint64 {
	match := regexp.MustCompile(` ([0-9]{1,9})\s*$`).FindStringSubmatch(line)
	if match == nil {
		return 0
	}
	number, _ := strconv.ParseUint(match[1], 10, 64)
	return number
}

func (v *scene) saySummary(sum pipeline.Summary, format string) error {
	out := v.session.app.deps.stdout
	if format == "json" {
		line := watchJSON{
			Time: time.Now().UTC().Truncate(time.Millisecond), Sent: sum.Sent, Arrived: sum.Arrived, OnTheWay: sum.OnTheWay, Lost: sum.Lost,
			Duplicates: sum.Duplicates, Reordered: sum.Reordered, LatencySeconds: map[string]float64{},
		}
		for share, latency := range sum.Latency {
			line.LatencySeconds[fmt.Sprintf("p%g", 100*share)] = milli(latency)
		}
		return json.NewEncoder(out).Encode(line)
	}
	_, err := fmt.Fprintf(out, "%s  %s\n", time.Now().Format(time.TimeOnly), summaryWords(sum))
	return err
}

func summaryWords(sum pipeline.Summary) string {
	words := []string{fmt.Sprintf("sent %d  arrived %d  on the way %d  lost %d  twice %d  out of order %d",
		sum.Sent, sum.Arrived, sum.OnTheWay, sum.Lost, sum.Duplicates, sum.Reordered)}
	for _, share := range pipeline.Shares() {
		if latency, known := sum.Latency[share]; known {
			words = append(words, fmt.Sprintf("p%g %s", 100*share, tookWords(latency)))
		}
	}
	return strings.Join(words, "  ")
}

// watch ends with Ctrl-C, which is how it is meant to end, and a summary.
func (s *session) watch(ctx context.Context, result settings.Result, project *types.Project, format string) error {
	v, err := s.newScene(ctx, result, project, time.Time{})
	if err != nil {
		return unchecked(ctx, err)
	}
	defer v.clean(context.WithoutCancel(ctx))
	fmt.Fprintln(s.app.deps.stderr, "a line each second; Ctrl-C ends it with a summary")
	sum, err := v.watchLogs(ctx, format)
	if err != nil && ctx.Err() == nil {
		return unchecked(ctx, err)
	}
	if format != "json" {
		fmt.Fprintln(s.app.deps.stdout)
	}
	if err := v.saySummary(sum, format); err != nil {
		return err
	}
	switch {
	case sum.Lost > 0:
		return &codeError{code: exitFindings, err: &stack.Error{
			Text: fmt.Sprintf("%d of %d lines were lost", sum.Lost, sum.Sent), Advice: "where it stops: docker telemetry verify --route logs",
		}}
	case sum.Arrived == 0 && sum.Sent > 0 && sum.OnTheWay > 0:
		return &codeError{code: exitUnchecked, err: errors.New("it was ended before a line could arrive")}
	}
	return nil
}
