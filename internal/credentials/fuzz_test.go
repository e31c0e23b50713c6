package credentials

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// refusal is the whole of what may be said of a secret: no byte of its content has a place in it.
var refusal = regexp.MustCompile(`^secret "secrets/[a-z_]+" (is empty|is cut short: [0-9]+ of 44 characters|` +
	`is not a password that docker telemetry made|is not an e-mail address that OpenObserve accepts|` +
	`holds characters that a user name must not have)$`)

// FuzzRead puts any bytes into one secret's file. What is accepted can be pasted as text wherever the stores take it
// from; what is refused stays on disk as it is and out of the message.
func FuzzRead(f *testing.F) {
	const good = "aB3_aB3_aB3_aB3_aB3_aB3_aB3_aB3_aB3_aB3_aB3_"
	for which := range entries() {
		for _, seed := range []string{
			good, good + "\n", good + "\r\n", good + "\n\n", good[:43], strings.Repeat(good, 3), "", "\n",
			"root@telemetry.local", "root@telemetry.local\nZO_TELEMETRY=true", "admin", "admin: yes", "a\x00b", "\xff",
			good + " #", "$" + good, "-" + good, good + "\u2028", "\ufeff" + good,
		} {
			f.Add(uint8(which), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		files := newMemory()
		_, _, err := Ensure(files, rand.Reader)
		assert.NilError(t, err)
		fuzzed := entries()[int(which)%len(entries())]
		files.files[folder+fuzzed.name] = string(content)
		before, writes := maps.Clone(files.files), files.writes

		set, err := Read(files)
		ensured, created, ensureErr := Ensure(files, rand.Reader)
		assert.DeepEqual(t, files.files, before)
		assert.Equal(t, files.writes, writes)
		if err != nil {
			var damaged *DamagedError
			assert.Assert(t, errors.As(err, &damaged), "%T", err)
			assert.Assert(t, refusal.MatchString(err.Error()), err.Error())
			assert.Error(t, ensureErr, err.Error())
			return
		}
		assert.NilError(t, ensureErr)
		assert.Assert(t, !created)
		assert.DeepEqual(t, ensured, set)

		value := set[fuzzed.name]
		assert.Equal(t, strings.TrimRight(string(content), "\r\n"), value)
		assertPastable(t, value)
		assert.Equal(t, string(set.OpenObserveEnv()),
			"ZO_ROOT_USER_EMAIL="+set[OpenObserveUser]+"\nZO_ROOT_USER_PASSWORD="+set[OpenObservePassword]+"\n")
	})
}

// assertPastable: one word of characters that no shell, dotenv, YAML, HTTP header or URL reads as anything else.
func assertPastable(t *testing.T, value string) {
	t.Helper()
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.@"
	assert.Assert(t, value != "" && strings.Trim(value, plain) == "" && value[0] != '-' && value[0] != '@', "%q", value)
	for _, char := range value {
		assert.Assert(t, strings.ContainsRune(plain, char), "%q", value)
	}
	if !strings.Contains(value, "@") {
		assert.Equal(t, url.UserPassword("u", value).String(), "u:"+value)
	}
}
