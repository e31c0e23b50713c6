package main

import "fmt"

// limitConf is the transform tag_cardinality_limit of Vector 0.59, in the mode exact.
type limitConf struct {
	limits   tagLimits
	metrics  map[string]metricLimits // per_metric_limits, by name
	perScope bool                    // tracking_scope: per_metric
	mostKeys int64                   // max_tracked_keys; unlimited without
}

// tagLimits is what a scope says of its tags.
type tagLimits struct {
	values    int64
	dropEvent bool
	extended  bool // internal_metrics.include_extended_tags
	excluded  bool // the whole metric
	tags      map[string]tagLimit
}

type tagLimit struct {
	excluded bool
	values   int64
}

type metricLimits struct {
	namespace string
	any       bool // no namespace was given
	limits    tagLimits
}

func readLimit(o *options) *limitConf {
	c := &limitConf{limits: readTagLimits(o, false), metrics: map[string]metricLimits{}}
	c.perScope = o.oneOf("tracking_scope", "global", []string{"per_metric"}, nil) == "per_metric"
	c.mostKeys = o.integer("max_tracked_keys", unlimited, 0)
	metrics := o.sub("per_metric_limits")
	for _, name := range sortedKeys(metrics.values) {
		m := metrics.sub(name)
		c.metrics[name] = metricLimits{namespace: m.str("namespace", ""), any: !m.has("namespace"), limits: readTagLimits(m, true)}
		m.end()
	}
	return c
}

// readTagLimits reads what is the same for all metrics and for one; only that one may be excluded.
func readTagLimits(o *options, one bool) tagLimits {
	unsupported := []string{"probabilistic", "exact_fingerprint"}
	mode := o.needStr("mode")
	switch {
	case one && mode == "excluded":
	default:
		o.oneOf("mode", "exact", nil, unsupported)
	}
	l := tagLimits{values: o.integer("value_limit", 500, 0), excluded: mode == "excluded", tags: map[string]tagLimit{}}
	l.dropEvent = o.oneOf("limit_exceeded_action", "drop_tag", []string{"drop_event"}, nil) == "drop_event"
	internal := o.sub("internal_metrics")
	l.extended = internal.boolean("include_extended_tags", false)
	internal.end()
	tags := o.sub("per_tag_limits")
	for _, tag := range sortedKeys(tags.values) {
		t := tags.sub(tag)
		switch mode := t.needStr("mode"); mode {
		case "excluded":
			l.tags[tag] = tagLimit{excluded: true}
		case "limit_override":
			if t.has("cache_size_per_key") {
				t.fail("cache_size_per_key set on per-tag entry `%s` but the inherited mode is not `probabilistic`", tag)
			}
			if !t.has("value_limit") {
				t.fail("missing field %q", "value_limit")
			}
			l.tags[tag] = tagLimit{values: t.integer("value_limit", 0, 0)}
		case "":
		default:
			t.fail("%q: unknown variant %q, expected one of limit_override, excluded", "mode", mode)
		}
		t.end()
	}
	return l
}

// limiter runs a limitConf. Like Vector's it is a task of one thread, so it takes one batch after the other.
type limiter struct {
	c        *component
	conf     *limitConf
	accepted map[string]map[string]map[string]bool // by scope, tag and value
	keys     int64
}

func newLimiter(c *component, conf *limitConf) *limiter {
	return &limiter{c: c, conf: conf, accepted: map[string]map[string]map[string]bool{}}
}

// limit says whether the metric goes on; it may have lost tags.
func (l *limiter) limit(m *metric) bool {
	scope, limits := l.scope(m)
	if limits.dropEvent {
		return l.dropEvent(m, scope, limits)
	}
	untracked := false
	for _, tag := range m.sortedTags() {
		most, excluded := limits.of(tag)
		if excluded {
			continue
		}
		values, room := l.values(scope, tag)
		switch {
		case !room:
			untracked = true
		case values[m.tags[tag]]:
		case int64(len(values)) < most:
			values[m.tags[tag]] = true
			if int64(len(values)) == most {
				l.c.count("value_limit_reached_total", 1)
			}
		default:
			l.exceeded(m, tag, limits)
			delete(m.tags, tag)
		}
	}
	l.untracked(untracked)
	return true
}

// dropEvent looks at all tags before it notes one, so that their order does not count. It notes without telling that a limit
// is reached, as Vector does.
func (l *limiter) dropEvent(m *metric, scope string, limits tagLimits) bool {
	for _, tag := range m.sortedTags() {
		most, excluded := limits.of(tag)
		values, known := l.accepted[scope][tag]
		full := known && int64(len(values)) >= most || !known && most == 0 && l.keys < l.conf.mostKeys
		if !excluded && !values[m.tags[tag]] && full {
			l.exceeded(m, tag, limits)
			return false
		}
	}
	untracked := false
	for _, tag := range m.sortedTags() {
		if _, excluded := limits.of(tag); excluded {
			continue
		}
		values, room := l.values(scope, tag)
		if !room {
			untracked = true
			continue
		}
		values[m.tags[tag]] = true
	}
	l.untracked(untracked)
	return true
}

// scope is where the values of a metric are noted: with those of all others, or by themselves.
func (l *limiter) scope(m *metric) (string, tagLimits) {
	own := fmt.Sprintf("%q.%q", m.namespace, m.name)
	if one, has := l.conf.metrics[m.name]; has && (one.any || one.namespace == m.namespace) {
		return own, one.limits
	}
	if l.conf.perScope {
		return own, l.conf.limits
	}
	return "", l.conf.limits
}

func (t tagLimits) of(tag string) (most int64, excluded bool) {
	if t.excluded {
		return 0, true
	}
	if one, has := t.tags[tag]; has {
		return one.values, one.excluded
	}
	return t.values, false
}

// values are those noted of a tag; no room is where it is new and there are enough tags.
func (l *limiter) values(scope, tag string) (values map[string]bool, room bool) {
	if values := l.accepted[scope][tag]; values != nil {
		return values, true
	}
	if l.keys >= l.conf.mostKeys {
		return nil, false
	}
	l.keys++
	l.c.reg.get(true, "tag_cardinality_tracked_keys", l.c.tags()).set(float64(l.keys))
	if l.accepted[scope] == nil {
		l.accepted[scope] = map[string]map[string]bool{}
	}
	l.accepted[scope][tag] = map[string]bool{}
	return l.accepted[scope][tag], true
}

func (l *limiter) exceeded(m *metric, tag string, limits tagLimits) {
	var extra []string
	if limits.extended {
		extra = []string{"metric_name", m.name, "tag_key", tag}
	}
	l.c.count("tag_value_limit_exceeded_total", 1, extra...)
}

func (l *limiter) untracked(is bool) {
	if is {
		l.c.count("tag_cardinality_untracked_events_total", 1)
	}
}
