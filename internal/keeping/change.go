package keeping

import (
	"slices"
	"strings"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

// Change is one of a policy. Was and Will are what the stores were started with and are to be started with, by "metrics" and "logs":
// the policy, or what stands in its place.
type Change struct {
	Asked, Before, After Policy
	Was, Will            map[string]string
}

// Restarts reports whether a store is to be started anew for it.
func (c Change) Restarts() bool {
	return c.Will[retention.Metrics] != c.Was[retention.Metrics] || c.Will[retention.Logs] != c.Was[retention.Logs]
}

// Overruled is a target that would not get what is asked, since an overlay says otherwise; "" for none.
func (c Change) Overruled() string {
	for _, target := range []string{retention.Metrics, retention.Logs} {
		if wanted, asked := c.Asked[target]; asked && wanted != Default && c.Will[target] != wanted {
			return target
		}
	}
	return ""
}

// Idle reports whether all is remembered and in force as asked.
func (c Change) Idle(found InForce) bool {
	for target := range c.Asked {
		if c.Before[target] != c.After[target] {
			return false
		}
	}
	return c.Taken(found)
}

// Taken reports whether the stores keep to what was asked.
func (c Change) Taken(found InForce) bool {
	for target := range c.Asked {
		if IsStream(target) && !found.keeps(c.After, target) || !IsStream(target) && found.Days(target) != inDays(c.Will[target]) {
			return false
		}
	}
	return true
}

// Shorter are the targets whose data would go sooner than now. What a store does not say is taken from what it was told.
func (c Change) Shorter(found InForce) []string {
	var shorter []string
	for target := range c.Asked {
		if c.isShorter(target, found) {
			shorter = append(shorter, target)
		}
	}
	slices.Sort(shorter)
	return shorter
}

func (c Change) isShorter(target string, found InForce) bool {
	if target != retention.Metrics && found.Logs != nil && *found.Logs <= 0 {
		return true // now nothing is deleted at all
	}
	if !IsStream(target) {
		now := found.Days(target)
		if now <= 0 {
			now = inDays(c.Was[target])
		}
		return inDays(c.Will[target]) < now
	}
	if found.Logs == nil {
		return c.told(c.After, c.Will, target) < c.told(c.Before, c.Was, target)
	}
	return slices.ContainsFunc(found.Streams, func(one openobserve.Held) bool {
		own := one.Kind + "/" + one.Name
		return concerns(target, one) && c.told(c.After, c.Will, own) < found.Days(own)
	})
}

// told is for how long a target is to be kept by a policy, or by what OpenObserve starts with.
func (c Change) told(policy Policy, global map[string]string, target string) float64 {
	kind, name, _ := strings.Cut(target, "/")
	if days := policy.Stream(kind, name); days > 0 {
		return float64(days)
	}
	return inDays(global[retention.Logs])
}

// Wanted is what is asked for, for a forecast.
func (c Change) Wanted() []retention.Wanted {
	var wanted []retention.Wanted
	for target := range c.Asked {
		store, name, _ := strings.Cut(target, "/")
		days := inDays(c.Will[target])
		if IsStream(target) {
			days = c.told(c.After, c.Will, target)
		}
		wanted = append(wanted, retention.Wanted{Store: store, Name: name, Days: days})
	}
	return wanted
}

// Dropped are the targets that go back to the default.
func (c Change) Dropped() []string {
	var dropped []string
	for target, value := range c.Asked {
		if value == Default {
			dropped = append(dropped, target)
		}
	}
	return dropped
}

// concerns reports whether a target is for a stream.
func concerns(target string, one openobserve.Held) bool {
	return target == one.Kind+"/"+one.Name || target == retention.Traces && one.Kind == retention.Traces
}

func inDays(text string) float64 {
	days, err := retention.FlagDays(text)
	if err != nil {
		return 0
	}
	return days
}
