//go:build store

package cardinality_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

const (
	manyStores = 200
	// storeLabel tells the stores apart.
	storeLabel = "store"
)

// TestStoreCounts holds what Collect counts of random stores against label sets that are compared as text, taken from the
// export of the same process, which reads them in another way: with their samples.
//
// The stores are label values of one process, chosen by Request.Match, because 200 processes would take minutes. That is the
// harder case and not an easier one: they share metrics, labels and the index, so a match that takes a series too many or too
// few is seen. What it does not try is a process with nothing else in it; counting everything at the end, without a match, is
// the nearest to that.
func TestStoreCounts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	store, err := storetest.Start(ctx, t.TempDir())
	assert.NilError(t, err)
	defer func() { assert.NilError(t, store.Stop()) }()

	now := time.Now()
	written := make([]int, manyStores)
	for i := range written {
		written[i] = writeStore(ctx, t, store, i, now)
	}
	assert.NilError(t, store.Flush(ctx))

	total := 0
	for i, count := range written {
		match := fmt.Sprintf(`{%s="%d"}`, storeLabel, i)
		total += compareStore(ctx, t, store, cardinality.Request{Match: []string{match}, Now: now, Top: 1000, Samples: 3}, count)
	}
	compareStore(ctx, t, store, cardinality.Request{Now: now, Samples: 3}, total)
}

// compareStore returns how many series have a name: those without one are there only for a match that asks for them.
func compareStore(ctx context.Context, t *testing.T, store *storetest.Store, request cardinality.Request, written int) (named int) {
	t.Helper()
	client := &victoriametrics.Client{BaseURL: store.URL, HTTP: store.HTTP, Identity: true}
	collected, err := cardinality.Collect(ctx, client, request)
	assert.NilError(t, err)

	byMetric := exported(ctx, t, store, request.Match)
	total := 0
	for _, all := range byMetric {
		total += len(all)
	}
	// Otherwise the store has refused a part of them, and the test is about less than it says.
	assert.Equal(t, total, written, "%v", request.Match)
	assert.Equal(t, collected.Stream.Series, int64(total), "%v", request.Match)
	assert.Equal(t, len(collected.Metrics), len(byMetric), "%v", request.Match)
	comparePortions(ctx, t, client, request, collected)
	for _, metric := range collected.Metrics {
		metric = inLatin1(metric)
		compareLabels(t, metric, byMetric[metric.Name])
		if request.Top == 0 {
			assert.Equal(t, len(metric.Pairs), 0)
			continue
		}
		compareTemplates(t, metric, byMetric[metric.Name])
		comparePairs(t, metric, byMetric[metric.Name])
	}
	return total - len(byMetric[""])
}

// comparePortions asks for each metric by itself, as a large store is asked for some at a time.
func comparePortions(ctx context.Context, t *testing.T, client *victoriametrics.Client, request cardinality.Request, collected cardinality.Collected) {
	t.Helper()
	portions := victoriametrics.SeriesRequest{Match: request.Match, Size: func(string) uint64 { return math.MaxUint32 }}
	if len(portions.Match) == 0 {
		portions.Match = []string{victoriametrics.EverySeries}
	}
	portions.From, portions.To = request.Window()
	counter := cardinality.Counter{Samples: request.Samples, Closely: func(string) bool { return request.Top > 0 }}
	stream, err := client.Series(ctx, portions, counter.Add)
	assert.NilError(t, err, "%v", request.Match)
	assert.Equal(t, stream.Series, collected.Stream.Series, "%v", request.Match)
	metrics, _ := counter.Finish()
	byName := func(a, b cardinality.MetricCount) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(metrics, byName)
	assert.DeepEqual(t, metrics, slices.SortedFunc(slices.Values(collected.Metrics), byName))
}

// exported are the series of an export by metric.
func exported(ctx context.Context, t *testing.T, store *storetest.Store, match []string) map[string][]series {
	t.Helper()
	if len(match) == 0 {
		match = []string{victoriametrics.EverySeries}
	}
	byMetric := map[string][]series{}
	seen := map[string]bool{}
	exportedLines(ctx, t, store, match, func(metric series, _ []float64) {
		key := metric.without()
		assert.Assert(t, !seen[key], "twice: %s", key)
		seen[key] = true
		byMetric[metric["__name__"]] = append(byMetric[metric["__name__"]], metric)
	})
	return byMetric
}

func exportedLines(ctx context.Context, t *testing.T, store *storetest.Store, match []string, yield func(metric series, values []float64)) {
	t.Helper()
	address := store.URL + "/api/v1/export?" + url.Values{"match[]": match}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	assert.NilError(t, err)
	response, err := store.HTTP.Do(request)
	assert.NilError(t, err)
	defer response.Body.Close()
	assert.Equal(t, response.StatusCode, http.StatusOK)

	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Metric series    `json:"metric"`
			Values []float64 `json:"values"`
		}
		assert.NilError(t, json.Unmarshal([]byte(latin1(lines.Text())), &line))
		yield(line.Metric, line.Values)
	}
	assert.NilError(t, lines.Err())
}

// latin1 makes a character of each byte. encoding/json replaces what is no UTF-8, and two values would become one.
func latin1(text string) string {
	var out strings.Builder
	for _, c := range []byte(text) {
		out.WriteRune(rune(c))
	}
	return out.String()
}

func inLatin1(metric cardinality.MetricCount) cardinality.MetricCount {
	metric.Name = latin1(metric.Name)
	for i := range metric.Labels {
		label := &metric.Labels[i]
		label.Name = latin1(label.Name)
		for at := range label.Mirrors {
			label.Mirrors[at] = latin1(label.Mirrors[at])
		}
		for at := range label.Samples {
			label.Samples[at] = latin1(label.Samples[at])
		}
	}
	for i := range metric.Pairs {
		pair := &metric.Pairs[i]
		pair.First, pair.Second = latin1(pair.First), latin1(pair.Second)
	}
	return metric
}

// writeStore writes a random store and returns how many series it has. Every other one is sent as text, where names have to
// be plain.
func writeStore(ctx context.Context, t *testing.T, store *storetest.Store, number int, now time.Time) int {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(number), 2)) //nolint:gosec // the same stores in each run
	asText := number%2 == 1
	all := oddStore(random, number, asText)
	path, line := "/api/v1/import", jsonLine
	if asText {
		path, line = "/api/v1/import/prometheus", textLine
	}
	var body bytes.Buffer
	for _, one := range all {
		line(&body, one, now)
	}
	assert.NilError(t, store.Import(ctx, path, &body))
	return len(all)
}

func oddMetrics() []string {
	plain := []string{"requests_total", "latency_bucket", "up", "a", "a:b"}
	return append(plain, "Größe", "dots.and-dashes", `with "quotes"`, " ", "a b", "\x00", "")
}

func oddLabels() []string {
	return []string{"job", "le", "instance", "l", "label", "host.name", "größe", `quo"te`, `back\slash`, " ", "a b", "nul\x00"}
}

// oddValues are those that a decoder, an escape or a comparison could take for another one, or for none.
func oddValues() []string {
	return []string{
		" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u200b", "\ufeff", "\u2028", "null", "0",
		`""`, `"`, `\`, `\\`, `\n`, `\"`, `}`, `{`, `,`, `"},{"`, "'", "a=b", "#", "%20", "+", "<b>&amp;</b>",
		"é", "e\u0301", "É", "日本語", "𝄞", "\ufffd", "\xff", "\xfe", "\xe9", "\xf0\x9d\x84", "\x00", "\x01", "\x02", "\x7f",
		strings.Repeat("x", 4000), strings.Repeat("x", 3999) + "y", strings.Repeat("\"", 2000), strings.Repeat("𝄞", 1000),
	}
}

// oddStore is distinct series. Some labels miss, some mirror another, some have one value; an empty value is none.
func oddStore(random *rand.Rand, number int, plain bool) []series {
	metrics, labels := oddMetrics(), oddLabels()
	if plain {
		metrics, labels = metrics[:5], labels[:5]
	}
	shuffle(random, metrics)
	shuffle(random, labels)
	var all []series
	for _, metric := range metrics[:1+random.IntN(4)] {
		names := labels[:1+random.IntN(5)]
		values := make([][]string, len(names))
		for i := range values {
			values[i] = someValues(random)
		}
		seen := map[string]bool{}
		for range 1 + random.IntN(150) {
			one := series{"__name__": metric, storeLabel: strconv.Itoa(number)}
			for i, name := range names {
				one[name] = values[i][random.IntN(len(values[i]))]
				if i > 0 && i%3 == 0 {
					one[name] = "m" + one[names[i-1]]
				}
			}
			maps.DeleteFunc(one, func(_, value string) bool { return value == "" })
			if key := one.without(); !seen[key] {
				seen[key] = true
				all = append(all, one)
			}
		}
	}
	return all
}

// someValues may have "" among them, for a label that misses.
func someValues(random *rand.Rand) []string {
	values := append(oddValues(), "", "GET", "get", "200", "10.0.0.1:9100", "a", "b", "c",
		"/u/1", "/u/22/x?y", "/u/{id}", "\xff1", "\xff2", "é1\n", "46b5bc25b2d8", "46b5bc25b2d9")
	shuffle(random, values)
	values = values[:1+random.IntN(12)]
	if random.IntN(3) == 0 {
		values = append(values, "")
	}
	return values
}

func jsonLine(out *bytes.Buffer, one series, now time.Time) { storetest.WriteLine(out, one, now) }

func textLine(out *bytes.Buffer, one series, now time.Time) {
	out.WriteString(one["__name__"])
	out.WriteByte('{')
	escapes := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	for _, name := range slices.Sorted(maps.Keys(one)) {
		if name != "__name__" {
			fmt.Fprintf(out, `%s="%s",`, name, escapes.Replace(one[name]))
		}
	}
	fmt.Fprintf(out, "} 1 %d\n", now.UnixMilli())
}
