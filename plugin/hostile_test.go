package plugin

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// The answers of a store that is well, with 300 series of one metric.
const (
	pathUsage   = "/api/v1/status/metric_names_stats"
	pathQueries = "/api/v1/status/top_queries"
	pathTypes   = "/api/v1/metadata"
	pathStatus  = "/api/v1/status/tsdb"
	pathSeries  = "/api/v1/series"
	pathQuery   = "/api/v1/query"
	pathNames   = "/api/v1/label/__name__/values"
)

// answers are what a store says by path; what is not among them is what a store that is well says.
type answers map[string]http.HandlerFunc

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func refuses(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// lines says a beginning, then what next returns until that is "" or nobody listens any more.
func lines(begin string, next func(i int) string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, begin)
		for i := 0; err == nil; i++ {
			line := next(i)
			if line == "" {
				return
			}
			_, err = io.WriteString(w, line)
		}
	}
}

// drips says a beginning and then a byte after the other for as long as somebody listens.
func drips(begin string, every time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, begin)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-tick.C:
				_, _ = io.WriteString(w, " ")
			case <-r.Context().Done():
				return
			}
		}
	}
}

// claims says a text and another length than it has.
func claims(length int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		connection, out, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer connection.Close()
		fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", length, text)
		_ = out.Flush()
	}
}

func packed(text string, without int) http.HandlerFunc {
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	_, _ = io.WriteString(writer, text)
	_ = writer.Close()
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(out.Bytes()[:out.Len()-without])
	}
}

// noUsage is that of a store which started just now: after a week without a query a metric would be one that nobody reads.
func noUsage() string {
	return fmt.Sprintf(`{"status":"success","statsCollectedSince":%d,"records":[]}`, time.Now().Unix())
}

const (
	noQueries = `{"status":"ok","topByCount":[]}`
	noTypes   = `{"status":"success","data":{}}`
	noSamples = `{"status":"success","data":{"resultType":"vector","result":[]}}`
	diskFull  = `{"status":"error","errorType":"internal","error":"disk full"}`
	// As VictoriaMetrics 1.145 was seen to say them.
	tooMany    = `{"status":"error","errorType":"422","error":"the number of matching timeseries exceeds 100; either narrow down the search"}`
	tooSlow    = `{"status":"error","errorType":"503","error":"cannot fetch data: timeout exceeded during the search"}`
	listBegins = `{"status":"success","data":[`
)

func aDay() string {
	return `{"status":"success","data":{"totalSeries":300,"totalLabelValuePairs":900,"seriesCountByMetricName":[{"name":"orders_total","value":300}],
		"seriesCountByLabelName":[{"name":"__name__","value":300},{"name":"job","value":300},{"name":"user_id","value":300}],
		"seriesCountByFocusLabelValue":[],"seriesCountByLabelValuePair":[{"name":"job=shop","value":300}],
		"labelValueCountByLabelName":[{"name":"user_id","value":300}]}}`
}

func oneSeries(i int) string {
	return fmt.Sprintf(`{"__name__":"orders_total","job":"shop","user_id":"%d"}`, 100000+7919*i)
}

func theSeries() string {
	all := make([]string, 300)
	for i := range all {
		all[i] = oneSeries(i)
	}
	return listBegins + strings.Join(all, ",") + "]}"
}

func (a answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer, is := a[r.URL.Path]; is {
		answer(w, r)
		return
	}
	text, known := map[string]string{
		pathUsage: noUsage(), pathQueries: noQueries, pathTypes: noTypes, pathStatus: aDay(), pathSeries: theSeries(), pathQuery: noSamples,
	}[r.URL.Path]
	if !known {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, text)
}

// reported is one run of the program with a report on a store.
type reported struct {
	stdout, stderr string
	code           int
	peak           int64 // bytes resident at most
	took           time.Duration
}

// runReport runs the program as its own process, so that what it says, how it ends and what it takes are those of a person's.
func runReport(t *testing.T, store http.Handler, limits victoriametrics.Limits, args ...string) reported {
	t.Helper()
	server := httptest.NewServer(store)
	defer server.Close()
	defer server.CloseClientConnections()
	return runReportOn(t, server.URL, limits, args...)
}

func runReportOn(t *testing.T, url string, limits victoriametrics.Limits, args ...string) reported {
	t.Helper()
	p := newProgram(t)
	raw, err := json.Marshal(limits)
	assert.NilError(t, err)
	peak := filepath.Join(t.TempDir(), "peak")
	p.environment = append(p.environment, testLimits+"="+string(raw), testPeak+"="+peak, tokenVariable+"="+aToken)
	for len(args) > 0 && regexp.MustCompile("^[A-Z_]+=").MatchString(args[0]) {
		p.environment, args = append(p.environment, args[0]), args[1:]
	}
	began := time.Now()
	var r reported
	r.stdout, r.stderr, r.code = p.run(t, append([]string{"report", "cardinality", "--url", url}, args...)...)
	r.took = time.Since(began)
	assert.Equal(t, p.connections.Load(), int64(0), "the engine was asked")
	if runtime.GOOS == "linux" && r.code >= 0 {
		r.peak = peakOf(t, peak)
	}
	return r
}

func peakOf(t *testing.T, file string) int64 {
	t.Helper()
	status, err := os.ReadFile(file)
	assert.NilError(t, err)
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	assert.Assert(t, found != nil, "%s", status)
	kib, err := strconv.ParseInt(string(found[1]), 10, 64)
	assert.NilError(t, err)
	return kib << 10
}

const mostMemory = 128 << 20

func TestReportOnAStoreThatIsWell(t *testing.T) {
	got := runReport(t, answers{}, victoriametrics.Limits{}, "--format", "json")
	assert.Equal(t, got.code, exitDone, got.stderr)
	var report cardinality.Report
	assert.NilError(t, json.Unmarshal([]byte(got.stdout), &report))
	assert.Equal(t, report.Summary.Series, 300)
	assert.Equal(t, report.Findings[0].Saved, 299)
	t.Logf("peak %d MiB", got.peak>>20)
}

func TestReportOnAHostileStore(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	everywhere := func(answer http.HandlerFunc) answers {
		return answers{pathUsage: answer, pathQueries: answer, pathTypes: answer, pathStatus: answer, pathSeries: answer, pathQuery: answer}
	}
	quick := victoriametrics.Limits{Idle: time.Second}
	absent := refuses(http.StatusNotFound, "404 page not found")
	const mixed = listBegins + `{"__name__":"a"},{"__name__":"b"},{"__name__":"a","c":"d"}]}`
	for _, tc := range []struct {
		name   string
		store  http.Handler
		limits victoriametrics.Limits
		// answered: there is a report all the same.
		answered bool
		says     string // on stderr
		about    string // on stdout
	}{
		{name: "endless string", store: answers{pathSeries: lines(listBegins+`{"__name__":"`, func(int) string { return long })}, says: "limit of 1048576 bytes of one series"},
		{name: "endless usage", store: answers{pathUsage: lines(`{"x":"`, func(int) string { return long })}, answered: true, about: "limit of 16777216 bytes"},
		{name: "endless day", store: answers{pathStatus: lines(`{"x":"`, func(int) string { return long })}, answered: true, about: "limit of 16777216 bytes"},
		{name: "label value of 100 MB", store: answers{pathSeries: lines(listBegins+`{"__name__":"a","b":"`, func(i int) string {
			if i == 100 {
				return `"}]}`
			}
			return long[:min(len(long), len(long)*(100-i))]
		})}, says: "limit of 1048576 bytes of one series"},
		{name: "endless white space", store: answers{pathSeries: lines(`{`, func(int) string { return strings.Repeat(" ", 1<<20) })}, says: "limit of"},
		{name: "drip in the list", store: answers{pathSeries: drips(listBegins+oneSeries(1), 20*time.Millisecond)}, limits: quick, says: "limit of 1s for its next 65536 bytes"},
		{name: "drip in the usage", store: answers{pathUsage: drips(`{`, 20*time.Millisecond)}, limits: quick, says: "limit of 1s for its next 65536 bytes"},
		{name: "drip in a refusal", store: everywhere(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			drips(`{`, 20*time.Millisecond)(w, r)
		}), limits: quick, says: "answered 500|limit of 1s"},
		{name: "silence", store: answers{pathUsage: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, limits: quick, says: "limit of 2s for its first byte"},
		{name: "silence in the list", store: answers{pathSeries: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, limits: quick, says: "limit of 2s for its first byte"},
		{name: "claims more", store: answers{pathSeries: claims(1<<20, theSeries())}, says: "ends too early|unexpected EOF"},
		{name: "claims less", store: answers{pathSeries: claims(100, theSeries())}, says: "broken at byte 100: it ends too early"},
		{name: "claims more of the usage", store: answers{pathUsage: claims(1<<20, noUsage())}, answered: true, about: "what queries have read: .*unexpected EOF"},
		{name: "broken in the middle", store: answers{pathSeries: says(listBegins + oneSeries(1) + "," + oneSeries(2) + `,{"a":]}`)}, says: "broken at byte"},
		{name: "cut off", store: answers{pathSeries: says(listBegins + oneSeries(1) + "," + oneSeries(2)[:20])}, says: "it ends too early"},
		{name: "page after the list", store: answers{pathSeries: says(theSeries() + "<html>")}, says: "something follows"},
		{name: "deep list", store: answers{pathSeries: says(`{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,"data":[]}`)}, says: "limit of 32 levels of nesting"},
		{name: "deep usage", store: answers{pathUsage: says(strings.Repeat("[", 1<<20))}, answered: true, about: "what queries have read: .*limit of 32 levels of nesting"},
		{name: "wrong types", store: answers{pathSeries: says(listBegins + `{"__name__":1}]}`)}, says: "broken at byte"},
		{name: "usage of many values", store: answers{pathUsage: says(`{"records":[` + strings.Repeat("{},", 5<<20) + `{}]}`)}, answered: true, about: "limit of 500000 values"},
		{name: "as many as allowed", store: answers{pathTypes: lines(`{"data":{"":[]`, func(i int) string {
			if i == 249_900 {
				return "}}"
			}
			if i > 249_900 {
				return ""
			}
			return fmt.Sprintf(`,"%09d":[]`, i)
		})}, answered: true},
		{name: "list that is none", store: answers{pathSeries: says(`{"status":"success","data":{"a":"b"}}`)}, says: "no list"},
		{name: "wrong types of the day", store: answers{pathStatus: says(`{"status":"success","data":{"totalSeries":"many"}}`)}, answered: true, about: "the counts of the day: .*cannot unmarshal"},
		{name: "day with figures below zero", store: answers{pathStatus: says(`{"status":"success","data":{"totalSeries":-1}}`)}, answered: true, about: "the counts of the day: .*cannot unmarshal"},
		{name: "success that is an error", store: answers{pathSeries: says(diskFull)}, says: "disk full"},
		{name: "success of the day that is an error", store: answers{pathStatus: says(diskFull)}, answered: true, about: "the counts of the day: .*disk full"},
		{name: "success of the usage that is an error", store: answers{pathUsage: says(diskFull)}, answered: true, about: "what queries have read: .*disk full"},
		{name: "too many series", store: answers{pathSeries: refuses(http.StatusUnprocessableEntity, tooMany)}, says: "the number of matching timeseries exceeds 100"},
		{name: "too slow", store: answers{pathSeries: refuses(http.StatusServiceUnavailable, tooSlow)}, says: "answered 503: cannot fetch data: timeout exceeded"},
		{name: "part of a cluster", store: answers{pathSeries: says(`{"isPartial":true,` + theSeries()[1:])}, says: "the report is not complete", about: "a part of the store did not answer"},
		{name: "counts of nothing", store: answers{
			pathUsage: absent, pathNames: says(listBegins + `"orders_total"]}`), pathStatus: says(`{"status":"success","data":{"headStats":{"numSeries":0}}}`),
		}, answered: true, about: "this store counts none of its last hours"},
		{name: "warnings of the day", store: answers{pathStatus: says(`{"warnings":["a store is away"],` + aDay()[1:])}, answered: true, about: "the counts of the day: a part of the store did not answer"},
		{name: "warnings", store: answers{pathSeries: says(`{"warnings":["a store is away"],` + theSeries()[1:])}, says: "the report is not complete", about: "a store is away"},
		{name: "endless redirects", store: redirects(), says: "answered 302"},
		{name: "key twice", store: answers{pathSeries: says(listBegins + `{"__name__":"a","b":"1","b":"2"}]}`)}, says: `the label "b" occurs twice`},
		{name: "list twice", store: answers{pathSeries: says(`{"status":"success","data":[` + oneSeries(1) + `],"data":[` + oneSeries(2) + `]}`)}, says: "two lists of series"},
		{name: "mixed metrics", store: answers{pathSeries: says(mixed), pathNames: says(listBegins + `"a","b"]}`)}, answered: true, about: "series +3 "},
		{name: "mixed metrics where one is asked for", store: answers{pathSeries: says(mixed), pathNames: says(listBegins + `"a"]}`)}, says: "mixes the series"},
		{name: "mixed metrics without their names", store: answers{pathSeries: says(mixed)}, says: "values answered 404"},
		{name: "endless names", store: answers{pathUsage: absent, pathNames: lines(listBegins+`"`, func(int) string { return long })}, says: "limit of 16777216 bytes"},
		{name: "names of many values", store: answers{pathUsage: absent, pathNames: says(listBegins + strings.Repeat(`"",`, 5<<20) + `""]}`)}, says: "limit of 500000 values"},
		{name: "names that are none", store: answers{pathUsage: absent, pathNames: says(listBegins + `1]}`)}, says: "cannot unmarshal"},
		{name: "names of an error", store: answers{pathUsage: absent, pathNames: says(diskFull)}, says: "disk full"},
		{name: "drip in the names", store: answers{pathUsage: absent, pathNames: drips(`{`, 10*time.Millisecond)}, limits: quick, says: "limit of 1s for its next 65536 bytes"},
		{name: "hostile names", store: answers{pathUsage: absent, pathNames: says(listBegins + `"a\u0000\u001b[31m\u202e","` + strings.Repeat("n", 100_000) + `","b"]}`)}, answered: true},
		{name: "more for each name than fits", store: answers{pathUsage: absent, pathNames: says(listBegins + `"a","b"]}`), pathSeries: lines(listBegins, func(i int) string {
			return fmt.Sprintf(`{"__name__":"m%d","x":%q},`, i, long[:900_000])
		})}, limits: victoriametrics.Limits{Series: 100}, says: "limit of 100 series"},
		{name: "NUL and no UTF-8", store: answers{pathSeries: says(listBegins + "{\"__name__\":\"a\\u0000\xff\",\"b\\u001b[31m\":\"\xfe\\u0000\\u202e\"}]}")}, answered: true, about: `a\\x00\\xff`},
		{name: "raw NUL", store: answers{pathSeries: says(listBegins + "{\"__name__\":\"a\x00\"}]}")}, says: "broken at byte"},
		{name: "nothing at all", store: answers{pathSeries: says("")}, says: "broken at byte 0: it ends too early"},
		{name: "too many by our own count", store: answers{}, limits: victoriametrics.Limits{Series: 100}, says: "limit of 100 series"},
		{name: "hostile refusal", store: answers{pathSeries: refuses(http.StatusBadRequest, "{\"error\":\"\x1b[31m\\u202e\\nhint: rm -rf /\"}")}, says: `answered 400: `},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := runReport(t, tc.store, tc.limits)
			t.Logf("%s, %d MiB, code %d\n%s", got.took, got.peak>>20, got.code, got.stderr)
			code := exitUnchecked
			if tc.answered {
				code = exitDone
			}
			assert.Equal(t, got.code, code, "%s\n%s", got.stderr, got.stdout)
			assert.Equal(t, strings.Contains(got.stderr, "\nerror: "), !tc.answered, got.stderr)
			assert.Assert(t, regexp.MustCompile(tc.says).MatchString(got.stderr), "%s", got.stderr)
			assert.Assert(t, regexp.MustCompile(tc.about).MatchString(got.stdout), "%s", got.stdout)
			assert.Assert(t, got.peak <= mostMemory, "%d MiB", got.peak>>20)
			assert.Assert(t, got.took < 20*time.Second, "%s", got.took)
			assertPlain(t, got.stderr)
			assertPlain(t, got.stdout)
		})
	}
}

// A metric with more series than are counted exactly is estimated, in bounded memory, and is no reason to fail.
func TestReportOnAMetricOfMillions(t *testing.T) {
	const series = 1_500_000
	store := answers{pathSeries: lines(listBegins, func(i int) string {
		switch {
		case i < series:
			return fmt.Sprintf(`{"__name__":"orders_total","job":"shop","pod":"p%d","user_id":"u%d"},`, i%300, i)
		case i == series:
			return `{"__name__":"up","job":"shop"}]}`
		default:
			return ""
		}
	})}
	got := runReport(t, store, victoriametrics.Limits{})
	t.Logf("%s, %d MiB", got.took, got.peak>>20)
	assert.Equal(t, got.code, exitDone, got.stderr)
	assert.Assert(t, got.peak <= 2*mostMemory, "%d MiB", got.peak>>20)
	assert.Assert(t, strings.Contains(got.stdout, "1,500,001"), got.stdout)
	assert.Assert(t, strings.Contains(got.stdout, "~1,4"), "about as many are saved without user_id: %s", got.stdout)
	assert.Assert(t, strings.Contains(got.stdout, "are estimates"), got.stdout)
}

// From another machine answers come compressed. The server is that of a name here because it is the proxy.
func TestReportOnAHostileStoreFarAway(t *testing.T) {
	series := func(answer http.HandlerFunc) answers { return answers{pathSeries: answer} }
	for _, tc := range []struct {
		name  string
		store answers
		code  int
		says  string
	}{
		{"well", series(packed(theSeries(), 0)), exitDone, ""},
		{"cut off", series(packed(theSeries(), 20)), exitUnchecked, "unexpected EOF"},
		{"cut off in its checksum", series(packed(theSeries(), 4)), exitUnchecked, "unexpected EOF"},
		{"much of little", series(packed(listBegins+`{"a":"`+strings.Repeat("x", 100<<20)+`"}]}`, 0)), exitUnchecked, "limit of 1048576 bytes of one series"},
		{"usage of little", answers{pathUsage: packed(`{"x":"`+strings.Repeat("x", 100<<20)+`"}`, 0)}, exitDone, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := httptest.NewServer(tc.store)
			defer server.Close()
			got := runReportOn(t, "http://metrics.example", victoriametrics.Limits{}, "HTTP_PROXY="+server.URL)
			assert.Equal(t, got.code, tc.code, got.stderr)
			assert.Assert(t, strings.Contains(got.stderr, tc.says), got.stderr)
			assert.Assert(t, got.peak <= mostMemory, "%d MiB", got.peak>>20)
		})
	}
}

// redirects sends each request on to another path of the same host.
func redirects() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"/x", http.StatusFound) })
}

// assertPlain names the characters by their numbers, so that a gap in package escape shows.
func assertPlain(t *testing.T, text string) {
	t.Helper()
	for i, char := range text {
		switch {
		case char == '\n':
		case char < 0x20, char >= 0x7f && char <= 0x9f, char == 0x61c, char == 0x200e, char == 0x200f,
			char >= 0x2028 && char <= 0x202e, char >= 0x2066 && char <= 0x2069:
			t.Fatalf("%U at byte %d", char, i)
		}
	}
}
