package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
)

func newReportCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Tell what the data costs, and what to do about it",
		Long:  "Tell what the data costs, and what to do about it.",
		Args:  argsBetween(0, 0, ""),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newReportCardinalityCommand(a), newReportRetentionCommand(a))
	return cmd
}

// reportFormats are those of every report.
func reportFormats() []string { return []string{"table", "json", "csv", "markdown", "html"} }

// checkReport refuses a page where a terminal would get it, before anything is asked.
func (a *app) checkReport(format, file, example string) error {
	if format != "html" || file != "" || !a.deps.stdoutTerminal() {
		return nil
	}
	return &usageError{err: errors.New("a page is for a browser and this is a terminal"), advice: "add -o " + example}
}

// reportForms are what the formats of a report are made of.
type reportForms struct {
	document document.Document
	object   any
	page     func(io.Writer) error
}

// writeReport writes a report in one of reportFormats, to a file where one is named. An earlier file stays until the report
// is made.
func (a *app) writeReport(format, file string, forms reportForms) error {
	if file == "" {
		return forms.write(a.deps.stdout, format)
	}
	var whole bytes.Buffer
	if err := forms.write(&whole, format); err != nil {
		return err
	}
	if err := os.WriteFile(file, whole.Bytes(), 0o644); err != nil { //nolint:gosec // a report is for others too
		return fmt.Errorf("write the report: %w", err)
	}
	fmt.Fprintln(a.deps.stderr, "wrote", render.Escape(file))
	return nil
}

func (f reportForms) write(out io.Writer, format string) error {
	switch format {
	case "json":
		return render.JSON(out, f.object)
	case "csv":
		return render.CSV(out, f.document.Flat)
	case "markdown":
		render.Markdown(out, f.document)
	case "html":
		return f.page(out)
	default:
		render.Document(out, f.document)
	}
	return nil
}

// writeRules writes one file a rule and prints their names. What else is in the folder would be applied with them, so it is
// named.
func (a *app) writeRules(folder string, all []rules.Rule) error {
	if len(all) == 0 {
		fmt.Fprintln(a.deps.stderr, "no finding has a rule; nothing was written")
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // rules are for others too
		return fmt.Errorf("write the rules: %w", err)
	}
	written := map[string]bool{}
	for _, rule := range all {
		raw, err := rule.Encode()
		if err != nil {
			return err
		}
		file := filepath.Join(folder, rule.Name+".yaml")
		if err := os.WriteFile(file, raw, 0o644); err != nil { //nolint:gosec // as above
			return fmt.Errorf("write the rules: %w", err)
		}
		written[file] = true
		fmt.Fprintln(a.deps.stdout, render.Escape(file))
	}
	present, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return fmt.Errorf("write the rules: %w", err)
	}
	for _, file := range present {
		if !written[file] {
			fmt.Fprintf(a.deps.stderr, "note: %s was there before and would be applied as well\n", render.Escape(file))
		}
	}
	printHint(a.deps.stderr, a.name, "look at them, then: docker telemetry rules apply "+folder)
	return nil
}
