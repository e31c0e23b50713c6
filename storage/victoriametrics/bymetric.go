package victoriametrics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/metricsql"
)

const (
	metricLabel = "__name__"
	// metricsAtOnce are asked for in one request at most: a store of a few thousand small metrics is read with some dozens.
	metricsAtOnce = 64
	// namesBytes of them keep the address of a request, where a byte may become three, under the 8 KiB that nginx reads.
	namesBytes = 2 << 10
	// groupedBytes is what the series of one request may take of memory while they are put in order, 16 MiB.
	groupedBytes = 16 << 20
)

// portionSeries are about so many as one request of several asks for.
const portionSeries = 500_000

// errRoom is for the series of some metrics that do not fit into memory together.
var errRoom = errors.New("the series of these metrics take too much memory")

// byMetric lists series in the order of metrics from a store that has another: Prometheus lists them as they came, or by all of
// their labels, of which those with capitals sort before __name__. The names are asked for first, then the series of some metrics
// at a time, which are put in order in memory. Where they are too many for that, each metric streams by itself. A store that has the
// order, but too many series for one request, is asked for some metrics at a time as well (SeriesRequest.Size).
type byMetric struct {
	*Client
	request   SeriesRequest
	selectors []selector
	stream    Stream
	yield     func(labels []Label) error
}

func (c *Client) seriesByMetric(ctx context.Context, request SeriesRequest, yield func(labels []Label) error) (Stream, error) {
	selectors, err := parseSelectors(request.Match)
	if err != nil {
		return Stream{}, err
	}
	list := byMetric{Client: c, request: request, selectors: selectors, yield: yield}
	err = list.all(ctx)
	return list.stream, err
}

func (l *byMetric) all(ctx context.Context) error {
	names, err := l.names(ctx)
	if err != nil {
		return err
	}
	if !l.request.ByMetric {
		return l.portions(ctx, names)
	}
	for atOnce := metricsAtOnce / 4; len(names) > 0; {
		some := names[:fitting(names, atOnce)]
		atOnce = min(2*atOnce, metricsAtOnce)
		err := l.together(ctx, some)
		if errors.Is(err, errRoom) {
			atOnce = max(1, len(some)/4)
			err = l.oneByOne(ctx, some)
		}
		if err != nil {
			return err
		}
		names = names[len(some):]
	}
	return nil
}

// names of metrics, and "" for series without one, which no list of names has. A selector of people may match those.
func (l *byMetric) names(ctx context.Context) ([]string, error) {
	var answer struct {
		refusal
		Data     []string `json:"data"`
		Warnings []string `json:"warnings"`
	}
	query := l.request.window()
	if !slices.Equal(l.request.Match, []string{EverySeries}) { // which makes a store look at each series
		query["match[]"] = l.request.Match
	}
	if err := l.get(ctx, "/api/v1/label/"+metricLabel+"/values", query, &answer); err != nil {
		return nil, err
	}
	l.add(Stream{Partial: answer.IsPartial, Warnings: answer.Warnings})
	if query.Has("match[]") {
		return append([]string{""}, answer.Data...), nil
	}
	return answer.Data, nil
}

// fitting is how many of the names go into one request. One always does, and "" is by itself.
func fitting(names []string, most int) int {
	most = min(most, len(names))
	length := 0
	for i, name := range names[:most] {
		if length += len(name); i > 0 && (length > namesBytes || names[0] == "") {
			return i
		}
	}
	return most
}

// portions are of a store that has the order of metrics itself. It writes nothing before it has collected and sorted all, so while one
// is read it prepares the next, and no more than that: a VictoriaMetrics with one processor answers two requests at a time.
func (l *byMetric) portions(ctx context.Context, names []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ahead := make(chan prepared)
	go l.prepare(ctx, names, ahead)
	for next := range ahead {
		if next.err != nil {
			return next.err
		}
		if err := l.read(next.answer, l.yield); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// prepared is an answer that has begun, or why it did not.
type prepared struct {
	answer *answer
	err    error
}

// prepare ends with the context, with an error, or when all portions were taken.
func (l *byMetric) prepare(ctx context.Context, names []string, into chan<- prepared) {
	defer close(into)
	for len(names) > 0 {
		some := names[:l.portion(names)]
		names = names[len(some):]
		answer, err := l.open(ctx, pathSeries, l.asking(some))
		select {
		case into <- prepared{answer, err}:
		case <-ctx.Done():
			if err == nil {
				_ = answer.Close() // nobody reads it
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// portion is how many of the names have as many series together as one request asks for. It is one at least.
func (l *byMetric) portion(names []string) int {
	most, series := fitting(names, len(names)), uint64(0)
	for i, name := range names[:most] {
		if series += l.request.Size(name); i > 0 && series > portionSeries {
			return i
		}
	}
	return most
}

// together yields the series of some metrics in their order, or none and errRoom.
func (l *byMetric) together(ctx context.Context, names []string) error {
	if len(names) == 1 {
		return l.oneByOne(ctx, names)
	}
	var kept groups
	if err := l.list(ctx, kept.add, names...); err != nil {
		return err
	}
	return kept.each(l.yield)
}

func (l *byMetric) oneByOne(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := l.list(ctx, l.yield, name); err != nil {
			return err
		}
	}
	return nil
}

func (l *byMetric) list(ctx context.Context, yield func(labels []Label) error, names ...string) error {
	answer, err := l.open(ctx, pathSeries, l.asking(names))
	if err != nil {
		return err
	}
	return l.read(answer, yield)
}

func (l *byMetric) asking(names []string) url.Values {
	query := l.request.window()
	for _, one := range l.selectors {
		query.Add("match[]", one.named(names).String())
	}
	return query
}

// read passes on the series of an answer, and closes it.
func (l *byMetric) read(answer *answer, yield func(labels []Label) error) error {
	defer answer.Close()
	stream, err := DecodeSeries(answer, l.Limits, yield)
	if errors.Is(err, errRoom) {
		stream.Series = 0 // none was passed on
	}
	l.add(stream)
	if most := l.Limits.OrDefaults().Series; err == nil && l.stream.Series > most {
		return &LimitError{What: "series", Limit: most}
	}
	return err
}

func (l *byMetric) add(more Stream) {
	l.stream.Series += more.Series
	l.stream.Bytes += more.Bytes
	l.stream.Partial = l.stream.Partial || more.Partial
	for _, warning := range more.Warnings {
		if !slices.Contains(l.stream.Warnings, warning) {
			l.stream.Warnings = append(l.stream.Warnings, warning)
		}
	}
}

// groups keep the series of some metrics.
type groups struct {
	metrics map[string][][]Label
	bytes   int
}

func (g *groups) add(labels []Label) error {
	const each, word = 64, 48 // bytes for a series and a label besides the text
	var name string
	var text []byte
	own := make([]Label, 0, len(labels))
	for _, label := range labels {
		if string(label.Name) == metricLabel {
			name = string(label.Value)
		}
		text = append(append(text, label.Name...), label.Value...)
	}
	if g.bytes += each + len(text) + word*len(labels); g.bytes > groupedBytes {
		return errRoom
	}
	for _, label := range labels {
		end := len(label.Name) + len(label.Value)
		own = append(own, Label{Name: text[:len(label.Name)], Value: text[len(label.Name):end]})
		text = text[end:]
	}
	if g.metrics == nil {
		g.metrics = map[string][][]Label{}
	}
	g.metrics[name] = append(g.metrics[name], own)
	return nil
}

func (g *groups) each(yield func(labels []Label) error) error {
	for _, name := range slices.Sorted(maps.Keys(g.metrics)) {
		for _, labels := range g.metrics[name] {
			if err := yield(labels); err != nil {
				return err
			}
		}
	}
	return nil
}

// selector is what stands between the braces of one.
type selector []metricsql.LabelFilter

// SelectorError is a selector that cannot be read, so that nothing can be added to it.
type SelectorError struct{ Text string }

func (e *SelectorError) Error() string { return fmt.Sprintf("%q is no selector of series", e.Text) }

// parseSelectors reads those of people; one with an "or", which only VictoriaMetrics knows, is several.
func parseSelectors(texts []string) ([]selector, error) {
	var all []selector
	for _, text := range texts {
		parsed, err := metricsql.Parse(text)
		metrics, is := parsed.(*metricsql.MetricExpr)
		if err != nil || !is {
			return nil, &SelectorError{Text: text}
		}
		for _, filters := range metrics.LabelFilterss {
			all = append(all, filters)
		}
	}
	return all, nil
}

// named adds a condition on the name, whatever the selector says of it.
func (s selector) named(names []string) selector {
	filter := metricsql.LabelFilter{Label: metricLabel, Value: names[0]}
	if len(names) > 1 {
		filter.IsRegexp, filter.Value = true, alternatives(names)
	}
	return append(slices.Clip(s), filter)
}

func alternatives(names []string) string {
	quoted := make([]string, 0, len(names))
	for _, name := range names {
		quoted = append(quoted, regexp.QuoteMeta(name))
	}
	return strings.Join(quoted, "|")
}

// String has all conditions in braces: Prometheus refuses one on the name beside a name that stands before them.
func (s selector) String() string {
	plain := regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	conditions := make([]string, 0, len(s))
	for _, filter := range s {
		label := filter.Label
		if !plain.MatchString(label) {
			label = strconv.Quote(label)
		}
		conditions = append(conditions, label+operator(filter)+strconv.Quote(filter.Value))
	}
	return "{" + strings.Join(conditions, ",") + "}"
}

func operator(filter metricsql.LabelFilter) string {
	switch {
	case filter.IsNegative && filter.IsRegexp:
		return "!~"
	case filter.IsNegative:
		return "!="
	case filter.IsRegexp:
		return "=~"
	default:
		return "="
	}
}
