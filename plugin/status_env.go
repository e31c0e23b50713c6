package plugin

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// printStatusEnv prints the card as lines for a shell or an env file, without anything secret. Names are a contract in
// docs/reference/json.md.
func printStatusEnv(out io.Writer, card statusJSON) {
	lines := [][2]string{
		{"STACK", card.Stack}, {"HEALTHY", strconv.FormatBool(card.Healthy)}, {"PHASE", card.Phase}, {"PROFILES", strings.Join(card.Profiles, ",")},
	}
	for _, name := range slices.Sorted(maps.Keys(card.URLs)) {
		lines = append(lines, [2]string{variableOf(name) + "_URL", card.URLs[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(card.Retention)) {
		lines = append(lines, [2]string{variableOf(name) + "_RETENTION", card.Retention[name]})
	}
	if card.Certificate != nil {
		lines = append(lines, [2]string{"CERTIFICATE_DAYS", strconv.Itoa(card.Certificate.DaysLeft)})
	}
	if card.Forecast != nil && card.Forecast.Full != nil {
		lines = append(lines, [2]string{"DISK_FULL_AT", card.Forecast.Full.Format(time.RFC3339)})
	}
	if card.Proof != nil {
		lines = append(lines, [2]string{"PROVEN", strconv.FormatBool(card.Proof.Proven)}, [2]string{"PROVEN_AT", card.Proof.At.Format(time.RFC3339)})
	}
	for _, line := range lines {
		fmt.Fprintf(out, "TELEMETRY_%s=%s\n", line[0], shellQuote(line[1]))
	}
}

// variableOf makes a part of a variable's name of a component's.
func variableOf(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }
