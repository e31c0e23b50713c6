package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
)

// files writes a tree below a new folder and returns the folder. DIR in a content stands for the folder.
func files(t *testing.T, tree map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range tree {
		path := filepath.Join(dir, name)
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		assert.NilError(t, os.WriteFile(path, []byte(strings.ReplaceAll(content, "DIR", dir)), 0o600))
	}
	return dir
}

func provisionTree(t *testing.T, tree map[string]string, env ...string) (state, string, error) {
	t.Helper()
	dir := files(t, tree)
	cfg, err := loadConfig(append([]string{"GF_PATHS_PROVISIONING=" + dir}, env...))
	assert.NilError(t, err)
	var log bytes.Buffer
	st, err := provision(cfg, slog.New(slog.NewTextHandler(&log, nil)))
	return st, log.String(), err
}

const goodSource = "apiVersion: 1\nprune: true\ndatasources:\n  - {name: VM, uid: vm, type: prometheus, url: 'http://vm:8428/x'"

func TestDatasources(t *testing.T) {
	tests := []struct {
		name, yaml, err string
	}{
		{"fine", goodSource + "}", ""},
		{"empty file", "", ""},
		{"all fields", goodSource + ", access: proxy, orgId: 1, version: 2, isDefault: true, editable: false, basicAuth: true, " +
			"basicAuthUser: u, jsonData: {httpMethod: POST, x: {y: [1]}}, secureJsonData: {basicAuthPassword: p}}", ""},
		{"no version", "datasources: [{name: x, type: prometheus, url: 'http://x'}]", "apiVersion 0"},
		{"unknown type", "apiVersion: 1\ndatasources: [{name: x, type: victoriametrics-metrics-datasource, url: 'http://x'}]", "not installed"},
		{"no name", "apiVersion: 1\ndatasources: [{type: prometheus, url: 'http://x'}]", "name is missing"},
		{"no url", "apiVersion: 1\ndatasources: [{name: x, type: prometheus}]", "invalid data source URL"},
		{"two defaults", goodSource + ", isDefault: true}\n  - {name: b, type: loki, isDefault: true}", "Only one datasource per organization"},
		{"same name", goodSource + "}\n  - {name: VM, type: loki}", "used twice"},
		{"same uid", goodSource + "}\n  - {name: b, uid: vm, type: loki}", "used twice"},
		{"mistyped field", goodSource + ", isdefault: true}", "field isdefault not found"},
		{"other org", goodSource + ", orgId: 7}", "org 7 does not exist"},
		{"no yaml", "apiVersion: [", "did not find expected"},
		{"missing secret", goodSource + ", basicAuthUser: '$__file{DIR/none}'}", "failed to interpolate"},
		{"long uid", "apiVersion: 1\ndatasources: [{name: x, type: loki, uid: " + strings.Repeat("u", 41) + "}]", "longer than 40"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := provisionTree(t, map[string]string{"datasources/a.yaml": tt.yaml})
			if tt.err == "" {
				assert.NilError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.err)
		})
	}
}

func TestTwoDefaultsAcrossFiles(t *testing.T) {
	_, _, err := provisionTree(t, map[string]string{
		"datasources/a.yaml": goodSource + ", isDefault: true}",
		"datasources/b.yml":  "apiVersion: 1\ndatasources: [{name: b, type: loki, isDefault: true}]",
	})
	assert.ErrorIs(t, err, errTwoDefaults)
}

func TestExpansion(t *testing.T) {
	dir := files(t, map[string]string{"secret": " p4ss \n", "dollar": "a$HOME_X"})
	ex := newExpander(map[string]string{"NAME": "n", "HOME_X": "home"})
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"${NAME}-$NAME-$__env{NAME}", "n-n-n"},
		{"$__file{" + dir + "/secret}", "p4ss"},
		{"$$NAME costs 5$$", "$NAME costs 5$"},
		{"$UNSET.", "."},
		// The trap: a dollar in a secret is expanded as well.
		{"$__file{" + dir + "/dollar}", "ahome"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := ex.expand(tt.in)
			assert.NilError(t, err)
			assert.Equal(t, got, tt.want)
		})
	}
}

func TestExpandedValuesKeepTheirPlace(t *testing.T) {
	st, _, err := provisionTree(t, map[string]string{
		"secret":             "x\": y\n",
		"datasources/a.yaml": goodSource + ", isDefault: '${YES}', basicAuthUser: '$__file{DIR/secret}', jsonData: {n: '${NUMBER}'}}",
	}, "YES=true", "NUMBER=1")
	assert.NilError(t, err)
	ds := st.datasources[0]
	assert.Assert(t, ds.IsDefault)
	assert.Equal(t, ds.BasicAuthUser, `x": y`)
	assert.DeepEqual(t, ds.JSONData, map[string]any{"n": "1"})
}

func TestProviders(t *testing.T) {
	tests := []struct {
		name, yaml, err, log string
	}{
		{"fine", "apiVersion: 1\nproviders: [{name: a, type: file, options: {path: DIR/boards}}]", "", ""},
		{"other type", "apiVersion: 1\nproviders: [{name: a, type: git, options: {path: DIR/boards}}]", "type git is not supported", ""},
		{"no path", "apiVersion: 1\nproviders: [{name: a, type: file}]", "path param is not a string", ""},
		{"path is a list", "apiVersion: 1\nproviders: [{name: a, options: {path: [x]}}]", "could not parse", ""},
		{"same name", "apiVersion: 1\nproviders: [{name: a, options: {path: /x}}, {name: a, options: {path: /x}}]", "used twice", ""},
		{"no version", "providers: [{name: a, options: {path: /x}}]", "apiVersion 0", ""},
		{"missing folder", "apiVersion: 1\nproviders: [{name: a, options: {path: DIR/none}}]", "", "Cannot read directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, log, err := provisionTree(t, map[string]string{
				"dashboards/p.yaml": tt.yaml, "datasources/a.yaml": goodSource + "}", "boards/a.json": `{"uid":"a","title":"A"}`,
			})
			if tt.err != "" {
				assert.ErrorContains(t, err, tt.err)
				return
			}
			assert.NilError(t, err)
			assert.Assert(t, cmp.Contains(log, tt.log))
			assert.Equal(t, strings.Contains(log, "ERROR"), tt.log != "", log)
		})
	}
}

func TestDashboards(t *testing.T) {
	const good = `{"uid":"a","title":"A","tags":["x"]}`
	tests := []struct {
		name, other, log string
		loaded           int
	}{
		{"two", `{"uid":"b","title":"B"}`, "", 2},
		{"no json", `{`, "failed to load dashboard", 1},
		{"not an object", `null`, "failed to load dashboard", 1},
		{"no title", `{"uid":"b"}`, "title cannot be empty", 1},
		{"no uid", `{"title":"B"}`, "no uid", 1},
		{"long uid", `{"title":"B","uid":"` + strings.Repeat("u", 41) + `"}`, "uid too long", 1},
		{"same uid", `{"uid":"a","title":"B"}`, "same uid is used more than once", 1},
		{"same title", `{"uid":"b","title":"A"}`, "title is not unique", 1},
		{"inputs", `{"uid":"b","title":"B","__inputs":[{"name":"DS_PROMETHEUS"}]}`, "unresolved inputs", 1},
		{"input used", `{"uid":"b","title":"B","panels":[{"datasource":"${DS_PROMETHEUS}"}]}`, "unresolved inputs", 1},
		{"variables are fine", `{"uid":"b","title":"B","panels":[{"expr":"rate(x[$__rate_interval])","datasource":"${datasource}"}]}`, "", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st, log, err := provisionTree(t, map[string]string{
				"dashboards/p.yaml":  "apiVersion: 1\nproviders: [{name: p, folder: F, options: {path: DIR/boards}}]",
				"datasources/a.yaml": goodSource + "}", "boards/a.json": good, "boards/sub/b.json": tt.other, "boards/.x/c.json": "{", "boards/r.md": "{",
			})
			assert.NilError(t, err)
			assert.Equal(t, len(st.dashboards), tt.loaded)
			assert.Assert(t, cmp.Contains(log, tt.log))
			assert.Equal(t, strings.Contains(log, "ERROR"), tt.log != "", log)
		})
	}
}
