package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/encoding"
	"gotest.tools/v3/assert"
)

// TestMain registers the compression main does: grpc wants it before the first connection.
func TestMain(m *testing.M) {
	encoding.RegisterCompressor(zstdCompressor{})
	os.Exit(m.Run())
}

func noEnv(string) string { return "" }

func TestRunExitCodes(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	writeFile(t, good, minimal)
	writeFile(t, bad, strings.Replace(minimal, "namespace:", "namespaces:", 1))
	for _, tc := range []struct {
		name string
		args []string
		want int
		out  string
	}{
		{"version", []string{"--version"}, exitOK, "vector 0.59.0 (docker-telemetry lab stand-in, not Vector)"},
		{"valid file", []string{"validate", "--no-environment", good}, exitOK, "Validated"},
		{"valid with components", []string{"validate", "--skip-healthchecks", good}, exitOK, "Component configuration"},
		{"invalid file", []string{"validate", "--no-environment", bad}, exitConfig, `bad.yaml.sources.self: unknown field "namespaces"`},
		{"invalid start", []string{"-c", bad}, exitConfig, `unknown field`},
		{"no config", nil, exitConfig, "no configuration files found"},
		{"missing file", []string{"--config", filepath.Join(dir, "none.yaml")}, exitConfig, "none.yaml"},
		{"missing dir", []string{"--config-dir", filepath.Join(dir, "none")}, exitConfig, "none"},
		{"other subcommand", []string{"top"}, exitUsage, "not supported by the stand-in"},
		{"unknown flag", []string{"--frob"}, exitUsage, "frob"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(context.Background(), tc.args, noEnv, &out, &out)
			assert.Equal(t, code, tc.want, out.String())
			assert.Assert(t, strings.Contains(out.String(), tc.out), out.String())
		})
	}
}

func TestRunTakesTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.yaml"), minimal)
	env := func(k string) string { return map[string]string{"VECTOR_CONFIG_DIR": dir}[k] }
	var out bytes.Buffer
	assert.Equal(t, run(context.Background(), []string{"validate", "--no-environment"}, env, &out, &out), exitOK, out.String())

	env = func(k string) string { return map[string]string{"VECTOR_WATCH_CONFIG": "true"}[k] }
	assert.Equal(t, run(context.Background(), nil, env, &out, &out), exitUsage)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	assert.NilError(t, os.WriteFile(path, []byte(text), 0o600))
}
