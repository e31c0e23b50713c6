package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/klauspost/compress/snappy"
)

// remoteWriteSourceConf is the prometheus_remote_write source's.
type remoteWriteSourceConf struct{ address, path string }

// remoteWriteSource takes Prometheus remote write 0.1.0 (src/sources/prometheus/remote_write.rs). Each sample becomes
// a metric of its own; without metadata, which the collector does not send, every one is a gauge.
type remoteWriteSource struct {
	c    *component
	conf *remoteWriteSourceConf
	out  *output
}

func (r *remoteWriteSource) run(ctx context.Context) error {
	lis, err := net.Listen("tcp", r.conf.address)
	if err != nil {
		return fmt.Errorf("source %q: %w", r.c.id, err)
	}
	srv := &http.Server{Handler: r.handler(), ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stopped <- srv.Shutdown(context.WithoutCancel(ctx))
	}()
	if err := srv.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func (r *remoteWriteSource) handler() http.Handler {
	mux := http.NewServeMux()
	// strict_path, the default: another path is 404, another method 405.
	mux.HandleFunc("POST "+r.conf.path, func(w http.ResponseWriter, req *http.Request) {
		raw, err := io.ReadAll(io.LimitReader(req.Body, maxMessage))
		if err != nil {
			http.Error(w, "Bad request", http.StatusBadRequest)
			return
		}
		events, err := decodeWriteRequest(raw)
		if err != nil {
			r.c.failed("Failed to decode request.", err, "parser_failed", "receiving")
			http.Error(w, "Could not decode write request: "+err.Error(), http.StatusBadRequest)
			return
		}
		r.c.count("component_received_bytes_total", len(raw), "protocol", "http")
		r.c.received(events)
		status, text := r.deliver(req.Context(), events)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
	return mux
}

// deliver answers after the sinks settled the request, when one of them asks for acknowledgements.
func (r *remoteWriteSource) deliver(ctx context.Context, events []event) (status int, text string) {
	var ack *delivery
	if r.out.acks() {
		ack = newDelivery()
		ack.hold(len(events))
		for i := range events {
			events[i].ack = ack
		}
	}
	if err := r.out.send(ctx, events); err != nil && ack == nil {
		return http.StatusInternalServerError, "Error delivering contents to sink"
	}
	if ack == nil {
		return http.StatusOK, ""
	}
	ack.settle(delivered)
	select {
	case <-ack.done:
	case <-ctx.Done():
		return http.StatusInternalServerError, "Error delivering contents to sink"
	}
	switch outcome(ack.worst.Load()) {
	case delivered:
		return http.StatusOK, ""
	case rejected:
		return http.StatusBadRequest, "Contents failed to deliver to sink"
	}
	return http.StatusInternalServerError, "Error delivering contents to sink"
}

// maxDecompressed bounds what a small body can grow to: Vector's --max-decompressed-size-bytes.
const maxDecompressed = maxMessage

func decodeWriteRequest(raw []byte) ([]event, error) {
	size, err := snappy.DecodedLen(raw)
	if err != nil {
		return nil, err
	}
	if size > maxDecompressed {
		return nil, fmt.Errorf("%d bytes are more than %d", size, maxDecompressed)
	}
	body, err := snappy.Decode(nil, raw)
	if err != nil {
		return nil, err
	}
	var events []event
	err = eachField(body, func(f field) error {
		if f.num != 1 { // timeseries; metadata (3) has no effect on gauges
			return nil
		}
		series, err := decodeTimeSeries(f.raw)
		events = append(events, series...)
		return err
	})
	return events, err
}

func decodeTimeSeries(raw []byte) ([]event, error) {
	tags := map[string]string{}
	type sample struct {
		value float64
		at    int64
	}
	var samples []sample
	err := eachField(raw, func(f field) error {
		switch f.num {
		case 1:
			name, value, err := decodeLabel(f.raw)
			tags[name] = value
			return err
		case 2:
			var s sample
			if err := eachField(f.raw, func(f field) error {
				switch f.num {
				case 1:
					s.value = math.Float64frombits(f.bits)
				case 2:
					s.at = int64(f.bits)
				}
				return nil
			}); err != nil {
				return err
			}
			samples = append(samples, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	name := tags["__name__"]
	if name == "" {
		return nil, errors.New("a series without a metric name")
	}
	delete(tags, "__name__")
	events := make([]event, 0, len(samples))
	for _, s := range samples {
		events = append(events, event{metric: &metric{
			name: name, time: time.UnixMilli(s.at), kind: absolute, tags: maps.Clone(tags), value: gaugeValue(s.value),
		}})
	}
	return events, nil
}

func decodeLabel(raw []byte) (name, value string, err error) {
	err = eachField(raw, func(f field) error {
		switch f.num {
		case 1:
			name = string(f.raw)
		case 2:
			value = string(f.raw)
		}
		return nil
	})
	return name, value, err
}
