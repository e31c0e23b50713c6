package cardinality_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
)

func TestShapeOf(t *testing.T) {
	for _, tc := range []struct {
		value string
		want  cardinality.Shape
	}{
		{"api", cardinality.Plain},
		{"GET", cardinality.Plain},
		{"", cardinality.Plain},
		{"/metrics", cardinality.Plain},
		{"facade", cardinality.Plain},
		{"deadbeefcafe", cardinality.Plain},
		{"v1.2.3", cardinality.Plain},
		{"a@b", cardinality.Plain},
		{"/api/v2/users", cardinality.Plain},
		{"out of memory", cardinality.Plain},
		{"::", cardinality.Plain},
		{"select", cardinality.Plain},
		{"6f1d9d1e-2b6c-4f0e-9a53-0d4e6f7a8b9c", cardinality.UUID},
		{"10.0.0.7", cardinality.Address},
		{"10.0.0.7:9100", cardinality.Address},
		{"[fe80::1]:80", cardinality.Address},
		{"2001:db8::7", cardinality.Address},
		{"2026-11-24T22:00:00Z", cardinality.Timestamp},
		{"2026-11-24", cardinality.Timestamp},
		{"1795387549", cardinality.Timestamp},
		{"1795387549123", cardinality.Timestamp},
		{"1795387549.25", cardinality.Timestamp},
		{"200", cardinality.Number},
		{"-1.5e3", cardinality.Number},
		{"+Inf", cardinality.Number},
		{"46b5bc25b2d8", cardinality.Hash},
		{"sha256:46b5bc25b2d80cf879cd35d0f20bee33", cardinality.Hash},
		{"ann@example.org", cardinality.Mail},
		{"/users/17/cart", cardinality.Path},
		{"/o/6f1d9d1e-2b6c-4f0e-9a53-0d4e6f7a8b9c?x=1", cardinality.Path},
		{"https://example.org/a/42", cardinality.Path},
		{"SELECT a FROM b WHERE c = 1", cardinality.SQL},
		{"update t set a=1", cardinality.SQL},
		{"INSERT INTO t VALUES (1)", cardinality.SQL},
		{"dial tcp 10.0.0.7:80: connect: connection refused", cardinality.Text},
	} {
		assert.Equal(t, cardinality.ShapeOf([]string{tc.value}), tc.want, tc.value)
	}
}

func TestFourFifthsDecide(t *testing.T) {
	ids := []string{"46b5bc25b2d8", "46b5bc25b2d9", "46b5bc25b2e0", "46b5bc25b2f1"}
	assert.Equal(t, cardinality.ShapeOf(append(ids, "none", "")), cardinality.Hash)
	assert.Equal(t, cardinality.ShapeOf(append(ids, "none", "other")), cardinality.Plain)
	assert.Equal(t, cardinality.ShapeOf(nil), cardinality.Plain)
}

func FuzzShapeOf(f *testing.F) {
	for _, seed := range []string{"a@b.c", "10.0.0.1:1", "\x00", "/1/2", "select (", "2026-01-01", "\u202e@example.org"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		one, two := cardinality.ShapeOf([]string{value}), cardinality.ShapeOf([]string{value, value, value})
		assert.Equal(t, one, two)
	})
}
