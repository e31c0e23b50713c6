package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/certs/trust"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// trustedCert remembers, beside the authority, which of its certificates was trusted: after a renewal that one is to go.
const trustedCert = "trusted.crt"

func newCertsTrustCommand(a *app) *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Make this computer and its browsers trust the authority",
		Long: `Add the authority's certificate to the trust store of this computer and of its browsers, after telling what that
means and asking. An administrator's password may be asked for. In a CI run (CI is set) nothing is changed.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCertsTrust(cmd.Context(), a, trusting{stores: trust.Stores(), getenv: os.Getenv, yes: yes})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "Do not ask")
	return cmd
}

func newCertsUntrustCommand(a *app) *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:   "untrust",
		Short: "Take the authority out of the trust stores again",
		Args:  argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCertsUntrust(cmd.Context(), a, trusting{stores: trust.Stores(), getenv: os.Getenv, yes: yes})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "Do not ask")
	return cmd
}

type trusting struct {
	stores []trust.Store
	getenv func(string) string
	yes    bool
}

func runCertsTrust(ctx context.Context, a *app, with trusting) error {
	root, _, err := a.kept()
	if err != nil {
		return err
	}
	ca, file, err := authorityCert(root, certs.AuthorityCert)
	if err != nil {
		return err
	}
	explainTrust(a, ca, file, with.stores)
	if err := with.allow(ctx, a, "Trust this authority?"); err != nil {
		return err
	}
	// The old one may be trusted under another serial number. It is looked for before it is forgotten.
	old, _, oldErr := authorityCert(root, trustedCert)
	err = with.each(a, ca, "trusts it", true, trust.Store.Add, func(s trust.Store) []string { add, _ := s.Manual(file); return add })
	if err != nil {
		return err
	}
	if oldErr == nil && !old.Equal(ca) {
		for _, store := range with.stores {
			if err := store.Remove(old); err != nil && !errors.Is(err, trust.ErrAbsent) {
				fmt.Fprintf(a.deps.stderr, "warning: the authority's former certificate stays in %s: %s\n", store.Name(), render.Escape(err.Error()))
			}
		}
	}
	return root.CAFiles().WriteFile(trustedCert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o644)
}

func runCertsUntrust(ctx context.Context, a *app, with trusting) error {
	root, _, err := a.kept()
	if err != nil {
		return err
	}
	name := trustedCert
	if _, err := root.CAFiles().ReadFile(name); err != nil {
		name = certs.AuthorityCert
	}
	ca, file, err := authorityCert(root, name)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.deps.stderr, "%s goes out of\n", render.Escape(ca.Subject.CommonName))
	for _, store := range with.stores {
		fmt.Fprintf(a.deps.stderr, "  - %s\n", store.Name())
	}
	if err := with.allow(ctx, a, "Stop trusting this authority?"); err != nil {
		return err
	}
	return with.each(a, ca, "does not trust it", false, trust.Store.Remove, func(s trust.Store) []string { _, remove := s.Manual(file); return remove })
}

func authorityCert(root state.Root, name string) (*x509.Certificate, string, error) {
	file := filepath.Join(root.CADir(), name)
	data, err := root.CAFiles().ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, file, &stack.Error{Text: "there is no authority yet", Advice: "docker telemetry certs init"}
	}
	if err != nil {
		return nil, file, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, file, &stack.Error{Text: fmt.Sprintf("%q is damaged", file), Advice: "docker telemetry certs init --force"}
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	return ca, file, err
}

func explainTrust(a *app, ca *x509.Certificate, file string, stores []trust.Store) {
	out := a.deps.stderr
	info, _ := certs.Inspect(certs.Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})})
	fmt.Fprintf(out, "%s\n  file         %s\n  SHA-256      %s\n", render.Escape(info.Subject), render.Escape(file), fingerprint(ca.Raw))
	may := "any host: whoever gets its key can pretend to be any site to this computer"
	if len(info.Permitted) > 0 {
		may = joined(info.Permitted) + ", and for no other host"
	}
	fmt.Fprintf(out, "  may sign for %s\n", may)
	fmt.Fprintln(out, "It is going to be trusted by")
	for _, store := range stores {
		fmt.Fprintf(out, "  - %s\n", store.Name())
	}
	fmt.Fprintln(out, "docker telemetry certs untrust takes it out again.")
}

func fingerprint(raw []byte) string {
	sum := sha256.Sum256(raw)
	return strings.ToUpper(strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":"))
}

// allow asks. Where nobody can answer, the flag must.
func (w trusting) allow(ctx context.Context, a *app, question string) error {
	if ci := w.getenv("CI"); ci != "" && ci != "false" && ci != "0" {
		return &stack.Error{
			Text:   "this is a CI run (CI=" + render.Escape(ci) + "), which leaves the trust stores of its machine alone",
			Advice: "give the certificate to the program that needs it: docker telemetry certs export",
		}
	}
	if w.yes {
		return nil
	}
	if !a.deps.stdinTerminal() {
		return &usageError{err: errors.New("nobody can be asked here"), advice: "add --yes"}
	}
	agreed, err := a.ask(ctx, question)
	if err == nil && !agreed {
		return &stack.Error{Text: "nothing was changed"}
	}
	return err
}

// each changes every store, looks whether that took, and prints the manual steps where it did not.
func (w trusting) each(a *app, ca *x509.Certificate, done string, want bool, change func(trust.Store, *x509.Certificate) error, manual func(trust.Store) []string) error {
	var failed []string
	changed := 0
	for _, store := range w.stores {
		err := change(store, ca)
		if errors.Is(err, trust.ErrAbsent) {
			fmt.Fprintf(a.deps.stderr, "%s is left out: %s\n", store.Name(), render.Escape(err.Error()))
			continue
		}
		if err == nil {
			err = seen(store, ca, want)
		}
		if err == nil {
			changed++
			fmt.Fprintf(a.deps.stdout, "%s %s now\n", store.Name(), done)
			continue
		}
		failed = append(failed, store.Name())
		fmt.Fprintf(a.deps.stderr, "%s could not be changed: %s\nby hand:\n%s", store.Name(), render.Escape(err.Error()),
			render.Indent(strings.Join(manual(store), "\n")+"\n", "  "))
	}
	switch {
	case len(failed) > 0:
		return &stack.Error{Text: strings.Join(failed, " and ") + " could not be changed", Advice: "follow the steps above"}
	case changed == 0:
		return &stack.Error{Text: "this computer has no trust store that could be changed", Advice: "docker telemetry certs export"}
	}
	return nil
}

func seen(store trust.Store, ca *x509.Certificate, want bool) error {
	trusts, err := store.Trusts(ca)
	if err != nil || trusts == want {
		return err
	}
	if want {
		return errors.New("it was added without an error and is not trusted")
	}
	return errors.New("it was removed without an error and is still trusted")
}

// isPEM tells text from the binary forms of a certificate.
func isPEM(data []byte) bool { return bytes.HasPrefix(data, []byte("-----BEGIN ")) }
