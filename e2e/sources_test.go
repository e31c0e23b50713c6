//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// The data sources must come with log-ins that hold, with metrics in every panel, and go without a trace but their volumes.
// `up` itself ends with the checks of each profile.
func TestDataSources(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--profile", "rabbitmq", "--profile", "valkey")
	t.Run("RabbitMQ by the gateway", func(t *testing.T) { rabbitMQByTheGateway(t, e) })
	t.Run("nobody without a password", func(t *testing.T) { sourcesAskForPasswords(t, e) })
	t.Run("no password is shown", func(t *testing.T) { sourcesHideSecrets(t, e, "rabbitmq", "valkey") })
	t.Run("no panel is empty", func(t *testing.T) {
		for _, profile := range []string{"rabbitmq", "valkey"} {
			dashboardsHaveData(t, e, "../profiles/"+profile+"/config/grafana/dashboards/*.json", 1)
		}
	})
	t.Run("logs of RabbitMQ have their levels", func(t *testing.T) { rabbitMQHasLevels(t, e) })
	t.Run("data survives another up", func(t *testing.T) { sourcesKeepData(t, e) })
	t.Run("switched off", func(t *testing.T) { sourcesSwitchOff(t, e) })
}

// rabbitMQByTheGateway uses the management API as the UI does. The default virtual host is "/", written %2F, which a
// rewriting proxy would decode.
func rabbitMQByTheGateway(t *testing.T, e *env) {
	page, err := e.call("", http.MethodGet, "/rabbitmq/", "")
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(page, "RabbitMQ Management"), "%.300s", page)

	e.answers(t, "rabbitmq", http.MethodPut, "/rabbitmq/api/queues/%2F/kept", `{"durable":true}`, http.StatusCreated)
	e.answers(t, "rabbitmq", http.MethodPost, "/rabbitmq/api/exchanges/%2F/amq.default/publish",
		`{"properties":{"delivery_mode":2},"routing_key":"kept","payload":"a message","payload_encoding":"string"}`, http.StatusOK)
	e.answers(t, "victoriametrics", http.MethodGet, "/rabbitmq/api/overview", "", http.StatusUnauthorized)
	eventually(t, time.Minute, func() error {
		return e.hasSeries(`rabbitmq_detailed_queue_messages{job="rabbitmq",queue="kept",vhost="/"} == 1`)
	})

	page, err = e.call("", http.MethodGet, "/", "")
	assert.NilError(t, err)
	_, card, found := strings.Cut(page, ">RabbitMQ</a></h2>")
	assert.Assert(t, found, page)
	line, _, _ := strings.Cut(card, "</li>")
	assert.Assert(t, strings.Contains(line, "healthy"), line)
	said := e.ok(e.telemetry("open", "rabbitmq", "--print"))
	assert.Equal(t, strings.TrimSpace(said.stdout), fmt.Sprintf("https://localhost:%d/rabbitmq/", e.port))
}

// answers requires a status of a request by the gateway.
func (e *env) answers(t *testing.T, login, method, path, body string, status int) string {
	t.Helper()
	text, got, err := e.ask(login, method, path, body)
	assert.NilError(t, err)
	assert.Equal(t, got, status, "%s %s: %.300s", method, path, text)
	return text
}

// execIn runs a command in a component's container and returns what it printed and how it ended.
func (e *env) execIn(component string, args ...string) result {
	return e.run(append([]string{"docker", "exec", e.name + "-" + component + "-1"}, args...)...)
}

func sourcesAskForPasswords(t *testing.T, e *env) {
	refused := e.execIn("valkey", "valkey-cli", "ping")
	assert.Assert(t, strings.Contains(refused.stdout+refused.stderr, "NOAUTH"), refused)
	e.answers(t, "", http.MethodGet, "/rabbitmq/api/overview", "", http.StatusUnauthorized)
	// The log-in that RabbitMQ makes by itself where it is given none.
	before := e.logins
	e.logins = map[string][2]string{"guest": {"guest", "guest"}}
	defer func() { e.logins = before }()
	e.answers(t, "guest", http.MethodGet, "/rabbitmq/api/overview", "", http.StatusUnauthorized)
}

func sourcesHideSecrets(t *testing.T, e *env, logins ...string) {
	var containers []string
	for name := range e.ids(e.name) {
		containers = append(containers, name)
	}
	shown := []string{e.docker(append([]string{"inspect"}, containers...)...), e.ok(e.telemetry("config")).stdout, e.ok(e.telemetry("logs")).stdout}
	for _, name := range containers {
		shown = append(shown, e.docker("top", name))
	}
	all := strings.Join(shown, "\n")
	passwords := e.credentials()
	for _, login := range logins {
		password := passwords[login][1]
		assert.Assert(t, len(password) > 40, login)
		assert.Assert(t, !strings.Contains(all, password), "the password of %s is shown", login)
	}
}

// A colour code in a line would end up in the level and in the message. What RabbitMQ says of itself while it starts may be
// over before the agent reads, so it is made to say more.
func rabbitMQHasLevels(t *testing.T, e *env) {
	e.ok(e.execIn("rabbitmq", "rabbitmqctl", "eval", `logger:notice("said for the scenario").`))
	eventually(t, arrival, func() error {
		found, err := e.search("logs", `SELECT * FROM "docker" WHERE service = 'rabbitmq' AND level = 'notice'`)
		if err == nil && len(found) == 0 {
			err = errors.New("no notice of RabbitMQ")
		}
		for _, record := range found {
			assert.Assert(t, !strings.Contains(fmt.Sprint(record["message"]), "\x1b"), record)
		}
		return err
	})
}

// sourcesKeepData recreates both servers: a message and a key must be there afterwards.
func sourcesKeepData(t *testing.T, e *env) {
	e.valkey(t, "SET", "kept", "a value")
	e.ok(e.telemetry("down"))
	e.up("--no-verify")
	assert.Equal(t, e.valkey(t, "GET", "kept"), "a value")
	// A gateway that started before RabbitMQ looks for its name again after 2 s, and up --no-verify does not wait for it.
	eventually(t, arrival, func() error {
		text, status, err := e.ask("rabbitmq", http.MethodGet, "/rabbitmq/api/overview", "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %.100s", status, text)
		}
		return err
	})
	kept := e.answers(t, "rabbitmq", http.MethodPost, "/rabbitmq/api/queues/%2F/kept/get", `{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}`, http.StatusOK)
	assert.Assert(t, strings.Contains(kept, "a message"), kept)
}

// valkey runs a command in Valkey, logged in.
func (e *env) valkey(t *testing.T, command ...string) string {
	t.Helper()
	login := `REDISCLI_AUTH=$(cat /run/secrets/valkey_password) exec valkey-cli "$@"`
	return strings.TrimSpace(e.ok(e.execIn("valkey", append([]string{"sh", "-c", login, "sh"}, command...)...)).stdout)
}

// sourcesSwitchOff takes the profiles away, one of them and then all.
func sourcesSwitchOff(t *testing.T, e *env) {
	said := e.ok(e.telemetry("up", "--profile", "valkey"))
	assert.DeepEqual(t, e.running("rabbitmq", "valkey", "valkey-exporter"), []string{"valkey", "valkey-exporter"})
	assert.Assert(t, strings.Contains(said.stderr, e.name+"_rabbitmq-data"), "which volume stays must be said:\n%s", said)
	e.answers(t, "rabbitmq", http.MethodGet, "/rabbitmq/", "", http.StatusNotFound)

	said = e.ok(e.telemetry("up", "--profile", "none"))
	assert.DeepEqual(t, e.running("rabbitmq", "valkey", "valkey-exporter"), []string{})
	for _, volume := range []string{"rabbitmq-data", "valkey-data"} {
		assert.Equal(t, e.docker("volume", "ls", "-q", "--filter", "name=^"+e.name+"_"+volume+"$"), e.name+"_"+volume)
	}
	assert.Assert(t, strings.Contains(said.stderr, e.name+"_valkey-data"), "which volume stays must be said:\n%s", said)
}

// running returns those of the services that have a container.
func (e *env) running(services ...string) []string {
	e.t.Helper()
	ids := e.ids(e.name)
	return slices.DeleteFunc(services, func(service string) bool { return ids[e.name+"-"+service+"-1"] == "" })
}
