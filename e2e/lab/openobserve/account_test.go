package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestPasswordPolicy(t *testing.T) {
	tests := []struct {
		password string
		ok       bool
	}{
		{"Abcdef1!", true},
		{"Abcdef1π", true},
		{"Aa1!" + strings.Repeat("x", 124), true},
		{"Aa1!" + strings.Repeat("x", 125), false},
		{"Abcde1!", false},
		{"abcdef1!", false},
		{"ABCDEF1!", false},
		{"Abcdefg!", false},
		{"Abcdef12", false},
		{"", false},
	}
	for _, tt := range tests {
		t.Run(tt.password, func(t *testing.T) {
			assert.Equal(t, checkPassword(tt.password) == nil, tt.ok)
		})
	}
}

func TestFirstStart(t *testing.T) {
	tests := []struct {
		name, email, password, err string
	}{
		{"fine", "a.b_c@d-e.co.uk", testPassword, ""},
		{"no email", "", testPassword, "Please set root user"},
		{"upper case", "Root@example.com", testPassword, "Please set root user"},
		{"no tld", "root@localhost", testPassword, "Please set root user"},
		{"short tld", "root@example.c", testPassword, "Please set root user"},
		{"no password", "root@example.com", "", "Please set root user"},
		{"weak", "root@example.com", "password", "ZO_ROOT_USER_PASSWORD is too weak"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := openAccount(config{dataDir: t.TempDir(), rootEmail: tt.email, rootPassword: tt.password})
			if tt.err == "" {
				assert.NilError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.err)
		})
	}
}

func TestPasswordCountsOnFirstStartOnly(t *testing.T) {
	cfg := config{dataDir: t.TempDir(), rootEmail: testEmail, rootPassword: testPassword}
	login := func(cfg config, password string) bool {
		a, err := openAccount(cfg)
		assert.NilError(t, err)
		v := verifier{account: a}
		return v.ok(testEmail, password) && v.ok(testEmail, password)
	}
	assert.Assert(t, login(cfg, testPassword))
	raw, err := os.ReadFile(accountPath(cfg))
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(string(raw), testPassword), "the password is stored in clear")

	next := cfg
	next.rootPassword = "Other-pass9"
	assert.Assert(t, !login(next, next.rootPassword))
	assert.Assert(t, login(next, testPassword))

	assert.NilError(t, resetRoot(next, io.Discard))
	assert.Assert(t, login(next, next.rootPassword))
	assert.Assert(t, !login(next, testPassword))

	weak := next
	weak.rootPassword = "weak"
	assert.ErrorContains(t, resetRoot(weak, io.Discard), "does not meet policy")
	stranger := next
	stranger.rootEmail = "else@example.com"
	assert.ErrorContains(t, resetRoot(stranger, io.Discard), "not found")
}

func TestConfig(t *testing.T) {
	tests := []struct {
		name, key, value, err string
	}{
		{"retention 1", "ZO_COMPACT_DATA_RETENTION_DAYS", "1", "less than 3 days"},
		{"retention 2", "ZO_COMPACT_DATA_RETENTION_DAYS", "2", "less than 3 days"},
		{"retention 3", "ZO_COMPACT_DATA_RETENTION_DAYS", "3", ""},
		{"retention off", "ZO_COMPACT_DATA_RETENTION_DAYS", "0", ""},
		{"not a number", "ZO_INGEST_ALLOWED_UPTO", "five", "not an integer"},
		{"not a port", "ZO_HTTP_PORT", "99999", "not a port"},
		{"not a boolean", "ZO_TELEMETRY", "nope", "not a boolean"},
		{"relative base", "ZO_BASE_URI", "abc", "must start with a slash"},
		{"unknown name", "ZO_NO_SUCH_THING", "x", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := loadConfig(map[string]string{tt.key: tt.value, "HOME": "/"})
			if tt.err != "" {
				assert.ErrorContains(t, err, tt.err)
				return
			}
			assert.NilError(t, err)
			assert.DeepEqual(t, cfg.set, []string{tt.key})
		})
	}
}

func TestDotenvWins(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	assert.NilError(t, os.WriteFile(file, []byte("# comment\nZO_ROOT_USER_PASSWORD='a$b#c'\nZO_BASE_URI=/x/\n"), 0o600))
	env, err := mergeEnv([]string{"ZO_BASE_URI=/y", "ZO_HTTP_PORT=1"}, file)
	assert.NilError(t, err)
	cfg, err := loadConfig(env)
	assert.NilError(t, err)
	assert.Equal(t, cfg.baseURI, "/x")
	assert.Equal(t, cfg.port, "1")
	assert.Equal(t, cfg.rootPassword, "a$b#c")
	_, err = mergeEnv(nil, file+".missing")
	assert.ErrorContains(t, err, "set config from file path")
}

func TestArguments(t *testing.T) {
	tests := []struct {
		args string
		want command
		err  string
	}{
		{"", command{}, ""},
		{"-c f", command{configFile: "f"}, ""},
		{"-c f reset -c root", command{configFile: "f", verb: "reset", component: "root"}, ""},
		{"reset --component root", command{verb: "reset", component: "root"}, ""},
		{"--version", command{verb: "version"}, ""},
		{"reset -c user", command{}, `only resets "root"`},
		{"reset", command{}, `only resets "root"`},
		{"-c", command{}, "needs a value"},
		{"node status", command{}, "unexpected argument"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got, err := parseArgs(strings.Fields(tt.args))
			if tt.err != "" {
				assert.ErrorContains(t, err, tt.err)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, got, tt.want)
		})
	}
}
