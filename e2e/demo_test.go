//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// generators are the components of the demo that make the work.
func generators() []string { return []string{"demo-orders", "demo-carts", "demo-goods"} }

// The demo must move every dashboard of its data sources, say why it logs what it logs, and neither grow nor leave anything
// behind but what it says.
func TestDemo(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--profile", "demo")
	began := time.Now()
	t.Run("generators are confined", func(t *testing.T) { generatorsAreConfined(t, e) })
	t.Run("no password is shown", func(t *testing.T) { sourcesHideSecrets(t, e, "rabbitmq", "valkey", "mongodb") })
	t.Run("no panel is empty", func(t *testing.T) {
		for _, profile := range []string{"rabbitmq", "valkey", "mongodb"} {
			dashboardsHaveData(t, e, "../profiles/"+profile+"/config/grafana/dashboards/*.json", 1)
		}
	})
	t.Run("every panel moves", func(t *testing.T) { panelsMove(t, e) })
	t.Run("lines of every level", func(t *testing.T) { shopHasLevels(t, e) })
	t.Run("data is bounded", func(t *testing.T) { demoIsBounded(t, e, time.Since(began)) })
	t.Run("generators stay within their limits", func(t *testing.T) { generatorsFit(t, e) })
	t.Run("switched off", func(t *testing.T) { demoSwitchesOff(t, e) })
}

// generatorsAreConfined holds the rules of the base stack against the generators. What docs/security.md excepts for all is
// excepted here: scripts are configs, which an engine copies into a writable root alone, and a pipeline does not give up.
func generatorsAreConfined(t *testing.T, e *env) {
	running := runningContainers(t, e)
	for _, component := range generators() {
		for _, rule := range rules() {
			if rule.id == "5.13" || rule.id == "5.15" {
				continue
			}
			assert.Equal(t, rule.broken(running[component]), "", "%s %s: %s", rule.id, rule.title, component)
		}
		id := e.ids(e.name)[e.name+"-"+component+"-1"]
		user := e.docker("inspect", "--format", "{{.Config.User}}", id)
		assert.Assert(t, user != "" && !strings.HasPrefix(user, "0") && user != "root", "%s runs as %q", component, user)
		driver := e.docker("inspect", "--format", `{{.HostConfig.LogConfig.Type}} {{index .HostConfig.LogConfig.Config "max-size"}}`, id)
		assert.Equal(t, driver, "json-file 1m", component)
		volumes := e.docker("inspect", "--format", `{{range .Mounts}}{{if eq .Type "volume"}}{{.Destination}} {{end}}{{end}}`, id)
		assert.Equal(t, volumes, "", "%s has a volume without a name", component)
	}
}

// still are the panels that a healthy shop does not move, with the reason.
func still() map[string]string {
	return map[string]string{
		"rabbitmq: Consumers by queue":  "one packer",
		"rabbitmq: Free disk":           "what others write to the disk is not the demo's",
		"valkey: Answers":               "it must stay 1",
		"valkey: Memory of its limit":   "a cart is small against 96 MB, and the allocator keeps what it has",
		"mongodb: Databases":            "the shop has one",
		"mongodb: Indexes by database":  "a page is its least, and 60 documents fill none",
		"mongodb: Memory":               "the server's own affair",
		"mongodb: Memory of the server": "likewise",
	}
}

// panelsMove requires that a query of each panel had more than one value in the last minutes.
func panelsMove(t *testing.T, e *env) {
	panels := map[string][]string{}
	for _, profile := range []string{"rabbitmq", "valkey", "mongodb"} {
		for _, queries := range queriesOf(t, "../profiles/"+profile+"/config/grafana/dashboards/*.json") {
			for _, query := range queries {
				panel := profile + ": " + query.Panel
				panels[panel] = append(panels[panel], fmt.Sprintf("max(stddev_over_time((%s)[4m:15s])) > 0", query.Expr))
			}
		}
	}
	for panel := range still() {
		assert.Assert(t, len(panels[panel]) > 0, "there is no panel %q", panel)
		delete(panels, panel)
	}
	for panel, queries := range panels {
		eventually(t, 4*time.Minute, func() error {
			if err := e.hasSeries(strings.Join(queries, " or ")); err != nil {
				return fmt.Errorf("panel %q stands still: %w", panel, err)
			}
			return nil
		})
	}
	t.Logf("%d panels move, %d need not", len(panels), len(still()))
}

// shopHasLevels requires lines of each level, of each generator and so of each format.
func shopHasLevels(t *testing.T, e *env) {
	wanted := map[string][]string{
		"demo-orders": {"debug", "info", "warn", "error"}, "demo-carts": {"info", "warn", "error"}, "demo-goods": {"debug", "info", "error"},
	}
	for service, levels := range wanted {
		for _, level := range levels {
			eventually(t, 2*time.Minute, func() error {
				found, err := e.search("logs", fmt.Sprintf(`SELECT * FROM "docker" WHERE service = '%s' AND level = '%s'`, service, level))
				if err == nil && len(found) == 0 {
					err = fmt.Errorf("no line of %s with level %s", service, level)
				}
				return err
			})
		}
	}
}

// demoIsBounded looks at the most that there ever was, and at what keeps it there.
func demoIsBounded(t *testing.T, e *env, ran time.Duration) {
	window := strconv.Itoa(int(ran.Seconds())+60) + "s"
	for _, most := range []string{
		`max_over_time(sum(max by (db) (redis_db_keys{job="valkey"}))[%s:15s]) <= 82`,
		`max_over_time(mongodb_object_count{job="mongodb",database="demo"}[%s]) <= 60`,
		`max_over_time(rabbitmq_detailed_queue_messages{job="rabbitmq",queue="demo-orders"}[%s]) <= 500`,
	} {
		assert.NilError(t, e.hasSeries(fmt.Sprintf(most, window)))
	}
	answer := e.answers(t, "rabbitmq", http.MethodGet, "/rabbitmq/api/queues/%2F/demo-orders?disable_stats=true", "", http.StatusOK)
	for _, bound := range []string{`"x-max-length":500`, `"x-message-ttl":120000`, `"x-expires":600000`} {
		assert.Assert(t, strings.Contains(answer, bound), "%s is missing: %s", bound, answer)
	}
	// A key may be gone between the two questions, which is -2; -1 stays for ever.
	forEver := `export REDISCLI_AUTH=$(cat /run/secrets/valkey_password); valkey-cli KEYS 'demo:*' | sed 's/^/TTL /' | valkey-cli | grep -x -e -1`
	assert.Equal(t, e.execIn("valkey", "sh", "-c", forEver).stdout, "")
	assert.Assert(t, len(strings.Fields(e.valkey(t, "KEYS", "demo:*"))) > 0)
}

// generatorsFit: the kernel ends what goes over its limit, and the script would start again.
func generatorsFit(t *testing.T, e *env) {
	for _, component := range generators() {
		id := e.ids(e.name)[e.name+"-"+component+"-1"]
		assert.Equal(t, e.docker("inspect", "--format", "{{.RestartCount}} {{.State.OOMKilled}}", id), "0 false", component)
		limit, err := strconv.ParseInt(e.docker("inspect", "--format", "{{.HostConfig.Memory}}", id), 10, 64)
		assert.NilError(t, err)
		used := memoryInUse(t, e, id)
		t.Logf("%s: %d of %d MB", component, used/1e6, limit/1e6)
		assert.Assert(t, used < limit/2, "%s uses %d of %d bytes", component, used, limit)
	}
}

func demoSwitchesOff(t *testing.T, e *env) {
	said := e.ok(e.telemetry("up", "--profile", "none"))
	runsExactly(t, e)
	gone := append(generators(), "rabbitmq", "valkey", "valkey-exporter", "mongodb", "mongodb-collector")
	assert.DeepEqual(t, e.running(gone...), []string{})
	var stay []string
	for volume := range strings.Lines(e.docker("volume", "ls", "-q", "--filter", "label=io.github.docker-telemetry.stack="+e.name)) {
		if strings.Contains(said.stderr, "volume "+strings.TrimSpace(volume)+" stays") {
			stay = append(stay, strings.TrimPrefix(strings.TrimSpace(volume), e.name+"_"))
		}
	}
	slices.Sort(stay)
	assert.DeepEqual(t, stay, []string{"mongodb-data", "rabbitmq-data", "valkey-data"})
}
