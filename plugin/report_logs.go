package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/docker-telemetry/docker-telemetry/report/logs"
	"github.com/docker-telemetry/docker-telemetry/report/logs/page"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

// checkSource refuses the flags that mean nothing for what is reported on: who gave one expects something of it.
func (o cardinalityOptions) checkSource() error {
	if o.source != sourceLogs {
		if slices.Contains(o.given, "max-fields") {
			return &usageError{err: errors.New("--max-fields is for logs"), advice: "add --source logs"}
		}
		return nil
	}
	for _, flag := range []string{
		"match", "metric", "unused", "dashboards", "max-series", "max-churn", "fix", "fuse", "no-save", "token-file",
	} {
		if slices.Contains(o.given, flag) {
			return &usageError{err: fmt.Errorf("--%s is not for --source logs", flag)}
		}
	}
	switch {
	case slices.Contains(o.given, "max-fields") && o.maxFields < 1:
		return &usageError{err: errors.New("--max-fields takes a number from 1 on")}
	case slices.Contains(o.given, "since") && o.date != "":
		return &usageError{err: errors.New("--since and --date do not go together with --source logs: each names the records")}
	case o.since == 0 && o.date == "":
		return &usageError{err: errors.New("--since takes a time such as 24h: of logs, the records of so long")}
	}
	return nil
}

// window is the time of the records.
func (o cardinalityOptions) window(day, now time.Time) (from, to time.Time) {
	if day.IsZero() {
		return now.Add(-o.since), now
	}
	return day, day.AddDate(0, 0, 1)
}

func (a *app) reportLogs(ctx context.Context, o cardinalityOptions, day time.Time) error {
	if err := a.checkReport(o.format, o.output, "logs.html"); err != nil {
		return err
	}
	store, err := a.logsStore(ctx, o.from)
	if err != nil {
		return err
	}
	defer store.close()
	request := logs.Request{Now: a.deps.now().UTC(), Top: o.top}
	request.From, request.To = o.window(day, request.Now)
	const counting = "Streams"
	store.progress.Waiting(counting)
	collected, err := logs.Collect(ctx, store, request)
	if err != nil {
		store.progress.Failed(counting)
		return store.unreadable(ctx, err)
	}
	store.progress.Found(counting)
	store.close()
	report := logs.Analyse(collected, logs.Options{Top: o.top})
	forms := reportForms{document: report.Document(), object: report, page: func(out io.Writer) error { return page.Write(out, report) }}
	if err := a.drawReport(o, forms); err != nil {
		return err
	}
	return o.judgeLogs(report)
}

// judgeLogs makes the report a gate of a build: what was not all seen cannot have passed.
func (o cardinalityOptions) judgeLogs(report logs.Report) error {
	if !report.Complete {
		return &codeError{code: exitUnchecked, err: &storeError{
			err: errors.New("a part of the store did not answer: the report is not complete"), advice: "look at a shorter time, such as --since 1h",
		}}
	}
	if widest, is := report.Widest(); is && o.maxFields > 0 && widest.FieldCount > o.maxFields {
		return &codeError{code: exitFindings, err: fmt.Errorf("%d fields of %s are more than --max-fields %d", widest.FieldCount, quoted(widest.Name), o.maxFields)}
	}
	return nil
}

// logsStore is where a report on logs reads.
type logsStore struct {
	*openobserve.Client
	reporting
}

// longestSearch is for one query: its sketches are of all records of the time.
const longestSearch = time.Minute

func (a *app) logsStore(ctx context.Context, o storeOptions) (*logsStore, error) {
	store := &logsStore{}
	var err error
	if o.url == "" {
		store.Client, store.reporting, err = a.stackLogs(ctx)
	} else {
		store.Client, store.reporting, err = a.otherLogs(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	store.HTTP.Timeout = longestSearch
	return store, nil
}

func (a *app) stackLogs(ctx context.Context) (*openobserve.Client, reporting, error) {
	s, err := a.open(ctx, "report")
	if err != nil {
		return nil, reporting{}, err
	}
	result, err := s.remembered()
	if err != nil {
		s.close()
		return nil, reporting{}, err
	}
	client, err := openObserve(result)
	if err != nil {
		s.close()
		return nil, reporting{}, err
	}
	return client, reporting{session: s, progress: s.progress}, nil
}

func (a *app) otherLogs(ctx context.Context, o storeOptions) (*openobserve.Client, reporting, error) {
	to, err := o.access(os.Getenv, a.warn)
	if err != nil {
		return nil, reporting{}, err
	}
	at, err := a.reportingElsewhere(ctx)
	if err != nil {
		return nil, reporting{}, err
	}
	return &openobserve.Client{BaseURL: to.base, Org: "default", User: to.user, Password: to.password, HTTP: to.http}, at, nil
}

func (l *logsStore) unreadable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &codeError{code: exitUnchecked, err: &storeError{err: err, advice: l.advice(err)}}
}

func (l *logsStore) advice(err error) string {
	if l.session != nil {
		return "see how it is: docker telemetry status"
	}
	var answer *openobserve.StatusError
	switch {
	case !errors.As(err, &answer):
		return "see whether it answers: curl " + l.BaseURL + "/healthz"
	case answer.Status == http.StatusUnauthorized, answer.Status == http.StatusForbidden:
		return "give the log-in: --user and --password-file"
	case answer.Status == http.StatusNotFound, answer.Status/100 == 3:
		return "--url takes what stands before /api"
	default:
		return "see what it logs"
	}
}
