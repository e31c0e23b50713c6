//go:build e2e

package e2e

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// A Compose project that names the stack as a provider gets it, whatever Compose it has; several have one stack, each lets
// go of its own part alone, and the last one ends what nobody started by hand. The application sends by the OpenTelemetry SDK
// of Go, which is told nothing but the variables that Compose gives it.
func TestProvider(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	options := fmt.Sprintf("{name: %s, port: %q, otlp-grpc-port: %q, otlp-http-port: %q}",
		e.name, strconv.Itoa(e.port), strconv.Itoa(freePort(t)), strconv.Itoa(freePort(t)))
	// No name that Compose's prefix fits: it says that it needs none.
	shop := e.application("shop", "pipeline", options, "docker", "compose")
	_, err := os.Stat(filepath.Join(binaries(t), "docker-compose-2.36"))
	assert.NilError(t, err, "make bin/docker-compose-2.36 makes it")
	web := e.application("web", "otel", options, filepath.Join(binaries(t), "docker-compose-2.36"))

	t.Run("two start at once", func(t *testing.T) {
		ended := make(chan result)
		for _, app := range []application{shop, web} {
			go func() { ended <- app.compose("up", "-d") }()
		}
		for range 2 {
			e.ok(<-ended)
		}
		assert.Assert(t, e.status().Healthy)
		on := e.docker("inspect", "--format", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}", e.name+"-collector-1")
		for _, app := range []application{shop, web} {
			app.arrives(t)
			for _, network := range []string{"default", "back"} {
				assert.Assert(t, strings.Contains(on, app.project+"_"+network+" "), on)
			}
		}
		assert.Equal(t, web.variable("OTEL_EXPORTER_OTLP_ENDPOINT"), "http://otel:14318", "Compose 2.36")
		assert.Equal(t, shop.variable("OTEL_EXPORTER_OTLP_ENDPOINT"), "http://pipeline:14318")
		assert.Equal(t, shop.variable("OTEL_EXPORTER_OTLP_HEADERS"),
			"authorization=Bearer%20"+e.credentials()["otlp"][1]+",x-telemetry-project="+shop.project)
	})
	t.Run("again, nothing is made anew", func(t *testing.T) {
		// Of the stack. The application is: Compose 5.6 compares it without the variables that it was made with.
		before := e.ids(e.name)
		e.ok(shop.compose("up", "-d"))
		assert.DeepEqual(t, e.ids(e.name), before)
		shop.arrives(t)
	})
	t.Run("the token is needed", func(t *testing.T) {
		r := e.run("docker", "exec", "-e", "OTEL_EXPORTER_OTLP_HEADERS=", "-e", sendByVariables+"="+rand.Text(), shop.container(), "/app")
		assert.Assert(t, r.code != 0 && strings.Contains(r.stderr, "401"), "%s", r)
	})
	t.Run("one lets go", func(t *testing.T) {
		before := e.ids(e.name)
		e.ok(web.compose("down"))
		web.isGone(t)
		assert.DeepEqual(t, e.ids(e.name), before)
		shop.arrives(t)
	})
	t.Run("by hand, another collector is where the first was, and the stack stays", func(t *testing.T) {
		before := e.ids(e.name)
		e.ok(e.telemetry("up", "--no-verify", "--otlp", "plain"))
		after := e.ids(e.name)
		assert.Assert(t, before[e.name+"-collector-1"] != after[e.name+"-collector-1"])
		shop.arrives(t)
		e.ok(shop.compose("down"))
		shop.isGone(t)
		assert.DeepEqual(t, e.ids(e.name), after)
		e.ok(e.telemetry("stop"))
	})
	t.Run("started for a project, it stops with it", func(t *testing.T) {
		e.ok(shop.compose("up", "-d"))
		shop.arrives(t)
		e.ok(shop.compose("stop", "--timeout", "1"))
		assert.Equal(t, e.docker("ps", "-q", "--filter", "label=io.github.docker-telemetry.stack="+e.name), "")
		e.ok(shop.compose("up", "-d"))
		shop.arrives(t)
	})
	t.Run("the last one ends the stack", func(t *testing.T) {
		e.ok(shop.compose("down"))
		shop.isGone(t)
		assert.Equal(t, len(e.ids(e.name)), 0)
		assert.Assert(t, strings.Contains(e.docker("volume", "ls", "-q"), e.name+"_openobserve-data"), "the data must stay")
	})
}

// application is a Compose project whose service app depends on a provider.
type application struct {
	*env
	project, file string
	command       []string // that is Compose
}

// application writes the compose file of one. The app is this test's own program, on an image that has nothing of it.
func (e *env) application(name, service, options string, compose ...string) application {
	e.t.Helper()
	program, err := os.Executable()
	assert.NilError(e.t, err)
	app := application{env: e, project: e.name + "-" + name, command: compose}
	app.file = filepath.Join(e.t.TempDir(), "compose.yaml")
	text := fmt.Sprintf(`services:
  %s:
    provider: {type: telemetry, options: %s}
  app:
    image: %s
    depends_on: [%[1]s]
    command: [sh, -c, "echo %[4]s-started; sleep 3600"]
    init: true
    volumes: ["%[5]s:/app:ro"]
    networks: [default, back]
networks: {back: {}}
`, service, options, busybox, app.project, program)
	assert.NilError(e.t, os.WriteFile(app.file, []byte(text), 0o644))
	e.t.Cleanup(func() { app.compose("down", "--timeout", "1") })
	return app
}

func (a application) compose(args ...string) result {
	return a.run(append(append([]string{}, a.command...), append([]string{"-p", a.project, "-f", a.file, "--progress", "plain"}, args...)...)...)
}

func (a application) container() string {
	a.t.Helper()
	return a.docker("ps", "-q", "--no-trunc", "--filter", "label=com.docker.compose.project="+a.project, "--filter", "label=com.docker.compose.service=app")
}

// variable is one that the application was started with.
func (a application) variable(name string) string {
	a.t.Helper()
	for line := range strings.Lines(a.docker("exec", a.container(), "env")) {
		if value, is := strings.CutPrefix(strings.TrimSpace(line), name+"="); is {
			return value
		}
	}
	return ""
}

// arrives sends one item of each signal and finds it, with the project that it is of; and what the application printed.
func (a application) arrives(t *testing.T) {
	t.Helper()
	id := rand.Text()
	// A collector that was made anew may not listen yet.
	eventually(t, time.Minute, func() error {
		if r := a.run("docker", "exec", "-e", sendByVariables+"="+id, a.container(), "/app"); r.code != 0 {
			return fmt.Errorf("%s", r)
		}
		return nil
	})
	// OpenObserve puts service_ before what a span's resource says.
	fields := map[string]string{"logs": "project", "traces": "service_project"}
	for _, signal := range signals() {
		eventually(t, time.Minute, func() error {
			found, err := a.otlpIDs(signal, fmt.Sprintf("probe_id = '%s' AND %s = '%s'", id, fields[signal], a.project),
				fmt.Sprintf("probe_id=%q,project=%q", id, a.project))
			if err == nil && !found[id] {
				err = fmt.Errorf("%s: no item %q of project %s", signal, id, a.project)
			}
			return err
		})
	}
	eventually(t, time.Minute, func() error {
		hits, err := a.search("logs", fmt.Sprintf(`SELECT * FROM "docker" WHERE message = '%s-started' AND project = '%[1]s'`, a.project))
		if err == nil && len(hits) == 0 {
			err = fmt.Errorf("no line of project %s", a.project)
		}
		return err
	})
}

// isGone requires that nothing of the project is left.
func (a application) isGone(t *testing.T) {
	t.Helper()
	label := "label=com.docker.compose.project=" + a.project
	assert.Equal(t, a.docker("ps", "-aq", "--filter", label), "")
	assert.Equal(t, a.docker("network", "ls", "-q", "--filter", label), "")
}
