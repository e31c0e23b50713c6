package doctor

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 MST") }

func health(f Facts) []Outcome {
	return over(f.Stores, func(all []Store) []Outcome {
		var found []Outcome
		var words []string
		for _, s := range all {
			switch {
			case s.Err != "":
				found = append(found, Outcome{State: Failed, Object: s.Name, Detail: "it does not answer through the gateway: " + s.Err, Advice: "docker telemetry logs gateway " + s.Name})
			case s.Status == http.StatusBadGateway || s.Status == http.StatusGatewayTimeout:
				found = append(found, Outcome{State: Failed, Object: s.Name, Detail: fmt.Sprintf("the gateway does not reach it (%d)", s.Status), Advice: "docker telemetry restart " + s.Name})
			case s.Status >= http.StatusInternalServerError:
				found = append(found, Outcome{State: Failed, Object: s.Name, Detail: fmt.Sprintf("it answers %d", s.Status), Advice: "docker telemetry logs " + s.Name})
			default:
				words = append(words, s.Name)
			}
		}
		return orOK(found, "%s", strings.Join(words, ", "))
	})
}

func readOnly(f Facts) []Outcome {
	return over(f.Metrics, func(m MetricsStore) []Outcome {
		if m.ReadOnly {
			return []Outcome{{
				State: Failed, Object: "victoriametrics", Detail: "it takes nothing more: its disk is as good as full",
				Advice: "free some: docker system df; docker telemetry report retention",
			}}
		}
		return ok("it takes what is sent")
	})
}

func refusals(f Facts) []Outcome {
	return over(f.Metrics, func(m MetricsStore) []Outcome {
		var found []Outcome
		for _, c := range m.Ignored {
			found = append(found, Outcome{
				State: Warning, Object: "victoriametrics", Detail: fmt.Sprintf("%.0f samples of the last hour were ignored: %s", c.Value, strings.ReplaceAll(c.Kind, "_", " ")),
				Advice: "docker telemetry logs victoriametrics",
			})
		}
		for _, c := range m.Dropped {
			found = append(found, Outcome{
				State: Failed, Object: "victoriametrics", Detail: fmt.Sprintf("%.0f samples of the last hour were dropped: more new series than its %s limit", c.Value, c.Kind),
				Advice: "find what makes them: docker telemetry report cardinality",
			})
		}
		return orOK(found, "none in the last hour")
	})
}

func retained(f Facts) []Outcome {
	return over(f.Retention, func(all []Finding) []Outcome {
		found := make([]Outcome, 0, len(all))
		for _, one := range all {
			object := one.Code
			if one.Name != "" {
				object += " " + one.Name
			}
			found = append(found, Outcome{State: Warning, Object: object, Detail: one.Title, Advice: one.Advice})
		}
		return orOK(found, "report retention finds nothing")
	})
}

func needs(f Facts) []Outcome {
	return over(f.Needs, func(all []Need) []Outcome {
		var found []Outcome
		for _, n := range all {
			if !n.There {
				found = append(found, Outcome{
					State: Failed, Object: n.Profile, Detail: "it needs " + n.What + ", which the engine's host has not", Advice: "leave it out: docker telemetry profiles ls",
				})
			}
		}
		if len(all) == 0 {
			return ok("none is asked for")
		}
		return orOK(found, "the engine's host has what the profiles ask for")
	})
}

func targets(f Facts) []Outcome {
	return over(f.Targets, func(all []Target) []Outcome {
		var found []Outcome
		for _, t := range all {
			if t.Scraped {
				continue
			}
			why, advice := t.State, "docker telemetry targets sync"
			if t.Problem != "" {
				why, advice = t.Problem, "docker telemetry targets ls"
			}
			found = append(found, Outcome{State: Warning, Object: t.Container, Detail: "it asks to be scraped and is not: " + why, Advice: advice})
		}
		if len(all) == 0 {
			return ok("no container asks to be scraped")
		}
		return orOK(found, "%d containers that ask for it are scraped", len(all))
	})
}
