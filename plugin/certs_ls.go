package plugin

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

func newCertsLsCommand(a *app) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the authority and the certificate of each stack",
		Long:  "List the authority and the certificate of each stack of this Docker context, without asking the engine.",
		Args:  argsBetween(0, 0, ""),
		RunE:  func(*cobra.Command, []string) error { return runCertsLs(a, format) },
	}
	addFormat(cmd, &format, "table", "json")
	return cmd
}

// listedJSON is a row of `certs ls --format json`.
type listedJSON struct {
	Kind      string     `json:"kind"` // authority or server
	Subject   string     `json:"subject"`
	Hosts     []string   `json:"hosts"` // that it covers, or that an authority may issue for; empty: any
	Issuer    string     `json:"issuer"`
	NotBefore *time.Time `json:"notBefore"`
	NotAfter  *time.Time `json:"notAfter"`
	DaysLeft  int        `json:"daysLeft"`
	Serial    string     `json:"serial"`
	File      string     `json:"file"`
	UsedBy    []string   `json:"usedBy"` // stacks
	Imported  bool       `json:"imported"`
	Problem   string     `json:"problem,omitempty"`
}

func runCertsLs(a *app, format string) error {
	root, _, err := a.kept()
	if err != nil {
		return err
	}
	rows, err := a.listCertificates(root)
	if err != nil {
		return err
	}
	if format == "json" {
		return render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "certificates": rows})
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.deps.stderr, "there are no certificates yet")
		printHint(a.deps.stderr, a.name, "docker telemetry certs init")
		return nil
	}
	cells := make([][]string, 0, len(rows))
	for _, row := range rows {
		left := strconv.Itoa(row.DaysLeft)
		if row.Problem != "" {
			left = row.Problem
		}
		cells = append(cells, []string{row.Subject, listOf(row), row.Issuer, left, row.File, strings.Join(row.UsedBy, ", ")})
	}
	render.Table(a.deps.stdout, []string{"subject", "hosts", "issuer", "days left", "file", "used by"}, cells)
	return nil
}

func listOf(row listedJSON) string {
	if row.Kind == "authority" && len(row.Hosts) == 0 && row.Problem == "" {
		return "(any)"
	}
	return strings.Join(row.Hosts, " ")
}

func (a *app) listCertificates(root state.Root) ([]listedJSON, error) {
	names, err := root.Stacks(a.deps.context())
	if err != nil {
		return nil, err
	}
	rows := []listedJSON{}
	var ours []string
	for _, name := range names {
		stored, err := root.Stack(a.deps.context(), name)
		if err != nil {
			return nil, err
		}
		stored.OnNotice = a.notice
		source := settings.Source{Root: root, Stack: stored, Now: a.deps.now}
		kept, err := source.Certificates("").Load()
		row := listedJSON{Kind: "server", File: filepath.Join(stored.Dir, filepath.FromSlash(certs.LeafCert)), UsedBy: []string{name}, Imported: kept.Options.Imported}
		switch {
		case err != nil:
			row.Problem = err.Error()
		case kept.Leaf.Cert == nil:
			continue
		default:
			a.describe(&row, kept.Leaf)
		}
		if !row.Imported {
			ours = append(ours, name)
		}
		rows = append(rows, row)
	}
	cert, err := root.CAFiles().ReadFile(certs.AuthorityCert)
	if err != nil && len(rows) == 0 {
		return rows, nil //nolint:nilerr // none yet, or nothing that it would matter to
	}
	row := listedJSON{Kind: "authority", File: filepath.Join(root.CADir(), certs.AuthorityCert), UsedBy: ours}
	if err != nil {
		row.Problem = err.Error()
	} else {
		a.describe(&row, certs.Pair{Cert: cert})
	}
	return append([]listedJSON{row}, rows...), nil
}

func (a *app) describe(row *listedJSON, pair certs.Pair) {
	info, err := certs.Inspect(pair)
	if err != nil {
		row.Problem = "damaged"
		return
	}
	now := a.deps.now()
	notBefore, notAfter := info.NotBefore.UTC(), info.NotAfter.UTC()
	row.Subject, row.Issuer, row.Serial = info.Subject, info.Issuer, info.Serial
	row.NotBefore, row.NotAfter, row.DaysLeft = &notBefore, &notAfter, info.DaysLeft(now)
	row.Hosts = append([]string{}, info.Hosts...)
	if info.IsCA {
		row.Hosts = append([]string{}, info.Permitted...)
	}
	switch {
	case now.Before(info.NotBefore):
		row.Problem = "not yet valid"
	case now.After(info.NotAfter):
		row.Problem = "expired"
	}
}

// joined is a list for a person, escaped.
func joined(words []string) string { return render.Escape(strings.Join(words, ", ")) }
