package keeping_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/keeping"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		words, want, err string
	}{
		{"metrics=30d logs=7d", "metrics=30d logs=7d", ""},
		{"metrics=36h", "metrics=36h", ""},
		{"metrics=2w logs=1M traces=1y", "metrics=14d logs=31d traces=365d", ""},
		{"logs/docker=72h traces/default=4d", "logs/docker=3d traces/default=4d", ""},
		{"logs=default metrics=default logs/x=default", "metrics=default logs=default logs/x=default", ""},
		{"logs/a/b=3d", "logs/a/b=3d", ""},
		{"metrics=24h", "metrics=1d", ""},
		{"metrics=23h", "", "metrics takes a retention of 1 d at least, not 23h"},
		{"metrics=1.01d", "", "metrics takes whole hours"},
		{"metrics=30", "", `"30" has no unit, such as 30d`},
		{"metrics=-3d", "", `"-3d" is no retention such as 30d`},
		{"metrics/x=3d", "", `"metrics/x" is neither metrics, logs nor traces, nor a stream such as logs/docker`},
		{"metrics/x=default", "", `"metrics/x" is neither metrics, logs nor traces, nor a stream such as logs/docker`},
		{"logs/=3d", "", `"logs/" is neither metrics, logs nor traces, nor a stream such as logs/docker`},
		{"logs=1d", "", "logs takes a retention of 3 d at least, not 1d"},
		{"traces=80h", "", "traces takes whole days, not 80h"},
		{"logs=101y", "", "logs takes a retention of 36500 d at most"},
		{"logs=1e300d", "", "logs takes a retention of 36500 d at most"},
		{"metrics=NaNd", "", `"NaNd" is no retention such as 30d`},
		{"logs", "", `"logs" is no setting such as metrics=30d`},
		{"logs=4d logs=5d", "", "logs is given twice"},
	} {
		t.Run(tc.words, func(t *testing.T) {
			policy, err := keeping.Parse(strings.Fields(tc.words))
			if tc.err != "" {
				assert.Error(t, err, tc.err)
				return
			}
			assert.NilError(t, err)
			var got []string
			for _, target := range policy.Targets() {
				got = append(got, target+"="+policy[target])
			}
			assert.Equal(t, strings.Join(got, " "), tc.want)
		})
	}
}

func TestWith(t *testing.T) {
	policy := keeping.Policy{"metrics": "30d", "logs/docker": "3d"}
	merged := policy.With(keeping.Policy{"metrics": "9d", "traces": "4d", "logs/docker": keeping.Default, "logs": keeping.Default})
	assert.DeepEqual(t, merged, keeping.Policy{"metrics": "9d", "traces": "4d"})
	assert.DeepEqual(t, policy, keeping.Policy{"metrics": "30d", "logs/docker": "3d"})
	assert.Assert(t, policy.With(keeping.Policy{"metrics": keeping.Default, "logs/docker": keeping.Default}) == nil)
}

// store is an OpenObserve with two streams of logs and two of traces, of which two have a setting of their own.
type store struct {
	streams []openobserve.Held
	global  int
	fail    error
	told    []string
}

func newStore() *store {
	return &store{global: 14, streams: []openobserve.Held{
		{Kind: "logs", Name: "docker", Days: 5}, {Kind: "logs", Name: "host"}, {Kind: "traces", Name: "default"}, {Kind: "traces", Name: "docker", Days: 20},
	}}
}

func (s *store) Keeping(context.Context) (openobserve.Keeping, error) {
	return openobserve.Keeping{Days: s.global}, s.fail
}

func (s *store) Held(_ context.Context, kind string) ([]openobserve.Held, error) {
	var held []openobserve.Held
	for _, one := range s.streams {
		if one.Kind == kind {
			held = append(held, one)
		}
	}
	return held, s.fail
}

func (s *store) SetDays(_ context.Context, kind, name string, days int) error {
	for i, one := range s.streams {
		if one.Kind == kind && one.Name == name {
			s.streams[i].Days = days
		}
	}
	s.told = append(s.told, kind+"/"+name)
	return s.fail
}

// flags is a VictoriaMetrics that runs with a -retentionPeriod.
type flags string

func (f flags) QueryLatest(context.Context, string) ([]victoriametrics.Sample, error) {
	switch f {
	case "":
		return nil, nil
	case "down":
		return nil, errors.New("connection refused")
	default:
		return []victoriametrics.Sample{{Labels: map[string]string{"value": string(f), "is_set": "true"}}}, nil
	}
}

func TestRead(t *testing.T) {
	found := keeping.Read(t.Context(), flags("30d"), newStore())
	assert.Equal(t, len(found.Notes), 0)
	assert.Equal(t, found.Days("metrics"), 30.0)
	assert.Equal(t, found.Days("logs"), 14.0)
	assert.Equal(t, found.Days("logs/docker"), 5.0)
	assert.Equal(t, found.Days("logs/host"), 14.0)
	assert.Equal(t, len(found.Streams), 4)

	found = keeping.Read(t.Context(), flags(""), newStore())
	assert.DeepEqual(t, found.Notes, []string{"VictoriaMetrics has not said yet: it writes of itself every 15 s"})
	broken := newStore()
	broken.fail = errors.New("timeout")
	found = keeping.Read(t.Context(), flags("down"), broken)
	assert.DeepEqual(t, found.Notes, []string{"VictoriaMetrics: connection refused", "OpenObserve: timeout"})
	assert.Assert(t, found.Logs == nil)
}

func TestApply(t *testing.T) {
	for _, tc := range []struct {
		name    string
		policy  keeping.Policy
		dropped []string
		want    string
	}{
		{"nothing asked leaves what others set", nil, nil, ""},
		{"a stream", keeping.Policy{"logs/host": "3d"}, nil, "logs/host"},
		{"as it is", keeping.Policy{"logs/docker": "5d"}, nil, ""},
		{"all traces", keeping.Policy{"traces": "4d"}, nil, "traces/default traces/docker"},
		{"all traces, one otherwise", keeping.Policy{"traces": "4d", "traces/docker": "20d"}, nil, "traces/default"},
		{"taken back", nil, []string{"logs/docker"}, "logs/docker"},
		{"all traces taken back", nil, []string{"traces"}, "traces/docker"},
		{"all taken back, one stays", keeping.Policy{"traces/docker": "20d"}, []string{"traces"}, ""},
		{"of a store alone", keeping.Policy{"metrics": "9d", "logs": "9d"}, []string{"metrics"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStore()
			changed, err := keeping.Apply(t.Context(), s, s.streams, tc.policy, tc.dropped...)
			assert.NilError(t, err)
			assert.Equal(t, strings.Join(changed, " "), tc.want)
			assert.Equal(t, strings.Join(s.told, " "), tc.want)
			again, err := keeping.Apply(t.Context(), s, s.streams, tc.policy, tc.dropped...)
			assert.NilError(t, err)
			assert.Equal(t, len(again), 0, "a second time does nothing")
		})
	}
	s := newStore()
	s.fail = errors.New("timeout")
	_, err := keeping.Apply(t.Context(), s, s.streams, keeping.Policy{"logs/host": "3d"})
	assert.Error(t, err, "set the retention of logs/host: timeout")
}

func TestChange(t *testing.T) {
	global := func(metrics, logs string) map[string]string {
		return map[string]string{"metrics": metrics, "logs": logs}
	}
	was := global("14d", "14d")
	for _, tc := range []struct {
		name          string
		before, asked keeping.Policy
		will          map[string]string
		shorter       string
		idle, taken   bool
		restarts      bool
		wanted        float64
	}{
		{"longer", nil, keeping.Policy{"metrics": "30d"}, global("30d", "14d"), "", false, false, true, 30},
		{"shorter", nil, keeping.Policy{"metrics": "7d"}, global("7d", "14d"), "metrics", false, false, true, 7},
		{"the default, by name", nil, keeping.Policy{"metrics": "14d"}, was, "", false, true, false, 14},
		{"the same again", keeping.Policy{"metrics": "14d"}, keeping.Policy{"metrics": "14d"}, was, "", true, true, false, 14},
		{"default of what has none", nil, keeping.Policy{"logs": keeping.Default}, was, "", true, true, false, 14},
		{"a stream, shorter", nil, keeping.Policy{"logs/host": "3d"}, was, "logs/host", false, false, false, 3},
		{"a stream, longer", nil, keeping.Policy{"logs/docker": "9d"}, was, "", false, false, false, 9},
		{"a stream as somebody set it", nil, keeping.Policy{"logs/docker": "5d"}, was, "", false, true, false, 5},
		{"a stream back to a longer default", keeping.Policy{"logs/docker": "5d"}, keeping.Policy{"logs/docker": keeping.Default}, was, "", false, false, false, 14},
		{"traces, one of them shorter", nil, keeping.Policy{"traces": "16d"}, was, "traces", false, false, false, 16},
		{"traces, all longer", nil, keeping.Policy{"traces": "21d"}, was, "", false, false, false, 21},
		{"logs", nil, keeping.Policy{"logs": "7d"}, global("14d", "7d"), "logs", false, false, true, 7},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found := keeping.Read(t.Context(), flags("14d"), newStore())
			change := keeping.Change{Asked: tc.asked, Before: tc.before, After: tc.before.With(tc.asked), Was: was, Will: tc.will}
			assert.Equal(t, strings.Join(change.Shorter(found), " "), tc.shorter)
			assert.Equal(t, change.Idle(found), tc.idle)
			assert.Equal(t, change.Taken(found), tc.taken)
			assert.Equal(t, change.Restarts(), tc.restarts)
			assert.Equal(t, change.Overruled(), "")
			assert.Equal(t, change.Wanted()[0].Days, tc.wanted)
		})
	}
	change := keeping.Change{Asked: keeping.Policy{"logs": "7d"}, Was: was, Will: was}
	assert.Equal(t, change.Overruled(), "logs")
	// Where nothing is deleted at all, any setting deletes.
	off := newStore()
	off.global = 0
	change = keeping.Change{Asked: keeping.Policy{"logs": "99d"}, Was: was, Will: global("14d", "99d")}
	assert.DeepEqual(t, change.Shorter(keeping.Read(t.Context(), flags("14d"), off)), []string{"logs"})
	// What does not run is judged by what it was told.
	change = keeping.Change{
		Asked: keeping.Policy{"metrics": "7d", "logs": "20d", "logs/docker": "4d", "traces": "9d"},
		After: keeping.Policy{"metrics": "7d", "logs": "20d", "logs/docker": "4d", "traces": "9d"}, Was: was, Will: global("7d", "20d"),
	}
	assert.DeepEqual(t, change.Shorter(keeping.InForce{}), []string{"logs/docker", "metrics", "traces"})
}

func TestDiffers(t *testing.T) {
	found := keeping.Read(t.Context(), flags("14d"), newStore())
	assert.DeepEqual(t, found.Differs(keeping.Policy{"metrics": "14d", "logs": "14d", "logs/docker": "5d"}), []string(nil))
	assert.DeepEqual(t, found.Differs(keeping.Policy{"metrics": "2w", "logs": "15d", "logs/host": "14d", "traces": "20d"}), []string{"logs", "traces", "logs/host"})
	assert.DeepEqual(t, keeping.InForce{}.Differs(keeping.Policy{"metrics": "2w", "logs": "15d", "traces": "20d"}), []string(nil))
}
