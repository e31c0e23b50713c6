package credentials

import (
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestLogins(t *testing.T) {
	set, _, err := Ensure(newMemory(), rand.Reader)
	assert.NilError(t, err)
	assert.DeepEqual(t, Names(), []string{"grafana", "openobserve", "victoriametrics"})
	for i, login := range set.Logins() {
		assert.Equal(t, login.Name, Names()[i])
		assert.Equal(t, len(login.Password), passwordLength)
		assert.Assert(t, login.User != "")
	}
	assert.DeepEqual(t, Set{GrafanaPassword: "x"}.Rotated(), []string{"grafana"})
}

func TestRotation(t *testing.T) {
	files := newMemory()
	old, _, err := Ensure(files, rand.Reader)
	assert.NilError(t, err)
	none, err := Pending(files)
	assert.NilError(t, err)
	assert.Assert(t, none == nil)

	next, err := Begin(files, []string{"openobserve", "grafana"}, rand.Reader)
	assert.NilError(t, err)
	assert.DeepEqual(t, next.Rotated(), []string{"grafana", "openobserve"})
	assert.Assert(t, next[OpenObservePassword] != old[OpenObservePassword])
	assert.Assert(t, openObserveAccepts(next[OpenObservePassword]))
	now, err := Read(files)
	assert.NilError(t, err)
	assert.Assert(t, maps.Equal(now, old), "the secrets stay until it is proven")

	// Another process, after this one was killed.
	pending, err := Pending(files)
	assert.NilError(t, err)
	assert.Assert(t, maps.Equal(pending, next))
	more, err := Begin(files, []string{"victoriametrics", "grafana"}, rand.Reader)
	assert.NilError(t, err)
	assert.Equal(t, more[GrafanaPassword], next[GrafanaPassword], "the store may have it already")
	assert.DeepEqual(t, more.Rotated(), Names())

	assert.NilError(t, Commit(files, more))
	now, err = Read(files)
	assert.NilError(t, err)
	for _, name := range []string{GrafanaPassword, OpenObservePassword, VictoriaMetricsPassword} {
		assert.Equal(t, now[name], more[name])
	}
	none, err = Pending(files)
	assert.NilError(t, err)
	assert.Assert(t, none == nil)
	assert.Equal(t, files.files[rotationFile], "", "no secret is left behind")
}

func TestAbandonedRotation(t *testing.T) {
	files := newMemory()
	old, _, err := Ensure(files, rand.Reader)
	assert.NilError(t, err)
	_, err = Begin(files, Names(), rand.Reader)
	assert.NilError(t, err)
	assert.NilError(t, Abandon(files))
	now, err := Read(files)
	assert.NilError(t, err)
	assert.Assert(t, maps.Equal(now, old))
	assert.Equal(t, files.files[rotationFile], "")
}

// Whichever write is the last one: either nothing was begun, or the new passwords are on disk as long as one secret
// is still the old one. A store's password is never lost.
func TestRotationSurvivesEachWrite(t *testing.T) {
	const writes = 5 // the begin, three secrets, the end
	for failing := 1; failing <= writes; failing++ {
		files := newMemory()
		old, _, err := Ensure(files, rand.Reader)
		assert.NilError(t, err)
		files.failing = files.writes + failing
		next, err := Begin(files, Names(), rand.Reader)
		if failing > 1 {
			assert.NilError(t, err)
			err = Commit(files, next)
		}
		assert.Error(t, err, "no space")

		now, err := Read(files)
		assert.NilError(t, err)
		pending, err := Pending(files)
		assert.NilError(t, err)
		if pending == nil {
			assert.Equal(t, failing, 1)
			assert.Assert(t, maps.Equal(now, old))
			continue
		}
		for _, login := range now.Logins() {
			known := []string{old[login.passwordName], pending[login.passwordName]}
			assert.Assert(t, slices.Contains(known, login.Password))
		}
		assert.NilError(t, Commit(files, pending))
		now, err = Read(files)
		assert.NilError(t, err)
		assert.Equal(t, now[GrafanaPassword], next[GrafanaPassword])
	}
}

func TestBrokenRotation(t *testing.T) {
	good := newMemory()
	next, err := Begin(good, []string{"grafana"}, rand.Reader)
	assert.NilError(t, err)
	whole := good.files[rotationFile]
	for name, content := range map[string]string{
		"cut":              whole[:len(whole)-1],
		"not JSON":         next[GrafanaPassword],
		"nothing in it":    "{}",
		"null":             "null",
		"another secret":   strings.Replace(whole, GrafanaPassword, "gateway_key", 1),
		"a user":           strings.Replace(whole, GrafanaPassword, GrafanaUser, 1),
		"a weak password":  `{"grafana_admin_password":"admin"}`,
		"a number":         `{"grafana_admin_password":1}`,
		"a broken quoting": whole + whole,
	} {
		t.Run(name, func(t *testing.T) {
			files := newMemory()
			files.files[rotationFile] = content
			_, err := Pending(files)
			assert.Error(t, err, `secret "secrets/rotation" cannot be read as a rotation that was begun`)
			var hinter interface{ Hint() string }
			assert.Assert(t, errors.As(err, &hinter) && strings.Contains(hinter.Hint(), "docker telemetry credentials rotate"))
			_, err = Begin(files, Names(), rand.Reader)
			assert.Assert(t, err != nil)
			assert.Equal(t, files.files[rotationFile], content)
		})
	}
}
