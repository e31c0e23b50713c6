package main

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics carries the real names and labels of src/config/src/metrics.rs; only what the stand-in truly counts is here.
type metrics struct {
	registry                                                 *prometheus.Registry
	requests                                                 *prometheus.CounterVec
	responseTime                                             *prometheus.HistogramVec
	ingestRecords, ingestBytes, ingestErrors                 *prometheus.CounterVec
	storageOriginal, storageStored, storageFiles, storageNum *prometheus.GaugeVec
	organizations, streams, memtable, diskTotal, diskUsage   *prometheus.GaugeVec
}

func newMetrics(cfg config) *metrics {
	constant := prometheus.Labels{"cluster": cfg.cluster, "instance": cfg.instance, "role": cfg.role}
	const suffix = " Please include 'organization, 'stream type', and 'stream' labels for this metric."
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "zo", Name: name, Help: help + suffix, ConstLabels: constant,
		}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "zo", Name: name, Help: help + suffix, ConstLabels: constant,
		}, labels)
	}
	request := []string{"endpoint", "status", "organization", "stream_type", "search_type", "search_group"}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("http_incoming_requests", "HTTP incoming requests.", request...),
		responseTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "zo", Name: "http_response_time", Help: "HTTP response time." + suffix, ConstLabels: constant,
		}, request),
		ingestRecords:   counter("ingest_records", "Ingested records.", "organization", "stream_type"),
		ingestBytes:     counter("ingest_bytes", "Ingested bytes.", "organization", "stream_type"),
		ingestErrors:    counter("ingest_errors", "Errors while ingesting records", "organization", "stream_type", "stream", "error_type"),
		storageOriginal: gauge("storage_original_bytes", "Storage original bytes.", "organization", "stream_type"),
		storageStored:   gauge("storage_compressed_bytes", "Storage compressed bytes.", "organization", "stream_type"),
		storageFiles:    gauge("storage_files", "Storage files.", "organization", "stream_type"),
		storageNum:      gauge("storage_records", "Storage records.", "organization", "stream_type"),
		organizations:   gauge("meta_num_organizations", "Metadata organization nums"),
		streams:         gauge("meta_num_streams", "Metadata stream nums", "organization", "stream_type"),
		diskTotal:       gauge("node_disk_total", "Total disk space of the node in bytes"),
		diskUsage:       gauge("node_disk_usage", "Disk usage of the node in bytes"),
		memtable:        gauge("ingest_memtable_bytes", "Ingestor in memory bytes of json format."),
	}
	up := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "zo", Name: "node_up", Help: "Node is up", ConstLabels: constant,
	}, []string{"version"})
	up.WithLabelValues(realVersion + "+lab-standin").Set(1)
	m.registry.MustRegister(m.requests, m.responseTime, m.ingestRecords, m.ingestBytes, m.ingestErrors, m.storageOriginal,
		m.storageStored, m.storageFiles, m.storageNum, m.organizations, m.streams, m.memtable, m.diskTotal, m.diskUsage, up)
	return m
}

// setStorage recounts the gauges from the published figures of every stream.
func (m *metrics) setStorage(s *store) {
	type group struct{ org, kind string }
	sums, counts, orgs := map[group]totals{}, map[group]int{}, map[string]struct{}{}
	var unstored int64
	for _, key := range s.keys("", "") {
		g, t := group{key.org, key.kind}, s.get(key).stats()
		unstored += s.get(key).unstored()
		sum := sums[g]
		sum.docs, sum.original, sum.stored, sum.files = sum.docs+t.docs, sum.original+t.original, sum.stored+t.stored, sum.files+t.files
		sums[g] = sum
		counts[g]++
		orgs[key.org] = struct{}{}
	}
	for g, t := range sums {
		m.storageNum.WithLabelValues(g.org, g.kind).Set(float64(t.docs))
		m.storageOriginal.WithLabelValues(g.org, g.kind).Set(float64(t.original))
		m.storageStored.WithLabelValues(g.org, g.kind).Set(float64(t.stored))
		m.storageFiles.WithLabelValues(g.org, g.kind).Set(float64(t.files))
		m.streams.WithLabelValues(g.org, g.kind).Set(float64(counts[g]))
	}
	m.organizations.WithLabelValues().Set(float64(len(orgs)))
	m.memtable.WithLabelValues().Set(float64(unstored))
}
