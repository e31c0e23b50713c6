package doctor_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/doctor"
)

// sound is what a stack looks like of which nothing is wrong.
func sound() doctor.Facts {
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one := func(name string) doctor.Component {
		return doctor.Component{Name: name, Want: 1, Ready: 1, Replicas: []doctor.Replica{
			{Name: "telemetry-" + name + "-1", State: "running", Health: "healthy", Ready: true, StartedAt: started},
		}}
	}
	fine := func(name string) doctor.Said { return doctor.Said{Name: name, Detail: "as it should be"} }
	return doctor.Facts{
		Engine:     doctor.Know(doctor.Engine{Address: "unix:///var/run/docker.sock", Version: "28.5.2", API: "1.51", CgroupVersion: "2", LogDriver: "json-file"}),
		Socket:     doctor.Know(doctor.Socket{Path: "/var/run/docker.sock", There: true}),
		Leftovers:  doctor.Know([]string{}),
		Memory:     doctor.Know(doctor.Memory{Has: 16 << 30, Limits: 3 << 30}),
		Disks:      doctor.Know([]doctor.Disk{{Name: "the disk of agent", Size: 100 << 30, Free: 50 << 30, InodesTotal: 1e6, InodesFree: 9e5}}),
		Clocks:     doctor.Know([]doctor.Clock{{Name: "the engine's host", Ahead: 20 * time.Millisecond, Within: time.Millisecond}}),
		Inotify:    doctor.Know(doctor.Inotify{Instances: 128, Watches: 65536}),
		Ports:      doctor.Know(doctor.Ports{Published: []string{"127.0.0.1:8082"}}),
		Foreign:    doctor.Know([]string{}),
		Images:     doctor.Know([]doctor.Image{{Name: "grafana/grafana:13", Components: []string{"grafana"}, Present: true, ID: "sha256:1", Locked: "sha256:1"}}),
		Versions:   doctor.Know(doctor.Versions{This: "1.0.0", MadeBy: []string{"1.0.0"}}),
		Files:      doctor.Know([]doctor.Said{fine("files"), fine("issuer"), fine("key"), fine("dates"), fine("hosts")}),
		Expiry:     doctor.Know(doctor.Expiry{Until: started, DaysLeft: 89}),
		Served:     doctor.Know(doctor.Said{Detail: "the gateway serves this certificate"}),
		Modes:      doctor.Know([]doctor.Mode{}),
		Secrets:    doctor.Know(doctor.Secrets{}),
		Logins:     doctor.Know([]doctor.Login{{Name: "grafana", Accepted: true}}),
		Settings:   doctor.Know(doctor.Said{Name: "telemetry", Detail: "2 components"}),
		Configs:    doctor.Know([]doctor.Config{{Component: "gateway", Program: "nginx -t", Valid: true}}),
		Changed:    doctor.Know([]string{}),
		Components: doctor.Know([]doctor.Component{one("agent"), one("grafana")}),
		Pressure:   doctor.Know([]doctor.Pressure{{Container: "telemetry-agent-1", Component: "agent"}}),
		Flow:       doctor.Know(doctor.Flow{Buffers: []doctor.Buffer{{Job: "vector-agent", Component: "agg_logs", Size: 1e6, Max: 268e6, Before: 1e6}}}),
		Stores:     doctor.Know([]doctor.Store{{Name: "grafana", Status: 302}}),
		Metrics:    doctor.Know(doctor.MetricsStore{}),
		Retention:  doctor.Know([]doctor.Finding{}),
		Needs:      doctor.Know([]doctor.Need{{Profile: "journal", What: "a journal", There: true}}),
		Targets:    doctor.Know([]doctor.Target{{Container: "app", State: "scraped", Scraped: true}}),
	}
}

// Of a sound stack every check says so, once, and nothing is found.
func TestSoundStack(t *testing.T) {
	outcomes := doctor.Examine(sound())
	var codes []string
	for _, o := range outcomes {
		assert.Equal(t, o.State, doctor.OK, "%+v", o)
		assert.Assert(t, o.Detail != "", "%+v", o)
		assert.Equal(t, o.Mend, doctor.Mend(""))
		codes = append(codes, o.Code)
	}
	var all []string
	for _, check := range doctor.Checks() {
		all = append(all, check.Code)
	}
	assert.DeepEqual(t, codes, all)
	assert.Assert(t, slices.IsSorted(all), "%v", all)
}

// Facts that were not asked for are no finding, and nothing that is well either.
func TestNothingAsked(t *testing.T) {
	assert.Equal(t, len(doctor.Examine(doctor.Facts{})), 0)
}

// What could not be looked at is said as that, and is neither sound nor a finding.
func TestUnknown(t *testing.T) {
	facts := sound()
	facts.Flow = doctor.Unknown[doctor.Flow]("victoriametrics does not run")
	facts.Logins = doctor.Know([]doctor.Login{{Name: "grafana", Err: "no answer within 20s"}})
	var unchecked []string
	for _, o := range doctor.Examine(facts) {
		if o.State == doctor.Unchecked {
			unchecked = append(unchecked, o.Code+" "+o.Detail)
			continue
		}
		assert.Equal(t, o.State, doctor.OK, "%+v", o)
	}
	assert.DeepEqual(t, unchecked, []string{
		"DTD504 no answer within 20s", "DTD704 victoriametrics does not run", "DTD705 victoriametrics does not run",
		"DTD706 victoriametrics does not run", "DTD707 victoriametrics does not run", "DTD708 victoriametrics does not run",
	})
}

// Each defect is found by its check, as what it is, with words on it and a way out; and by no other check.
func TestDefects(t *testing.T) {
	for _, tc := range []struct {
		name   string
		defect func(f *doctor.Facts)
		code   string
		state  doctor.State
		says   string
		mend   doctor.Mend
	}{
		{"the engine is too old", func(f *doctor.Facts) {
			f.Engine.Value = doctor.Engine{Address: "tcp://x", Problem: "the engine at tcp://x is 19.03", Advice: "update the engine"}
		}, "DTD101", doctor.Failed, "19.03", ""},
		{"nothing can be limited", func(f *doctor.Facts) { f.Engine.Value.NoLimits = []string{"CPU", "memory"} }, "DTD103", doctor.Warning, "cannot limit CPU, memory (cgroup version 2)", ""},
		{"rootless without controllers", func(f *doctor.Facts) {
			f.Engine.Value.NoLimits, f.Engine.Value.Rootless = []string{"CPU"}, true
		}, "DTD103", doctor.Warning, "cannot limit CPU", ""},
		{"no logs are kept", func(f *doctor.Facts) { f.Engine.Value.LogDriver = "none" }, "DTD104", doctor.Warning, "keeps no logs", ""},
		{"the socket is elsewhere", func(f *doctor.Facts) { f.Socket.Value.There = false }, "DTD105", doctor.Failed, "there is none", ""},
		{"a foreign project", func(f *doctor.Facts) { f.Foreign.Value = []string{"container telemetry-web-1"} }, "DTD106", doctor.Failed, "not ours", ""},
		{"a probe is left", func(f *doctor.Facts) { f.Leftovers.Value = []string{"happy_curie"} }, "DTD107", doctor.Warning, "left behind", doctor.RemoveProbes},
		{"too little memory", func(f *doctor.Facts) { f.Memory.Value.Has = 1 << 30 }, "DTD201", doctor.Warning, "the stack may use 3.2 GB", ""},
		{"the disk is full", func(f *doctor.Facts) { f.Disks.Value[0].Free = 1 << 20 }, "DTD202", doctor.Failed, "1.0 MB of 107.4 GB are free", ""},
		{"the disk is nearly full", func(f *doctor.Facts) { f.Disks.Value[0].Free = 1 << 30 }, "DTD202", doctor.Warning, "are free", ""},
		{"no inodes", func(f *doctor.Facts) { f.Disks.Value[0].InodesFree = 12 }, "DTD203", doctor.Failed, "12 of 1000000 inodes", ""},
		{"the engine's clock is wrong", func(f *doctor.Facts) { f.Clocks.Value[0].Ahead = -time.Hour }, "DTD204", doctor.Failed, "1h0m0s behind", ""},
		{"the engine's clock is off", func(f *doctor.Facts) { f.Clocks.Value[0].Ahead = 42 * time.Second }, "DTD204", doctor.Warning, "42s ahead of", ""},
		{"few watchers", func(f *doctor.Facts) { f.Inotify.Value.Instances = 16 }, "DTD205", doctor.Warning, "16 are allowed", ""},
		{"the port is taken", func(f *doctor.Facts) {
			f.Ports.Value.Taken = []doctor.Said{{Problem: "port 8082 on 127.0.0.1 is taken by process 7 (nc)", Advice: "docker telemetry up --port 8083"}}
		}, "DTD206", doctor.Failed, "process 7 (nc)", ""},
		{"an image is gone", func(f *doctor.Facts) { f.Images.Value[0].Present = false }, "DTD301", doctor.Failed, "needed by grafana", ""},
		{"another image runs", func(f *doctor.Facts) { f.Images.Value[0].Drifted = true }, "DTD302", doctor.Warning, "runs another image", ""},
		{"a tag was moved", func(f *doctor.Facts) { f.Images.Value[0].ID = "sha256:2" }, "DTD303", doctor.Warning, "the tag stands for another image", ""},
		{"another version made it", func(f *doctor.Facts) { f.Versions.Value.MadeBy = []string{"1.0.0", "0.9.0"} }, "DTD304", doctor.Warning, "this is 1.0.0", ""},
		{"the certificate is gone", func(f *doctor.Facts) {
			f.Files.Value = []doctor.Said{{Name: "files", Problem: "there is no certificate yet", Advice: "docker telemetry certs init"}}
		}, "DTD401", doctor.Failed, "no certificate", ""},
		{"another authority's", func(f *doctor.Facts) {
			f.Files.Value[1] = doctor.Said{Name: "issuer", Problem: "it was issued by another authority", Advice: "docker telemetry certs renew"}
		}, "DTD402", doctor.Failed, "another authority", doctor.RenewCertificate},
		{"another key's", func(f *doctor.Facts) {
			f.Files.Value[2] = doctor.Said{Name: "key", Problem: "the key belongs to another certificate", Advice: "docker telemetry certs renew"}
		}, "DTD403", doctor.Failed, "the key", doctor.RenewCertificate},
		{"expired", func(f *doctor.Facts) {
			f.Files.Value[3] = doctor.Said{Name: "dates", Problem: "the certificate expired", Advice: "docker telemetry certs renew"}
		}, "DTD404", doctor.Failed, "expired", doctor.RenewCertificate},
		{"expires soon", func(f *doctor.Facts) { f.Expiry.Value.Due, f.Expiry.Value.DaysLeft = true, 9 }, "DTD404", doctor.Warning, "ends in 9 days", doctor.RenewCertificate},
		{"the user's own expires soon", func(f *doctor.Facts) { f.Expiry.Value.Due, f.Expiry.Value.Own = true, true }, "DTD404", doctor.Warning, "ends in 89 days", ""},
		{"not for the host", func(f *doctor.Facts) {
			f.Files.Value[4] = doctor.Said{Name: "hosts", Problem: "it does not cover localhost", Advice: "docker telemetry certs renew"}
		}, "DTD405", doctor.Failed, "cover localhost", doctor.RenewCertificate},
		{"another one is served", func(f *doctor.Facts) {
			f.Served.Value = doctor.Said{Problem: "the gateway serves another certificate", Advice: "docker telemetry certs renew"}
		}, "DTD406", doctor.Failed, "serves another", doctor.RenewCertificate},
		{"a password is cut short", func(f *doctor.Facts) { f.Secrets.Value.Problem = "secret is cut short" }, "DTD501", doctor.Failed, "cut short", ""},
		{"a rotation is half done", func(f *doctor.Facts) { f.Secrets.Value.Rotating = true }, "DTD502", doctor.Warning, "interrupted", ""},
		{"a secret is open", func(f *doctor.Facts) {
			f.Modes.Value = []doctor.Mode{{Path: "/state/ca/ca.key", Mode: 0o644, What: "read"}}
		}, "DTD503", doctor.Failed, "read (mode 0644)", doctor.CloseFiles},
		{"a secret was open", func(f *doctor.Facts) {
			f.Modes.Value = []doctor.Mode{{Path: "/state/secrets/x", Mode: 0o644, What: "read", Closed: true}}
		}, "DTD503", doctor.Warning, "until it was read just now", ""},
		{"a password is refused", func(f *doctor.Facts) { f.Logins.Value[0].Accepted = false }, "DTD504", doctor.Failed, "refuses the password", ""},
		{"an overlay is gone", func(f *doctor.Facts) { f.Settings.Value.Problem = `there is no overlay file "x"` }, "DTD601", doctor.Failed, "overlay", ""},
		{"a configuration is broken", func(f *doctor.Facts) {
			f.Configs.Value[0] = doctor.Config{Component: "gateway", Program: "nginx -t", Said: "nginx: [emerg] unexpected }"}
		}, "DTD602", doctor.Failed, "nginx -t refuses its configuration: nginx: [emerg]", ""},
		{"an image is missing", func(f *doctor.Facts) {
			f.Configs.Value[0] = doctor.Config{Component: "shop", Err: `image "shop:1" is not on the engine`}
		}, "DTD602", doctor.Unchecked, `its program could not be asked: image "shop:1" is not on the engine`, ""},
		{"made with other settings", func(f *doctor.Facts) { f.Changed.Value = []string{"grafana"} }, "DTD603", doctor.Warning, "other settings", ""},
		{"a component is stopped", func(f *doctor.Facts) {
			r := &f.Components.Value[1].Replicas[0]
			r.State, r.Health, r.Ready, r.ExitCode, r.Said = "exited", "", false, 137, "Killed"
		}, "DTD701", doctor.Failed, "telemetry-grafana-1 is exited (exit code 137); it says: Killed", doctor.StartComponent},
		{"a component is ill", func(f *doctor.Facts) {
			r := &f.Components.Value[1].Replicas[0]
			r.Health, r.Ready = "unhealthy", false
		}, "DTD701", doctor.Failed, "is unhealthy", doctor.RestartComponent},
		{"a component is starting", func(f *doctor.Facts) {
			r := &f.Components.Value[1].Replicas[0]
			r.Health, r.Ready = "starting", false
		}, "DTD701", doctor.Warning, "is starting", ""},
		{"a replica is missing", func(f *doctor.Facts) { f.Components.Value[0].Want = 3 }, "DTD701", doctor.Failed, "2 of 3 replicas have no container", ""},
		{"it restarts", func(f *doctor.Facts) { f.Components.Value[0].Replicas[0].Restarts = 4 }, "DTD702", doctor.Warning, "4 times", ""},
		{"it was killed for memory", func(f *doctor.Facts) { f.Components.Value[0].Replicas[0].OOMKilled = true }, "DTD703", doctor.Failed, "for want of memory", ""},
		{"a child was killed for memory", func(f *doctor.Facts) { f.Pressure.Value[0].OOMKills = 2 }, "DTD703", doctor.Failed, "killed 2 of its processes", ""},
		{"errors", func(f *doctor.Facts) {
			f.Flow.Value.Errors = []doctor.Count{{Job: "vector-agent", Component: "nginx", Kind: "request_failed", Value: 4}}
		}, "DTD704", doctor.Warning, "4 errors in the last minute (request_failed)", ""},
		{"retries", func(f *doctor.Facts) {
			f.Flow.Value.Retries = []doctor.Count{{Job: "vector-aggregator", Replica: "ab12", Component: "openobserve", Kind: "401", Value: 7}}
		}, "DTD705", doctor.Warning, "answered with 401", ""},
		{"losses", func(f *doctor.Facts) {
			f.Flow.Value.Discarded = []doctor.Count{{Job: "vector-agent", Component: "logs_docker", Value: 3}}
		}, "DTD706", doctor.Failed, "3 events were lost", ""},
		{"the buffer fills", func(f *doctor.Facts) { f.Flow.Value.Buffers[0].Size = 150e6 }, "DTD707", doctor.Warning, "it does not empty", ""},
		{"the buffer is full and empties", func(f *doctor.Facts) {
			f.Flow.Value.Buffers[0].Size, f.Flow.Value.Buffers[0].Before = 260e6, 268e6
		}, "DTD707", doctor.Failed, "97 % full, and it empties", ""},
		{"a job is silent", func(f *doctor.Facts) { f.Flow.Value.Silent = []string{"nginx"} }, "DTD708", doctor.Failed, "none in the last two minutes", ""},
		{"a job never came", func(f *doctor.Facts) { f.Flow.Value.Missing = []string{"vector-aggregator"} }, "DTD708", doctor.Failed, "gives no metrics", ""},
		{"a store is cut off", func(f *doctor.Facts) { f.Stores.Value[0].Status = 502 }, "DTD801", doctor.Failed, "the gateway does not reach it", ""},
		{"a store fails", func(f *doctor.Facts) { f.Stores.Value[0].Status = 500 }, "DTD801", doctor.Failed, "it answers 500", ""},
		{"a store is silent", func(f *doctor.Facts) { f.Stores.Value[0] = doctor.Store{Name: "grafana", Err: "timeout"} }, "DTD801", doctor.Failed, "timeout", ""},
		{"the store is read-only", func(f *doctor.Facts) { f.Metrics.Value.ReadOnly = true }, "DTD802", doctor.Failed, "takes nothing more", ""},
		{"samples are ignored", func(f *doctor.Facts) {
			f.Metrics.Value.Ignored = []doctor.Count{{Kind: "big_timestamp", Value: 9}}
		}, "DTD803", doctor.Warning, "9 samples of the last hour were ignored: big timestamp", ""},
		{"samples are dropped", func(f *doctor.Facts) { f.Metrics.Value.Dropped = []doctor.Count{{Kind: "daily", Value: 9}} }, "DTD803", doctor.Failed, "its daily limit", ""},
		{"the retention does nothing", func(f *doctor.Facts) {
			f.Retention.Value = []doctor.Finding{{Code: "DTR002", Name: "docker", Title: "the retention does nothing", Advice: "see the log"}}
		}, "DTD804", doctor.Warning, "does nothing", ""},
		{"a profile's need is gone", func(f *doctor.Facts) { f.Needs.Value[0].There = false }, "DTD901", doctor.Failed, "it needs a journal", ""},
		{"a target is refused", func(f *doctor.Facts) {
			f.Targets.Value[0] = doctor.Target{Container: "app", State: "refused", Problem: "it has no label telemetry.port"}
		}, "DTD902", doctor.Warning, "no label telemetry.port", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			facts := sound()
			tc.defect(&facts)
			var found []doctor.Outcome
			for _, o := range doctor.Examine(facts) {
				if o.State != doctor.OK {
					found = append(found, o)
				}
			}
			assert.Equal(t, len(found), 1, "%+v", found)
			one := found[0]
			assert.Equal(t, one.Code, tc.code)
			assert.Equal(t, one.State, tc.state)
			assert.Assert(t, strings.Contains(one.Object+": "+one.Detail, tc.says), "%q", one.Detail)
			assert.Equal(t, one.Mend, tc.mend)
		})
	}
}

// Every check has its page, and the list of pages names it.
func TestChecksHavePages(t *testing.T) {
	list, err := os.ReadFile("../docs/checks/README.md")
	assert.NilError(t, err)
	pages, err := os.ReadDir("../docs/checks")
	assert.NilError(t, err)
	assert.Equal(t, len(pages), len(doctor.Checks())+1)
	for _, check := range doctor.Checks() {
		page, err := os.ReadFile("../docs/checks/" + check.Code + ".md")
		assert.NilError(t, err)
		title, body, _ := strings.Cut(string(page), "\n")
		text, is := strings.CutPrefix(title, "# "+check.Code+": ")
		assert.Assert(t, is, title)
		assert.Assert(t, strings.Contains(body, "\n## What to do\n"), check.Code)
		assert.Assert(t, strings.Contains(string(list), "| ["+check.Code+"]("+check.Code+".md) | "+check.Group+" | "+text+" |\n"), check.Code)
	}
}
