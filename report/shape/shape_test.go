package shape_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/shape"
)

func TestOf(t *testing.T) {
	for _, tc := range []struct {
		value string
		want  shape.Shape
	}{
		{"api", shape.Plain},
		{"GET", shape.Plain},
		{"", shape.Plain},
		{"/metrics", shape.Plain},
		{"facade", shape.Plain},
		{"deadbeefcafe", shape.Plain},
		{"v1.2.3", shape.Plain},
		{"a@b", shape.Plain},
		{"/api/v2/users", shape.Plain},
		{"out of memory", shape.Plain},
		{"::", shape.Plain},
		{"select", shape.Plain},
		{"6f1d9d1e-2b6c-4f0e-9a53-0d4e6f7a8b9c", shape.UUID},
		{"10.0.0.7", shape.Address},
		{"10.0.0.7:9100", shape.Address},
		{"[fe80::1]:80", shape.Address},
		{"2001:db8::7", shape.Address},
		{"2026-11-24T22:00:00Z", shape.Timestamp},
		{"2026-11-24", shape.Timestamp},
		{"1795387549", shape.Timestamp},
		{"1795387549123", shape.Timestamp},
		{"1795387549.25", shape.Timestamp},
		{"200", shape.Number},
		{"-1.5e3", shape.Number},
		{"+Inf", shape.Number},
		{"46b5bc25b2d8", shape.Hash},
		{"sha256:46b5bc25b2d80cf879cd35d0f20bee33", shape.Hash},
		{"ann@example.org", shape.Mail},
		{"/users/17/cart", shape.Path},
		{"/o/6f1d9d1e-2b6c-4f0e-9a53-0d4e6f7a8b9c?x=1", shape.Path},
		{"https://example.org/a/42", shape.Path},
		{"SELECT a FROM b WHERE c = 1", shape.SQL},
		{"update t set a=1", shape.SQL},
		{"INSERT INTO t VALUES (1)", shape.SQL},
		{"dial tcp 10.0.0.7:80: connect: connection refused", shape.Text},
	} {
		assert.Equal(t, shape.Of([]string{tc.value}), tc.want, tc.value)
	}
}

func TestFourFifthsDecide(t *testing.T) {
	ids := []string{"46b5bc25b2d8", "46b5bc25b2d9", "46b5bc25b2e0", "46b5bc25b2f1"}
	assert.Equal(t, shape.Of(append(ids, "none", "")), shape.Hash)
	assert.Equal(t, shape.Of(append(ids, "none", "other")), shape.Plain)
	assert.Equal(t, shape.Of(nil), shape.Plain)
}

func FuzzOf(f *testing.F) {
	for _, seed := range []string{"a@b.c", "10.0.0.1:1", "\x00", "/1/2", "select (", "2026-01-01", "\u202e@example.org"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		one, two := shape.Of([]string{value}), shape.Of([]string{value, value, value})
		assert.Equal(t, one, two)
	})
}
