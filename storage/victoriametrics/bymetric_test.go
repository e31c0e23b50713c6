package victoriametrics_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// mixing is a store that lists series as they came, whatever their metrics.
type mixing struct {
	t        *testing.T
	series   []map[string]string
	warnings []string
	requests int
	longest  int // address of a request
}

func (m *mixing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.requests++
	m.longest = max(m.longest, len(r.URL.RequestURI()))
	switch r.URL.Path {
	case "/api/v1/label/__name__/values":
		names := map[string]bool{}
		for _, one := range m.series {
			names[one["__name__"]] = true
		}
		delete(names, "")
		m.answer(w, slices.Sorted(maps.Keys(names)))
	case "/api/v1/series":
		var matchers []func(map[string]string) bool
		for _, match := range r.URL.Query()["match[]"] {
			matchers = append(matchers, m.matcher(match))
		}
		found := []map[string]string{}
		for _, one := range m.series {
			if slices.ContainsFunc(matchers, func(matches func(map[string]string) bool) bool { return matches(one) }) {
				found = append(found, one)
			}
		}
		m.answer(w, found)
	default:
		http.NotFound(w, r)
	}
}

func (m *mixing) answer(w http.ResponseWriter, data any) {
	answer := map[string]any{"status": "success", "data": data}
	if m.warnings != nil {
		answer["warnings"] = m.warnings
	}
	_ = json.NewEncoder(w).Encode(answer) // who has enough hangs up
}

// matcher knows names and the job, as Prometheus does: a condition holds of the whole value.
func (m *mixing) matcher(match string) func(one map[string]string) bool {
	conditions := regexp.MustCompile(`(__name__|job)(=~|=)("(?:[^"\\]|\\.)*")`).FindAllStringSubmatch(match, -1)
	assert.Assert(m.t, len(conditions) > 0 && strings.HasPrefix(match, "{"), match)
	values := make([]*regexp.Regexp, len(conditions))
	for i, condition := range conditions {
		value, err := strconv.Unquote(condition[3])
		assert.NilError(m.t, err)
		if condition[2] == "=" {
			value = regexp.QuoteMeta(value)
		}
		values[i] = regexp.MustCompile("^(?s:" + value + ")$")
	}
	return func(one map[string]string) bool {
		for i, condition := range conditions {
			if !values[i].MatchString(one[condition[1]]) {
				return false
			}
		}
		return true
	}
}

// grouped asks for series by metric, and checks that they come so.
func grouped(t *testing.T, store *mixing, limits victoriametrics.Limits, match ...string) ([]string, victoriametrics.Stream, error) {
	t.Helper()
	server := httptest.NewServer(store)
	defer server.Close()
	client := &victoriametrics.Client{BaseURL: server.URL, HTTP: server.Client(), Limits: limits}
	var came []string
	seen := map[string]bool{}
	last := "none yet"
	stream, err := client.Series(t.Context(), victoriametrics.SeriesRequest{Match: match, ByMetric: true}, func(labels []victoriametrics.Label) error {
		words := make([]string, 0, len(labels))
		metric := ""
		for _, label := range labels {
			if string(label.Name) == "__name__" {
				metric = string(label.Value)
			}
			words = append(words, fmt.Sprintf("%s=%s", label.Name, label.Value))
		}
		assert.Assert(t, metric == last || !seen[metric], "%q came back", metric)
		last, seen[metric] = metric, true
		slices.Sort(words)
		came = append(came, strings.Join(words, ","))
		return nil
	})
	slices.Sort(came)
	return came, stream, err
}

func words(all []map[string]string) []string {
	lines := make([]string, 0, len(all))
	for _, one := range all {
		var words []string
		for _, name := range slices.Sorted(maps.Keys(one)) {
			words = append(words, name+"="+one[name])
		}
		slices.Sort(words)
		lines = append(lines, strings.Join(words, ","))
	}
	slices.Sort(lines)
	return lines
}

func TestSeriesByMetric(t *testing.T) {
	store := &mixing{t: t}
	for i := range 3000 {
		store.series = append(store.series, map[string]string{
			"__name__": fmt.Sprintf("m%d.with|(odd)*chars", i%500), "Zone": strconv.Itoa(i % 3), "job": "a", "n": strconv.Itoa(i),
		})
	}
	came, stream, err := grouped(t, store, victoriametrics.Limits{}, victoriametrics.EverySeries)
	assert.NilError(t, err)
	assert.DeepEqual(t, came, words(store.series))
	assert.Equal(t, stream.Series, int64(3000))
	assert.Assert(t, !stream.Partial && len(stream.Warnings) == 0)
	assert.Assert(t, store.requests < 20, "%d requests", store.requests)
	assert.Assert(t, store.longest < 8<<10, "an address of %d bytes", store.longest)
}

// The series of some metrics are more than fit into memory together.
func TestSeriesByMetricOfLargeMetrics(t *testing.T) {
	store := &mixing{t: t}
	for i := range 60 {
		one := map[string]string{"__name__": fmt.Sprintf("m%d", i%15), "n": strconv.Itoa(i)}
		if i%15 == 7 {
			one["text"] = strings.Repeat("x", 1000_000)
		}
		store.series = append(store.series, one)
	}
	for i := range 20 {
		store.series = append(store.series, map[string]string{"__name__": "m7", "text": strings.Repeat("y", 1000_000), "n": strconv.Itoa(i)})
	}
	came, stream, err := grouped(t, store, victoriametrics.Limits{}, victoriametrics.EverySeries)
	assert.NilError(t, err)
	assert.Assert(t, slices.Equal(came, words(store.series)))
	assert.Equal(t, stream.Series, int64(len(store.series)))
}

func TestSeriesByMetricOfSelectors(t *testing.T) {
	all := []map[string]string{
		{"__name__": "a", "job": "x"},
		{"job": "x", "without": "name"},
		{"__name__": "b", "job": "x"},
		{"__name__": "a", "job": "y"},
		{"__name__": "c", "job": "z"},
		{"job": "z", "without": "name"},
	}
	for _, tc := range []struct {
		match []string
		want  []map[string]string
	}{
		{[]string{`{job="x"}`}, all[:3]},
		{[]string{`a{job="x"}`}, all[:1]},
		{[]string{`a`}, []map[string]string{all[0], all[3]}},
		{[]string{`{job="x"}`, `a`}, all[:4]},
		{[]string{`{job="x" or job="y"}`}, all[:4]},
		{[]string{`{__name__=~"a|b",job="x"}`}, []map[string]string{all[0], all[2]}},
	} {
		came, _, err := grouped(t, &mixing{t: t, series: all}, victoriametrics.Limits{}, tc.match...)
		assert.NilError(t, err)
		assert.DeepEqual(t, came, words(tc.want))
	}
	_, _, err := grouped(t, &mixing{t: t, series: all}, victoriametrics.Limits{}, `{job=`)
	var selector *victoriametrics.SelectorError
	assert.Assert(t, errors.As(err, &selector) && selector.Text == `{job=`, "%v", err)
}

func TestSeriesByMetricKeepsWhatIsSaidBesides(t *testing.T) {
	store := &mixing{t: t, series: []map[string]string{{"__name__": "a"}, {"__name__": "b"}}, warnings: []string{"a store is away"}}
	_, stream, err := grouped(t, store, victoriametrics.Limits{}, victoriametrics.EverySeries)
	assert.NilError(t, err)
	assert.DeepEqual(t, stream.Warnings, []string{"a store is away"})

	_, _, err = grouped(t, store, victoriametrics.Limits{Series: 1}, victoriametrics.EverySeries)
	var limit *victoriametrics.LimitError
	assert.Assert(t, errors.As(err, &limit) && limit.What == "series", "%v", err)
}

// A store that lists by metric is asked for some whole metrics at a time, about half a million series.
func TestSeriesInPortions(t *testing.T) {
	store := &mixing{t: t}
	for i := range 40 {
		store.series = append(store.series, map[string]string{"__name__": fmt.Sprintf("m%02d", i/4), "n": fmt.Sprintf("%02d", i)})
	}
	server := httptest.NewServer(store)
	defer server.Close()
	client := &victoriametrics.Client{BaseURL: server.URL, HTTP: server.Client()}
	for _, tc := range []struct {
		size     uint64
		requests int
	}{{200_000, 5}, {5_000_000, 10}, {1, 1}} {
		store.requests = 0
		var came []string
		stream, err := client.Series(t.Context(), victoriametrics.SeriesRequest{
			Match: []string{victoriametrics.EverySeries}, Size: func(string) uint64 { return tc.size },
		}, func(labels []victoriametrics.Label) error {
			came = append(came, fmt.Sprintf("%s=%s,%s=%s", labels[0].Name, labels[0].Value, labels[1].Name, labels[1].Value))
			return nil
		})
		assert.NilError(t, err)
		assert.Equal(t, stream.Series, int64(40))
		assert.DeepEqual(t, came, words(store.series))
		assert.Equal(t, store.requests, tc.requests+1, "and one for the names")
	}
}

// The next portion is prepared while one is read: it must not outlive a list that ends early.
func TestPortionsEndEarly(t *testing.T) {
	store := &mixing{t: t}
	for i := range 40 {
		store.series = append(store.series, map[string]string{"__name__": fmt.Sprintf("m%02d", i/4), "n": strconv.Itoa(i)})
	}
	full := errors.New("enough")
	for name, tc := range map[string]struct {
		failing int // of the requests for series, from 1
		enough  int
		want    string
	}{
		"the store fails":  {3, 100, "/api/v1/series answered 500: broken"},
		"the reader fails": {0, 6, "enough"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/v1/series" {
					asked++
					if asked == tc.failing {
						http.Error(w, "broken", http.StatusInternalServerError)
						return
					}
				}
				store.ServeHTTP(w, r)
			}))
			client := &victoriametrics.Client{BaseURL: server.URL, HTTP: server.Client()}
			came := 0
			_, err := client.Series(t.Context(), victoriametrics.SeriesRequest{
				Match: []string{victoriametrics.EverySeries}, Size: func(string) uint64 { return 5_000_000 },
			}, func([]victoriametrics.Label) error {
				came++
				if came == tc.enough {
					return full
				}
				return nil
			})
			assert.Error(t, err, tc.want)
			server.Close() // waits for each request
			assert.Assert(t, asked <= 4, "%d requests", asked)
		})
	}
}

func TestSeriesEndWithTheMillisecond(t *testing.T) {
	var asked url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		fmt.Fprint(w, `{"status":"success","data":[]}`)
	}))
	defer server.Close()
	client := &victoriametrics.Client{BaseURL: server.URL, HTTP: server.Client()}
	_, err := client.Series(t.Context(), victoriametrics.SeriesRequest{From: time.UnixMilli(1500), To: time.UnixMilli(2999)}, nil)
	assert.NilError(t, err)
	assert.Equal(t, asked.Get("start")+" "+asked.Get("end"), "1 2.999")
}
