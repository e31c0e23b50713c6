package plugin

import (
	"fmt"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
)

const forecastFile = "forecast.json"

// forecastJSON is what the last report on retention of this machine said of the disk: a card that asked the stores itself would
// be as slow as they are. Part of the contract of `status --format json`.
type forecastJSON struct {
	At    time.Time  `json:"at"`
	Limit string     `json:"limit"`  // what is full first, as the report names it; "" where nothing is known to be
	Full  *time.Time `json:"fullAt"` // nil: the data stops growing before
}

// keepForecast remembers the limit that is reached first, as it is expected. Where too little is known for any, nothing is.
func (s *session) keepForecast(report retention.Report) {
	forecast, known := forecastJSON{At: s.source.Now().UTC()}, false
	for _, limit := range report.Limits {
		if limit.Full == nil {
			continue
		}
		known = true
		if full := limit.Full.Expected; full != nil && (forecast.Full == nil || full.Before(*forecast.Full)) {
			forecast.Limit, forecast.Full = limit.Name, full
		}
	}
	if !known {
		return
	}
	s.keepSeen(forecastFile, "forecast", forecast)
}

// words are the forecast for the card, "" where there is none.
func (f *forecastJSON) words(now time.Time) string {
	if f == nil {
		return ""
	}
	age := " (as of " + strings.ToLower(units.HumanDuration(now.Sub(f.At))) + " ago)"
	if f.Full == nil {
		return "; no limit is reached" + age
	}
	return fmt.Sprintf("; %d days until the %s is full%s", max(0, int(f.Full.Sub(now).Hours()/24)), f.Limit, age)
}
