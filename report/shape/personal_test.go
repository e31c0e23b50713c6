package shape_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/shape"
)

func TestMask(t *testing.T) {
	m := shape.NewMasker()
	for _, tc := range []struct {
		value, masked string
		person        bool
	}{
		{"api", "api", false},
		{"", "", false},
		{"ann@example.org", "[e-mail]", true},
		{"login of <ann.b+c@mail.example.org>, ok", "login of <[e-mail]>, ok", true},
		{"jörg@bücher.example", "[e-mail]", true},
		{"nginx@sha256:46b5bc25b2d8", "nginx@sha256:46b5bc25b2d8", false},
		{"root@localhost", "root@localhost", false},
		{"10.0.0.7", "[ip]", false},
		{"connect to 10.0.0.7:80: refused", "connect to [ip]:80: refused", false},
		{"203.0.113.9 - - GET /", "[ip] - - GET /", true},
		{"from 203.0.113.9.", "from [ip].", true},
		{"[2001:db8::7]:443", "[[ip]]:443", true},
		{"fe80::1 is near", "[ip] is near", false},
		{"listen on [::]:80", "listen on [::]:80", false},
		{"at 12:30:45 and 12:30:45.678", "at 12:30:45 and 12:30:45.678", false},
		{"02:42:ac:11:00:02", "02:42:ac:11:00:02", false},
		{"version 1.2.3", "version 1.2.3", false},
		{"999.1.1.1", "999.1.1.1", false},
		{"std::string::npos", "std::string::npos", false},
		{"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.", "[secret]", false},
		{"key AKIAABCDEFGHIJKLMNOP", "key [secret]", false},
		{"ghp_0123456789abcdefghij", "[secret]", false},
		{"glpat-0123456789abcdefghij", "[secret]", false},
		{"xoxb-0123456789-abc", "[secret]", false},
		{"sk_live_0123456789abcdef", "[secret]", false},
		{"sk-0123456789abcdefghij", "[secret]", false},
		{"Authorization: Bearer 0123456789.abcdef-", "Authorization: Bearer [secret]", false},
		{"bearer authentication", "bearer authentication", false},
		{"Basic bWU6cGFzcw==", "Basic [secret]", false},
		{"basic authentication", "basic authentication", false},
		{"postgres://me:pass@db/shop", "postgres://[secret]@db/shop", false},
		{"https://example.org/a:b", "https://example.org/a:b", false},
		{"/login?user=7&token=abc&x=1", "/login?user=7&token=[secret]&x=1", false},
		{"task-force", "task-force", false},
		{"3f9c0a7d3f9c0a7d3f9c0a7d3f9c0a7d", "3f9c0a7d3f9c0a7d3f9c0a7d3f9c0a7d", false},
	} {
		assert.Equal(t, m.Mask(tc.value), tc.masked, tc.value)
		assert.Equal(t, m.Person(tc.value), tc.person, tc.value)
		assert.Equal(t, m.Mask(tc.masked), tc.masked, tc.value)
	}
}

func TestSecretName(t *testing.T) {
	for name, secret := range map[string]bool{"token": true, "db_password": true, "api_key": true, "user_id": false, "key": false} {
		assert.Equal(t, shape.SecretName(name), secret, name)
	}
}

// What was masked has nothing left to mask.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{"ann@example.org", "203.0.113.9:80", "::ffff:203.0.113.9", "a@b.c@d.e", "1::2::3", "\xff@\u202e.x"} {
		f.Add(seed)
	}
	m := shape.NewMasker()
	f.Fuzz(func(t *testing.T, value string) {
		masked := m.Mask(value)
		assert.Assert(t, !m.Person(masked), "%q", masked)
	})
}
