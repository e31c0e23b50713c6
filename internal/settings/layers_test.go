package settings_test

import (
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// newSource is a user without any state, at an engine that is a Linux of its own and has the features given.
func newSource(t *testing.T, features ...string) settings.Source {
	t.Helper()
	root := state.Root{Config: filepath.Join(t.TempDir(), "config"), State: filepath.Join(t.TempDir(), "state")}
	stored, err := root.Stack("default", "telemetry")
	assert.NilError(t, err)
	return settings.Source{
		Root: root, Stack: stored, Engine: stack.Engine{Name: "laptop", API: "1.41", OS: "Debian", SocketPath: "/var/run/docker.sock"},
		Feature: func(name string) (bool, error) { return slices.Contains(features, name), nil },
		Now:     time.Now, Rand: rand.Reader,
	}
}

// own writes a profile of the user's, with the lines given in its profile.yaml.
func own(t *testing.T, source settings.Source, name string, lines ...string) {
	t.Helper()
	folder := filepath.Join(settings.ProfileFolder(source.Root), name)
	assert.NilError(t, os.MkdirAll(folder, 0o755))
	text := strings.Join(append([]string{"name: " + name, "adds: x"}, lines...), "\n")
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "profile.yaml"), []byte(text), 0o600))
	for _, file := range []string{"compose.yaml", "b.yaml"} {
		assert.NilError(t, os.WriteFile(filepath.Join(folder, file), []byte("services: {}\n"), 0o600))
	}
}

// up does with the state what the command does.
func up(t *testing.T, source settings.Source, request settings.Request) settings.Result {
	t.Helper()
	result, err := source.Remember(request)
	assert.NilError(t, err)
	assert.NilError(t, source.Stack.Save(result.File))
	return result
}

func layerNames(result settings.Result) string {
	var all []string
	for _, layer := range result.Settings.Layers {
		all = append(all, layer.Name)
	}
	return strings.Join(all, ", ")
}

func TestProfilesAreRemembered(t *testing.T) {
	source := newSource(t)
	assert.Equal(t, layerNames(up(t, source, settings.Request{})), "")

	first := up(t, source, settings.Request{Profiles: []string{"scaled", "quiet-logs"}})
	assert.DeepEqual(t, first.File.Profiles, []string{"quiet-logs", "scaled-aggregators"})
	assert.Equal(t, layerNames(first), "profile quiet-logs, profile scaled-aggregators")

	again := up(t, source, settings.Request{})
	assert.DeepEqual(t, again.File.Profiles, first.File.Profiles)
	assert.Equal(t, layerNames(again), layerNames(first))

	other := up(t, source, settings.Request{Profiles: []string{"quiet-logs"}})
	assert.DeepEqual(t, other.File.Profiles, []string{"quiet-logs"})

	off := up(t, source, settings.Request{Profiles: []string{"none"}})
	assert.Equal(t, len(off.File.Profiles), 0)
	assert.Equal(t, layerNames(up(t, source, settings.Request{})), "")
}

// What was asked for before a profile brought its own number is older than the profile; what is asked for with it or
// after it is not.
func TestScaleOfProfilesAndOfTheUser(t *testing.T) {
	scale := func(n int) map[string]int { return map[string]int{stack.Aggregator: n} }
	scaled, none := []string{"scaled-aggregators"}, []string{"none"}
	for _, tc := range []struct {
		name     string
		requests []settings.Request
		want     map[string]int
	}{
		{"nothing asked for", []settings.Request{{}}, nil},
		{"the profile's", []settings.Request{{Profiles: scaled}}, scale(3)},
		{"an older number is forgotten", []settings.Request{{Scale: scale(5)}, {Profiles: scaled}}, scale(3)},
		{"and stays forgotten", []settings.Request{{Scale: scale(5)}, {Profiles: scaled}, {Profiles: none}}, nil},
		{"asked for at once", []settings.Request{{Profiles: scaled, Scale: scale(5)}}, scale(5)},
		{"asked for later", []settings.Request{{Profiles: scaled}, {Scale: scale(5)}}, scale(5)},
		{"asked for later, and kept", []settings.Request{{Profiles: scaled}, {Scale: scale(5)}, {}}, scale(5)},
		{"named again with the same profile", []settings.Request{{Profiles: scaled}, {Scale: scale(5)}, {Profiles: scaled}}, scale(5)},
		{"a profile that says nothing of it", []settings.Request{{Scale: scale(5)}, {Profiles: []string{"quiet-logs"}}}, scale(5)},
		{"from one number to another's", []settings.Request{{Profiles: scaled}, {Scale: scale(5)}, {Profiles: []string{"minimal"}}}, scale(1)},
		{"the profile goes, the wish stays", []settings.Request{{Profiles: scaled}, {Scale: scale(5)}, {Profiles: none}}, scale(5)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			source := newSource(t)
			var result settings.Result
			for _, request := range tc.requests {
				result = up(t, source, request)
			}
			assert.Assert(t, maps.Equal(result.Settings.Scale, tc.want), "%v", result.Settings.Scale)
			again := up(t, source, settings.Request{})
			assert.Assert(t, maps.Equal(again.Settings.Scale, tc.want), "a second up changes it to %v", again.Settings.Scale)
		})
	}
}

func TestOptionsAreRemembered(t *testing.T) {
	source := newSource(t)
	otel := []string{"otel"}
	assert.Equal(t, up(t, source, settings.Request{Profiles: otel}).Settings.Options["otlp"], "tls")
	plain := up(t, source, settings.Request{Options: map[string]string{"otlp": "plain"}})
	assert.Equal(t, plain.Settings.Options["otlp"], "plain")
	assert.Equal(t, plain.Settings.Options["otlp-grpc-port"], "4317")
	assert.Equal(t, up(t, source, settings.Request{}).Settings.Options["otlp"], "plain")
	off := up(t, source, settings.Request{Profiles: []string{"none"}})
	assert.Equal(t, len(off.Settings.Options), 0)
	assert.Equal(t, up(t, source, settings.Request{Profiles: otel}).Settings.Options["otlp"], "plain", "it comes back with its profile")
}

func TestPartsFollowTheHost(t *testing.T) {
	source := newSource(t, "journal-volatile")
	own(t, source, "mine", "parts:",
		"- {file: compose.yaml, when: {host: journal-persistent}, otherwise: no journal on the disk}",
		"- {file: b.yaml, when: {host: journal-volatile}}")
	result := up(t, source, settings.Request{Profiles: []string{"mine"}})
	assert.Equal(t, layerNames(result), filepath.Join(settings.ProfileFolder(source.Root), "mine", "b.yaml"))
	assert.DeepEqual(t, result.Notes, []string{"no journal on the disk"})
	assert.DeepEqual(t, result.File.Features, map[string]bool{"journal-persistent": false, "journal-volatile": true})

	source.Feature = nil // another command: it goes by what up found
	assert.Equal(t, layerNames(up(t, source, settings.Request{})), layerNames(result))

	source.Engine.Kernel = "5.15.153.1-microsoft-standard-WSL2"
	otel := up(t, source, settings.Request{Profiles: []string{"otel"}})
	assert.Equal(t, len(otel.Notes), 1)
	assert.Assert(t, strings.Contains(otel.Notes[0], "WSL2"), otel.Notes[0])
}

func TestOverlaysAreRemembered(t *testing.T) {
	source := newSource(t)
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"a.yaml", "b.yaml"} {
		assert.NilError(t, os.WriteFile(name, []byte("services: {}\n"), 0o600))
	}
	both := up(t, source, settings.Request{Overlays: []string{"b.yaml", "./a.yaml", filepath.Join(dir, "b.yaml")}, Profiles: []string{"quiet-logs"}})
	assert.DeepEqual(t, both.File.Overlays, []string{filepath.Join(dir, "b.yaml"), filepath.Join(dir, "a.yaml")})
	assert.Equal(t, layerNames(both), "profile quiet-logs, "+filepath.Join(dir, "b.yaml")+", "+filepath.Join(dir, "a.yaml"))

	t.Chdir(t.TempDir()) // remembered by their whole path
	assert.Equal(t, layerNames(up(t, source, settings.Request{})), layerNames(both))
	assert.Equal(t, layerNames(up(t, source, settings.Request{Overlays: []string{"none"}})), "profile quiet-logs")
	assert.Equal(t, layerNames(up(t, source, settings.Request{})), "profile quiet-logs")
}

func TestSettingsRefuse(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "overlay.yaml")
	for _, tc := range []struct {
		name       string
		given      func(t *testing.T, source settings.Source)
		request    settings.Request
		want, hint string
		usage      bool
	}{
		{"an unknown profile", nil, settings.Request{Profiles: []string{"otle"}}, `there is no profile "otle"`, "profiles: ", true},
		{
			"two that cannot be combined", nil,
			settings.Request{Profiles: []string{"minimal", "scaled"}},
			"profiles minimal and scaled-aggregators cannot be combined: minimal runs one aggregator", "choose one: ", true,
		},
		{
			"an option's value", nil,
			settings.Request{Profiles: []string{"otel"}, Options: map[string]string{"otlp": "tcp"}},
			`--otlp "tcp" is not one of tls, plain`, "docker telemetry profiles show otel", true,
		},
		{
			"an option of a profile that is off", nil,
			settings.Request{Options: map[string]string{"otlp": "plain"}},
			"--otlp is an option of profile otel, which is off", "docker telemetry up --profile otel --otlp plain", true,
		},
		{
			"an option of a profile that is switched off", func(t *testing.T, source settings.Source) {
				up(t, source, settings.Request{Profiles: []string{"otel"}})
			},
			settings.Request{Profiles: []string{"none"}, Options: map[string]string{"otlp": "plain"}},
			"--otlp is an option of profile otel, which is off", "docker telemetry up --profile otel --otlp plain", true,
		},
		{"an option of none", nil, settings.Request{Options: map[string]string{"color": "red"}}, `no profile has an option "color"`, "docker telemetry profiles ls", true},
		{
			"a need that the host has not", func(t *testing.T, source settings.Source) {
				own(t, source, "mine", "needs: [journal]")
				own(t, source, "yours", "needs: [journal]")
			},
			settings.Request{Profiles: []string{"mine", "yours"}},
			"profiles mine and yours need a systemd journal on the engine's host (journald runs, and keeps it in /var/log or /run/log), and laptop has none", "leave it out: docker telemetry profiles ls", true,
		},
		{
			"a profile that was removed", func(t *testing.T, source settings.Source) {
				own(t, source, "mine")
				up(t, source, settings.Request{Profiles: []string{"mine", "otel"}})
				assert.NilError(t, os.RemoveAll(settings.ProfileFolder(source.Root)))
			}, settings.Request{}, "profile mine is on, and is there no more", "put it back, or go on without: docker telemetry up --profile otel", false,
		},
		{
			"the only profile, which was removed", func(t *testing.T, source settings.Source) {
				own(t, source, "mine")
				up(t, source, settings.Request{Profiles: []string{"mine"}})
				assert.NilError(t, os.RemoveAll(settings.ProfileFolder(source.Root)))
			}, settings.Request{}, "profile mine is on, and is there no more", "put it back, or go on without: docker telemetry up --profile none", false,
		},
		{
			"an overlay that is not there", nil,
			settings.Request{Overlays: []string{missing}},
			`there is no overlay file "` + missing + `"`, "put it back, or go on without: docker telemetry up -f none", true,
		},
		{
			"an overlay that was removed", func(t *testing.T, source settings.Source) {
				assert.NilError(t, os.WriteFile(missing, []byte("services: {}\n"), 0o600))
				up(t, source, settings.Request{Overlays: []string{missing}})
				assert.NilError(t, os.Remove(missing))
			}, settings.Request{}, `there is no overlay file "` + missing + `"`, "put it back, or go on without: docker telemetry up -f none", false,
		},
		{"no path", nil, settings.Request{Overlays: []string{""}}, "-f names no file", "docker telemetry up -f overlay.yaml", true},
		{"none beside a path", nil, settings.Request{Overlays: []string{"none", "a.yaml"}}, "-f none leaves all overlays out and stands alone", "leave one of the two out", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			source := newSource(t)
			if tc.given != nil {
				tc.given(t, source)
			}
			_, err := source.Remember(tc.request)
			assert.Error(t, err, tc.want)
			var hinted interface{ Hint() string }
			assert.Assert(t, errors.As(err, &hinted))
			assert.Assert(t, strings.HasPrefix(hinted.Hint(), tc.hint), hinted.Hint())
			var refusal *stack.Error
			var profile *profiles.Error
			usage := errors.As(err, &refusal) && refusal.Usage || errors.As(err, &profile) && profile.Usage
			assert.Equal(t, usage, tc.usage)
		})
	}
}

// A profile that cannot be read must not be in the way of switching all off.
func TestNoneReadsNoProfile(t *testing.T) {
	source := newSource(t)
	own(t, source, "mine")
	up(t, source, settings.Request{Profiles: []string{"mine"}})
	own(t, source, "mine", "nonsense: true")
	_, err := source.Remember(settings.Request{})
	assert.ErrorContains(t, err, "profile.yaml:3: nonsense: it is not known here")
	assert.Equal(t, layerNames(up(t, source, settings.Request{Profiles: []string{"none"}})), "")
}

func TestLoginsOfProfiles(t *testing.T) {
	source := newSource(t)
	own(t, source, "mine", "credentials: {store: {user: me}}")
	request := settings.Request{Profiles: []string{"mine"}}
	before, err := source.Remember(request)
	assert.NilError(t, err)
	assert.Equal(t, len(before.Credentials), 0, "Remember makes nothing")
	assert.Assert(t, before.Settings.Secrets["store_password"] != "", "a placeholder, for showing")

	made, err := source.Prepare(t.Context(), request)
	assert.NilError(t, err)
	assert.Equal(t, made.Settings.Secrets["store_user"], "me")
	assert.NilError(t, source.Stack.Save(made.File))

	up(t, source, settings.Request{Profiles: []string{"none"}})
	off, err := source.Prepare(t.Context(), settings.Request{})
	assert.NilError(t, err)
	_, there := off.Settings.Secrets["store_password"]
	assert.Assert(t, !there)

	back, err := source.Prepare(t.Context(), request)
	assert.NilError(t, err)
	assert.Equal(t, back.Settings.Secrets["store_password"], made.Settings.Secrets["store_password"], "its store still has the old one")
}

// up refuses replicas beyond the same bounds as a profile.yaml.
func TestReplicasAreBoundedAlike(t *testing.T) {
	assert.Equal(t, profiles.MaxReplicas, stack.MaxReplicas)
}
