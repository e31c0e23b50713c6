package retention_test

import (
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
)

func told(bytes float64) *float64 { return &bytes }

// engineHeld has one of everything that an engine keeps beside the data.
func engineHeld() *retention.EngineHeld {
	return &retention.EngineHeld{
		Logs: []retention.LogHeld{
			{Container: "telemetry-agent-1", Driver: "json-file", Kept: true, Most: 30e6, Bytes: told(12e6)},
			{Container: "telemetry-gateway-1", Driver: "json-file", Kept: true, Most: 30e6, Bytes: told(3e6)},
			{Container: "telemetry-mine-1", Driver: "local", Kept: true, Most: 100e6},
			{Container: "telemetry-loud-1", Driver: "json-file", Kept: true},
			{Container: "telemetry-far-1", Driver: "syslog"},
			{Container: "telemetry-mute-1", Driver: "none"},
		},
		Images: []retention.ImageHeld{
			{Name: "nginx:1.28", Bytes: 50e6}, {Name: "vector:0.50", Bytes: 150e6}, {Name: "nginx:1.27", Bytes: 49e6, Former: true},
		},
		Volumes: []retention.VolumeHeld{
			{Name: "telemetry_mongodb-data", Why: "of a profile or overlay that is off", Data: true, Bytes: told(300e6)},
			{Name: "telemetry_grafana-data.1", Why: "of a restore that is over", Bytes: told(1e6)},
		},
	}
}

func onEngine(t *testing.T, held *retention.EngineHeld) retention.Report {
	t.Helper()
	report, err := retention.Analyse(retention.Collected{Request: retention.Request{Now: now()}, Engine: held}, retention.Options{})
	assert.NilError(t, err)
	return report
}

func rows(report retention.Report) []string {
	var all []string
	for _, other := range report.Others {
		all = append(all, strings.Join([]string{other.Kind, other.Name, string(other.How), other.Over}, "|"))
	}
	return all
}

func TestWhatTheEngineKeeps(t *testing.T) {
	report := onEngine(t, engineHeld())
	assert.DeepEqual(t, rows(report), []string{
		"volume|volume telemetry_mongodb-data|reported|by the engine; of a profile or overlay that is off",
		"image|images|reported|by the engine, 2 images of its containers; a layer that two share counts in each",
		"log|container logs|bound|max-size times max-file of 1 container; the engine does not tell what is there",
		"image|images of earlier pins|reported|by the engine, 1 image; a layer that a newer one shares counts too",
		"log|container logs|measured|now, the files of 2 containers; they take 60.0 MB at most",
		"volume|volume telemetry_grafana-data.1|reported|by the engine; of a restore that is over",
	})
	assert.Equal(t, report.Others[1].Bytes, 200e6)
	assert.Equal(t, report.Others[4].Bytes, 15e6)
	assert.DeepEqual(t, report.Notes, []string{
		"logs of telemetry-loud-1: they have no limit, and their files cannot be read from here",
		"container logs that go to syslog: what they take there is not known, nor what the engine caches of them",
	})
	assert.Equal(t, codes(report), "DTR012 telemetry-loud-1; DTR013 engine")
	left := report.Findings[1]
	assert.Equal(t, left.Bytes, 350e6)
	assert.Equal(t, left.Title, "volume telemetry_mongodb-data, volume telemetry_grafana-data.1, 1 image of earlier pins: nothing of this stack uses it any more; "+
		"350.0 MB at most, for layers may be shared")
	assert.Equal(t, left.Fix, "see it, and remove it: docker telemetry prune; with --volumes the data of what is off")
}

// What is not known is in no sum.
func TestWhatTheEngineDoesNotTell(t *testing.T) {
	held := engineHeld()
	held.Volumes[0].Bytes, held.Images = nil, nil
	held.Logs = held.Logs[3:4]
	report := onEngine(t, held)
	assert.DeepEqual(t, rows(report), []string{"volume|volume telemetry_grafana-data.1|reported|by the engine; of a restore that is over"})
	assert.Equal(t, report.Findings[1].Title, "volume telemetry_mongodb-data, volume telemetry_grafana-data.1: nothing of this stack uses it any more")

	held.Logs[0].Bytes = told(7e6)
	report = onEngine(t, held)
	assert.Equal(t, rows(report)[0], "log|container logs|measured|now, the files of 1 container")
	assert.Equal(t, report.Findings[0].Bytes, 7e6)
	assert.Equal(t, len(report.Notes), 0)
}

// A stack that is as it should be has rows and no finding; without an engine it has neither.
func TestNothingIsLeft(t *testing.T) {
	held := engineHeld()
	held.Logs, held.Volumes = held.Logs[:2], nil
	held.Images = slices.DeleteFunc(held.Images, func(image retention.ImageHeld) bool { return image.Former })
	assert.Equal(t, codes(onEngine(t, held)), "")
	assert.Equal(t, len(rows(onEngine(t, held))), 2)
	assert.Equal(t, len(rows(onEngine(t, nil))), 0)
}
