package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
)

// forecastFile is beside proof.json, and for the same reason no part of state.json.
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
	raw, err := json.Marshal(forecast)
	if err == nil {
		err = s.state.WriteFile(forecastFile, raw, 0o600)
	}
	if err != nil {
		fmt.Fprintln(s.app.deps.stderr, "warning: the forecast is not remembered:", render.Escape(err.Error()))
	}
}

// lastForecast is nil where this machine has none, or none that it can read.
func (s *session) lastForecast() (*forecastJSON, error) {
	raw, err := s.state.ReadFile(forecastFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no report was made yet, which is no error
	}
	if err != nil {
		return nil, err
	}
	var forecast forecastJSON
	if json.Unmarshal(raw, &forecast) != nil {
		return nil, nil //nolint:nilnil,nilerr // the next report writes it anew
	}
	return &forecast, nil
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
