package stack

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"go.yaml.in/yaml/v3"
	"gotest.tools/v3/assert"
)

// asking is a running container with labels on networks.
func asking(mode string, labels map[string]string, networks ...string) container.Summary {
	item := container.Summary{Names: []string{"/shop-web-1"}, Labels: labels, NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{}}}
	item.HostConfig.NetworkMode = mode
	for i, name := range networks {
		item.NetworkSettings.Networks[name] = &network.EndpointSettings{NetworkID: "id-" + name, IPAddress: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 2)})}
	}
	return item
}

func TestTargetOf(t *testing.T) {
	good := map[string]string{ScrapePortLabel: "8080"}
	with := func(key, value string) map[string]string {
		return map[string]string{ScrapePortLabel: "8080", key: value}
	}
	for _, tc := range []struct {
		name   string
		item   container.Summary
		joined string
		want   string // URL, network and job, or the problem
	}{
		{"its own network", asking("shop", good, "shop"), "", "http://shop-web-1:8080/metrics shop shop-web-1"},
		{"the job is the Compose service", asking("shop", with("com.docker.compose.service", "web"), "shop"), "", "http://shop-web-1:8080/metrics shop web"},
		{"the job is the label", asking("shop", with(ScrapeJobLabel, "api/v1"), "shop"), "", "http://shop-web-1:8080/metrics shop api/v1"},
		{"a path with a query", asking("shop", with(ScrapePathLabel, "/probe?format=prometheus&x=1"), "shop"), "", "http://shop-web-1:8080/probe?format=prometheus&x=1 shop shop-web-1"},
		{"one that the agent is on comes first", asking("a", good, "a", "b"), "b", "http://shop-web-1:8080/metrics b shop-web-1"},
		{"by name", asking("b", good, "b", "a"), "", "http://shop-web-1:8080/metrics a shop-web-1"},
		{"bridge last", asking("bridge", good, "bridge", "zoo"), "bridge", "http://shop-web-1:8080/metrics zoo shop-web-1"},
		{"bridge has no names", asking("bridge", good, "bridge"), "", "http://10.0.0.2:8080/metrics bridge shop-web-1"},

		{"no port", asking("shop", nil, "shop"), "", "it has no label telemetry.port"},
		{"port 0", asking("shop", map[string]string{ScrapePortLabel: "0"}, "shop"), "", `label telemetry.port: "0" is no port`},
		{"a port as a word", asking("shop", map[string]string{ScrapePortLabel: "http"}, "shop"), "", `label telemetry.port: "http" is no port`},
		{"a port with more", asking("shop", map[string]string{ScrapePortLabel: "80]\n"}, "shop"), "", `label telemetry.port: "80]\n" is no port`},
		{"a path that is none", asking("shop", with(ScrapePathLabel, "metrics"), "shop"), "", `label telemetry.path: "metrics" is no path as /metrics`},
		{"a path that would be YAML", asking("shop", with(ScrapePathLabel, "/m\"]\n  x: [y"), "shop"), "", `label telemetry.path: "/m\"]\n  x: [y" is no path as /metrics`},
		{"a path that would be a header", asking("shop", with(ScrapePathLabel, "/m HTTP/1.0\r\nX: y"), "shop"), "", `label telemetry.path: "/m HTTP/1.0\r\nX: y" is no path as /metrics`},
		{"a job that would be VRL", asking("shop", with(ScrapeJobLabel, `a"; .x = "b`), "shop"), "", `label telemetry.job: "a\"; .x = \"b" is no name; letters, digits and _.:/@- make one`},
		{"a variable of Vector", asking("shop", with(ScrapeJobLabel, "${HOME}"), "shop"), "", `label telemetry.job: "${HOME}" is no name; letters, digits and _.:/@- make one`},
		{"host", asking("host", good, "host"), "", "it is on the network of the host, where the agent cannot reach it"},
		{"none", asking("none", good, "none"), "", "it has no network"},
		{"another's", asking("container:abc", good), "", "it is on the network of another container: give that one the labels"},
		{"no address", asking("shop", good), "", "it has no address of IPv4 on any network"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target := targetOf(tc.item, func(network string) bool { return network == tc.joined })
			if target.Problem != "" {
				assert.Equal(t, target.Problem, tc.want)
				assert.Equal(t, target.State, Refused)
				return
			}
			assert.Equal(t, strings.Join([]string{target.URL(), target.Network, target.Job}, " "), tc.want)
			assert.Equal(t, target.State, NotYet)
		})
	}
}

func TestJudgeSaysWhyATargetIsSilent(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\n\r\n# HELP a connection refused\na 1\nb{c=\"} d\"} NaN\n":         "",
		"HTTP/1.0 404 Not Found\r\n\r\na 1\n":                                                 "it answers 404 at /metrics; the label telemetry.path says where its metrics are",
		"HTTP/1.1 200 OK\r\n\r\n<html>":                                                       "what it answers at /metrics are no metrics of Prometheus",
		"HTTP/1.1 200 OK\r\n\r\n":                                                             "what it answers at /metrics are no metrics of Prometheus",
		"bash: connect: Connection refused\nbash: line 1: /dev/tcp/a/1: Connection refused\n": "nothing listens on port 8080 of it",
		"bash: connect: No route to host\n":                                                   "there is no route to it on network shop",
		"bash: shop-web-1: Name or service not known\n":                                       "the name shop-web-1 is not known on network shop",
		"":                           "it does not answer on port 8080 within 5s",
		"-ERR unknown command 'GET'": "what answers on port 8080 is no HTTP",
	} {
		target := Target{Network: "shop", Host: "shop-web-1", Port: 8080, Path: "/metrics"}
		target.judge(answer)
		assert.Equal(t, target.Problem, want, "%q", answer)
		assert.Equal(t, target.State == Scraped, want == "")
	}
}

// Whatever labels hold, what the agent is given is a file of scrape sources and nothing else.
func FuzzTarget(f *testing.F) {
	f.Add("80", "/metrics", "job")
	f.Add("80", "/\"]\nsinks: {}", "\" + get_env_var!(\"X\")")
	f.Fuzz(func(t *testing.T, port, path, job string) {
		target := targetOf(asking("shop", map[string]string{ScrapePortLabel: port, ScrapePathLabel: path, ScrapeJobLabel: job}, "shop"), nil)
		text := targetsFile([]Target{target})
		if target.State == Refused {
			assert.Equal(t, text, "")
			return
		}
		var read struct {
			Sources map[string]struct {
				Type      string   `yaml:"type"`
				Endpoints []string `yaml:"endpoints"`
				Every     int      `yaml:"scrape_interval_secs"`
				Within    int      `yaml:"scrape_timeout_secs"`
				Tag       string   `yaml:"instance_tag"`
			} `yaml:"sources"`
			Transforms map[string]struct {
				Type   string   `yaml:"type"`
				Inputs []string `yaml:"inputs"`
				Source string   `yaml:"source"`
			} `yaml:"transforms"`
		}
		decoder := yaml.NewDecoder(strings.NewReader(text))
		decoder.KnownFields(true)
		assert.NilError(t, decoder.Decode(&read), text)
		assert.Equal(t, len(read.Sources), 1)
		assert.DeepEqual(t, read.Sources[target.id()].Endpoints, []string{target.URL()})
		assert.Equal(t, read.Transforms["metrics_"+target.id()].Source, `.tags.job = "`+target.Job+`"`)
		assert.Assert(t, !strings.ContainsAny(target.Job+target.URL(), "\"'`$\\ \r\n"))
	})
}
