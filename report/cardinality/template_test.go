package cardinality_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
)

const someUUID = "6f1d9d1e-2b6c-4f0e-9a53-0d4e6f7a8b9c"

func TestTemplate(t *testing.T) {
	for value, want := range map[string]string{
		"":                                "",
		"api":                             "api",
		"/metrics":                        "/metrics",
		"/api/v2/users":                   "/api/v2/users",
		"/users/17":                       "/users/{id}",
		"/users/17/cart":                  "/users/{id}/cart",
		"/1/2/3/4":                        "/{id}/{id}/{id}/{id}",
		"/users/17?page=2&token=abc":      "/users/{id}",
		"/?a/b?c":                         "/",
		"why? /because":                   "why? /because",
		"a?b/17?c":                        "a?b/{id}",
		"https://example.org/a/42/b":      "https://example.org/a/{id}/b",
		"/o/" + someUUID:                  "/o/{id}",
		"/o/" + strings.ToUpper(someUUID): "/o/{id}",
		"17" + someUUID + "x":             "{id}{id}x",
		someUUID + someUUID:               "{id}{id}",
		someUUID[1:]:                      "f1d9d1e-2b6c-4f0e-9a53-{id}",
		"/blobs/sha256:46b5bc25b2d80cf8":  "/blobs/sha256:{id}",
		"46b5bc25b2d8":                    "{id}",
		"46b5bc25b2d":                     "46b5bc25b2d",
		"46b5bc25b2d8g":                   "46b5bc25b2d8g",
		"tenant_17-queue":                 "tenant_{id}-queue",
		"é17":                             "é{id}",
		"p99":                             "p99",
		"10.0.0.7:80: refused":            "{id}.{id}.{id}.{id}:{id}: refused",
		"\xff17\xfe":                      "\xff{id}\xfe",
		"/a\n17?b\nc":                     "/a\n{id}",
		"${1}/{id}":                       "${{id}}/{id}",
	} {
		assert.Equal(t, cardinality.Template(value), want, "%q", value)
		assert.Equal(t, cardinality.TemplateBySteps(value), want, "%q", value)
	}
}

// randomPath is made of what a template turns on: ids, what is nearly one, what stands beside them, and bytes.
func randomPath(random *rand.Rand) string {
	var out strings.Builder
	for range 1 + random.IntN(8) {
		switch random.IntN(9) {
		case 0:
			fmt.Fprintf(&out, "%d", random.IntN(10_000))
		case 1:
			fmt.Fprintf(&out, "%0*x", 10+random.IntN(6), random.Uint64()>>16)
		case 2:
			fmt.Fprintf(&out, "%08x-%04x-%04x-%04X-%012x", random.Uint32(), random.IntN(1<<16), random.IntN(1<<16), random.IntN(1<<16), random.Uint64()>>16)
		case 3:
			out.WriteString([]string{"users", "v2", "orders", "a", "F", "é", "日本", "{id}", "$1", "${2}", "{{job}}", "%{HOME}"}[random.IntN(12)])
		case 4:
			fmt.Fprintf(&out, "%c", []byte("/?-_.:; \n'\"\\\t")[random.IntN(13)])
		case 5:
			out.WriteByte([]byte{0x01, 0x7f, 0x80, 0xc3, 0xff, '{'}[random.IntN(6)])
		default:
			out.WriteByte('/')
		}
	}
	return out.String()
}

func TestTemplateIsThatOfTheRule(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3)) //nolint:gosec // the same in each run
	for range 20_000 {
		value := randomPath(random)
		assert.Equal(t, cardinality.Template(value), cardinality.TemplateBySteps(value), "%q", value)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"/users/17/cart?x", "/1/2/3", someUUID + "1", "46b5bc25b2d8", "\xff1", "a?/1?2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		assert.Equal(t, cardinality.Template(value), cardinality.TemplateBySteps(value))
	})
}
