package plugin

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newCertsVerifyCommand(a *app) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the certificates, and what the gateway really serves",
		Long: `Check the stack's certificate by Go's and by OpenSSL's rules, its key, hosts and dates, and what the gateway really
serves. It ends with exit code 3 when something is wrong, and 4 when the engine cannot be asked.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runCertsVerify(cmd.Context(), a, format) },
	}
	addFormat(cmd, &format, "table", "json")
	return cmd
}

// findingJSON is a line of `certs verify --format json`.
type findingJSON struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, failed or unchecked
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

func runCertsVerify(ctx context.Context, a *app, format string) error {
	_, store, err := a.kept()
	if err != nil {
		return err
	}
	s, engineErr := a.open(ctx, "")
	if engineErr != nil && ctx.Err() != nil {
		return engineErr
	}
	if engineErr == nil {
		remembered, err := s.source.Remember(settings.Request{})
		if err != nil {
			return err
		}
		store = s.source.Certificates(remembered.File.Bind)
	}
	findings, kept := store.Check()
	lines := make([]findingJSON, 0, len(findings)+2)
	for _, finding := range findings {
		lines = append(lines, a.line(finding))
	}
	if kept.CA != nil && kept.Leaf.Cert != nil {
		lines = append(lines, a.line(openSSLFinding(ctx, a, kept)), a.line(servedFinding(ctx, s, engineErr, kept)))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if format == "json" {
		err = render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "findings": lines})
	} else {
		printFindings(a, lines)
	}
	if err != nil {
		return err
	}
	for _, line := range lines {
		if line.Result == "failed" {
			return &codeError{code: exitFindings, err: &stack.Error{Text: fmt.Sprintf("%s: %s", line.Check, line.Detail), Advice: line.Hint}, silent: format == "json"}
		}
	}
	if engineErr != nil {
		return &codeError{code: exitUnchecked, err: engineErr, silent: format == "json"}
	}
	return nil
}

// uncheckedError says why something could not be looked at.
type uncheckedError struct{ why string }

func (e *uncheckedError) Error() string { return e.why }

func openSSLFinding(ctx context.Context, a *app, kept certs.Result) certs.Finding {
	version, err := certs.OpenSSL(ctx, kept, a.deps.now())
	if errors.Is(err, certs.ErrNoOpenSSL) {
		err = &uncheckedError{"there is no openssl program on this computer"}
	}
	return certs.Finding{Check: "openssl", Detail: "accepted with -x509_strict by " + version, Err: err}
}

func servedFinding(ctx context.Context, s *session, engineErr error, kept certs.Result) certs.Finding {
	finding := certs.Finding{Check: "gateway", Detail: "serves this certificate"}
	if engineErr != nil {
		finding.Err = &uncheckedError{engineErr.Error()}
		return finding
	}
	served, err := s.manager.ServedCertificate(ctx, s.state.Name)
	switch {
	case errors.Is(err, stack.ErrNoGateway):
		finding.Err = &uncheckedError{err.Error()}
	case err != nil:
		finding.Err = &stack.Error{Text: "it shows no certificate: " + err.Error(), Advice: "docker telemetry restart gateway", Err: err}
	default:
		block, _ := pem.Decode(kept.Leaf.Cert)
		if block == nil || !bytes.Equal(block.Bytes, served.Raw) {
			finding.Err = &stack.Error{
				Text:   "it serves another certificate, serial " + served.SerialNumber.Text(16),
				Advice: "docker telemetry certs renew",
			}
		}
	}
	return finding
}

func (a *app) line(finding certs.Finding) findingJSON {
	line := findingJSON{Check: finding.Check, Result: "ok", Detail: finding.Detail}
	if finding.Err == nil {
		return line
	}
	line.Result, line.Detail = "failed", strings.ReplaceAll(finding.Err.Error(), "\n", "; ")
	if hint := hintOf(finding.Err); hint != "" {
		line.Hint = forStack(a.name, hint)
	}
	var unchecked *uncheckedError
	if errors.As(finding.Err, &unchecked) {
		line.Result = "unchecked"
	}
	return line
}

func printFindings(a *app, lines []findingJSON) {
	rows := make([][]string, 0, len(lines))
	for _, line := range lines {
		rows = append(rows, []string{line.Check, line.Result, line.Detail})
	}
	render.Table(a.deps.stdout, []string{"check", "result", "detail"}, rows)
}
