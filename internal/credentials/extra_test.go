package credentials

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestEnsureExtra(t *testing.T) {
	files := newMemory()
	users := map[string]string{"valkey": "me", "rabbit-mq": "telemetry"}
	none, err := ReadExtra(files, users)
	assert.NilError(t, err)
	assert.Equal(t, len(none), 0)

	first, err := EnsureExtra(files, users, rand.Reader)
	assert.NilError(t, err)
	assert.DeepEqual(t, slices.Sorted(maps.Keys(first)), []string{"rabbit-mq_password", "rabbit-mq_user", "valkey_password", "valkey_user"})
	assert.Equal(t, first["valkey_user"], "me")
	assert.Assert(t, strong(first["valkey_password"]))
	assert.Assert(t, first["valkey_password"] != first["rabbit-mq_password"])
	for name, value := range first {
		assert.Equal(t, files.files["secrets/"+name], value, "byte for byte: the stores read the file")
	}

	writes := files.writes
	second, err := EnsureExtra(files, users, strings.NewReader(""))
	assert.NilError(t, err, "needs no random numbers")
	assert.Assert(t, maps.Equal(first, second))
	assert.Equal(t, files.writes, writes)

	less, err := EnsureExtra(files, map[string]string{"valkey": "me"}, rand.Reader)
	assert.NilError(t, err)
	assert.Equal(t, len(less), 2)
	back, err := ReadExtra(files, users)
	assert.NilError(t, err)
	assert.Assert(t, maps.Equal(first, back), "those of a profile that was off are there again")

	nothing, err := EnsureExtra(files, nil, rand.Reader)
	assert.NilError(t, err)
	assert.Equal(t, len(nothing), 0)
}

func TestEnsureExtraFinishesAnInterruptedRun(t *testing.T) {
	files := newMemory()
	files.failing = 2
	users := map[string]string{"valkey": "me"}
	_, err := EnsureExtra(files, users, rand.Reader)
	assert.Error(t, err, "no space")
	half, err := ReadExtra(files, users)
	assert.NilError(t, err)
	assert.DeepEqual(t, map[string]string(half), map[string]string{"valkey_user": "me"})
	set, err := EnsureExtra(files, users, rand.Reader)
	assert.NilError(t, err)
	assert.Equal(t, len(set), 2)
}

func TestExtraSecretsThatAreDamaged(t *testing.T) {
	for file, tc := range map[string]struct{ content, want string }{
		"valkey_password": {"short", `secret "secrets/valkey_password" is cut short: 5 of 44 characters`},
		"valkey_user":     {"a:b", `secret "secrets/valkey_user" holds characters that a user name must not have`},
	} {
		files := newMemory()
		users := map[string]string{"valkey": "me"}
		_, err := EnsureExtra(files, users, rand.Reader)
		assert.NilError(t, err)
		files.files["secrets/"+file] = tc.content
		before := maps.Clone(files.files)
		_, err = EnsureExtra(files, users, rand.Reader)
		assert.Error(t, err, tc.want)
		_, err = ReadExtra(files, users)
		assert.Error(t, err, tc.want)
		assert.Assert(t, maps.Equal(before, files.files), "nothing was written")
	}
}

func TestLoginsOfASetWithExtra(t *testing.T) {
	files := newMemory()
	set, _, err := Ensure(files, rand.Reader)
	assert.NilError(t, err)
	extra, err := EnsureExtra(files, map[string]string{"otlp": "bearer"}, rand.Reader)
	assert.NilError(t, err)
	maps.Copy(set, extra)
	var names []string
	for _, login := range set.Logins() {
		names = append(names, login.Name)
		assert.Assert(t, login.User != "" && login.Password != "", login.Name)
	}
	assert.DeepEqual(t, names, []string{"grafana", "openobserve", "otlp", "victoriametrics"})
	assert.Equal(t, set.Login("otlp").User, "bearer")
	assert.Equal(t, set.Login("other"), Login{})
}

// What CheckExtra takes is read back as it was written, or every later command would call it damaged.
func TestCheckExtra(t *testing.T) {
	for _, tc := range []struct{ name, user, want string }{
		{"valkey", "me", ""},
		{"rabbit-mq2", "root@a.b", `user: "root@a.b" holds characters that a user name must not have`},
		{"valkey", "me.too-1_x", ""},
		{"valkey", "", "user: say who logs in"},
		{"valkey", "a:b", `user: "a:b" holds characters that a user name must not have`},
		{"openobserve", "me", "the stack has a log-in of that name already"},
		{"grafana_admin", "me", `"grafana_admin" is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters`},
		{"../x", "me", `"../x" is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters`},
		{"", "me", `"" is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters`},
	} {
		err := CheckExtra(tc.name, tc.user)
		if tc.want != "" {
			assert.Error(t, err, tc.want)
			continue
		}
		assert.NilError(t, err)
		files := newMemory()
		users := map[string]string{tc.name: tc.user}
		_, err = EnsureExtra(files, users, rand.Reader)
		assert.NilError(t, err)
		_, err = ReadExtra(files, users)
		assert.NilError(t, err)
	}
}
