package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type certsInitOptions struct {
	hosts                []string
	caCert, caKey        string
	cert, key            string
	csr, config, profile string
	force                bool
}

func newCertsInitCommand(a *app) *cobra.Command {
	var opts certsInitOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the certificates, or bring your own",
		Long: `Make the authority and the stack's certificate where they are missing, or bring your own: an authority
(--ca-cert, --ca-key) that issues for all stacks of this user, or a certificate (--cert, --key) for this stack only,
which is checked and never renewed by docker telemetry. Files of cfssl are taken too.`,
		Example: `  docker telemetry certs init --host telemetry.example.com
  docker telemetry certs init --ca-cert corp.pem --ca-key corp-key.pem
  docker telemetry certs init --cert fullchain.pem --key privkey.pem
  docker telemetry certs init --csr server-csr.json --config ca-config.json --profile server`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runCertsInit(cmd.Context(), a, opts) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&opts.hosts, "host", nil, "DNS name or address that the certificate covers as well; remembered")
	flags.StringVar(&opts.caCert, "ca-cert", "", "File with an authority's certificate, PEM")
	flags.StringVar(&opts.caKey, "ca-key", "", "File with its private key, PEM")
	flags.StringVar(&opts.cert, "cert", "", "File with a certificate for the gateway, PEM, its issuers after it or in --ca-cert")
	flags.StringVar(&opts.key, "key", "", "File with its private key, PEM")
	flags.StringVar(&opts.csr, "csr", "", "cfssl CSR JSON that the certificate is made by; remembered")
	flags.StringVar(&opts.config, "config", "", "cfssl signing configuration that it is signed by; remembered")
	flags.StringVar(&opts.profile, "profile", "", "Profile in --config (default: the configuration's default)")
	flags.BoolVar(&opts.force, "force", false, "Replace the authority of all stacks; browsers must trust the new one")
	return cmd
}

func runCertsInit(ctx context.Context, a *app, opts certsInitOptions) error {
	wish, err := opts.wish()
	if err != nil {
		return err
	}
	return runCertsChange(ctx, a, "certs init", wish)
}

// wish reads the files. --ca-cert alone goes with --cert: then it is who issued that.
func (o certsInitOptions) wish() (change, error) {
	switch {
	case (o.cert == "") != (o.key == ""):
		return change{}, together("--cert", "--key")
	case o.caKey != "" && o.caCert == "", o.caCert != "" && o.caKey == "" && o.cert == "":
		return change{}, together("--ca-cert", "--ca-key")
	case o.cert != "" && o.caKey != "":
		return change{}, &usageError{err: errors.New("--cert and --ca-key exclude each other"), advice: "one brings a certificate, the other an authority that makes them"}
	case o.cert != "" && (o.csr != "" || o.config != "" || len(o.hosts) > 0):
		return change{}, &usageError{err: errors.New("--cert is taken as it is, without --csr, --config and --host"), advice: "leave --cert out to have one made"}
	case o.profile != "" && o.config == "":
		return change{}, together("--config", "--profile")
	}
	wish := change{hosts: o.hosts, profile: o.profile}
	var caCert, caKey, cert, key []byte
	for _, file := range []struct {
		path string
		into *[]byte
	}{{o.caCert, &caCert}, {o.caKey, &caKey}, {o.cert, &cert}, {o.key, &key}, {o.csr, &wish.csr}, {o.config, &wish.signing}} {
		if file.path == "" {
			continue
		}
		content, err := readInput(file.path)
		if err != nil {
			return change{}, err
		}
		*file.into = content
	}
	switch {
	case cert != nil:
		wish.own, wish.issuers = &certs.Pair{Cert: cert, Key: key}, caCert
	case caCert != nil:
		wish.authority = &authority{pair: certs.Pair{Cert: caCert, Key: caKey}, force: o.force}
	case o.force:
		wish.authority = &authority{force: true}
	}
	// What the files say must show in the certificate, also where the present one is good for long.
	wish.force = cert == nil && (o.force || wish.csr != nil || wish.signing != nil)
	return wish, nil
}

func together(first, second string) error {
	return &usageError{err: fmt.Errorf("%s and %s go together", first, second), advice: "docker telemetry certs init --help"}
}

// readInput reads a file of the user's, of a size that a certificate or a configuration can have.
func readInput(path string) ([]byte, error) {
	const limit = 1 << 20
	file, err := os.Open(path)
	if err != nil {
		return nil, &stack.Error{Text: fmt.Sprintf("cannot read %q: %v", path, pathCause(err)), Advice: "give a file that you can read: ls -l " + path, Err: err}
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, &stack.Error{Text: fmt.Sprintf("cannot read %q: %v", path, pathCause(err)), Err: err}
	}
	if len(content) > limit || len(content) == 0 {
		return nil, &stack.Error{Text: fmt.Sprintf("%q is empty or larger than 1 MB, so no certificate and no configuration", path)}
	}
	return content, nil
}

func pathCause(err error) error {
	var failed *os.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
