package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// The rules of a stack have a folder in its state: what was applied, and the overlay that brings it about.
const (
	rulesFolder  = "rules"
	rulesFile    = rulesFolder + "/rules.json"
	rulesOverlay = "compose.yaml"
)

// AppliedRule is a rule that the stack has.
type AppliedRule struct {
	rules.Rule
	AppliedAt time.Time `json:"appliedAt"`
}

type rulesState struct {
	SchemaVersion int           `json:"schemaVersion"`
	Rules         []AppliedRule `json:"rules"`
}

// ReadRules returns the rules of a stack; none where none were applied.
func ReadRules(from *state.Stack) ([]AppliedRule, error) {
	raw, err := from.ReadFile(rulesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var kept rulesState
	if err := json.Unmarshal(raw, &kept); err != nil {
		return nil, &stack.Error{
			Text:   fmt.Sprintf("the rules of this stack cannot be read: %v", err),
			Advice: "take them off: docker telemetry rules undo --all", Err: err,
		}
	}
	return kept.Rules, nil
}

// WriteRules replaces the rules of a stack. The caller holds its lock; the next up brings them about.
func WriteRules(to *state.Stack, applied []AppliedRule) error {
	if applied == nil {
		applied = []AppliedRule{}
	}
	raw, err := json.MarshalIndent(rulesState{SchemaVersion: state.Schema, Rules: applied}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the rules: %w", err)
	}
	files, err := RuleFiles(applied)
	if err != nil {
		return err
	}
	files[rulesOverlay] = overlayOf(files)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := to.WriteFile(rulesFolder+"/"+name, []byte(files[name]), 0o600); err != nil {
			return err
		}
	}
	// Last, because it says whether the others count.
	return to.WriteFile(rulesFile, append(raw, '\n'), 0o600)
}

// RuleFiles are the files that hold some rules, by name. Where there is none of a kind the bundle's own file stays, and with
// it the component that reads it.
func RuleFiles(applied []AppliedRule) (map[string]string, error) {
	all := make([]rules.Rule, 0, len(applied))
	for _, one := range applied {
		all = append(all, one.Rule)
	}
	const header = "# Written by docker telemetry rules apply.\n"
	files := map[string]string{}
	for kind, file := range map[string]string{rules.Aggregation: stack.AggregationFile, rules.Relabeling: stack.RelabelingFile} {
		if text := rules.Config(all, kind); text != "" {
			files[file] = header + text
		}
	}
	if slices.ContainsFunc(all, func(rule rules.Rule) bool { return rule.Kind == rules.Transform }) {
		text, err := rules.AgentConfig(all)
		if err != nil {
			return nil, err
		}
		files[stack.AgentFile] = header + text
	}
	return files, nil
}

// overlayOf puts those files in the place of the bundle's.
func overlayOf(files map[string]string) string {
	configs := map[string]string{
		stack.AggregationFile: "victoriametrics-aggregation", stack.RelabelingFile: "victoriametrics-relabeling", stack.AgentFile: "agent-rules",
	}
	var overlay strings.Builder
	overlay.WriteString("configs:\n")
	for _, file := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&overlay, "  %s: {file: ./%s}\n", configs[file], file)
	}
	return overlay.String()
}

// rulesLayer puts the applied rules in place of the bundle's empty files. It comes before the user's overlays, which have the
// last word.
func (s Source) rulesLayer() ([]stack.Layer, error) {
	applied, err := ReadRules(s.Stack)
	if err != nil || len(applied) == 0 {
		return nil, err
	}
	dir := filepath.Join(s.Stack.Dir, rulesFolder)
	return []stack.Layer{{Name: "the rules of this stack", File: rulesOverlay, Files: profiles.Folder(dir), Dir: dir}}, nil
}
