package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type certsExportOptions struct {
	format, output, passwordFile, cfssl string
	withKey                             bool
}

func newCertsExportCommand(a *app) *cobra.Command {
	opts := certsExportOptions{format: "pem"}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the authority's certificate, for other programs and computers",
		Long: `Write the authority's certificate as PEM to standard output or a file, or as PKCS#12 to a file, or the files that
cfssl works with. Its private key is left out unless --with-ca-key asks for it.`,
		Example: `  docker telemetry certs export > ca.pem
  docker telemetry certs export --format p12 --output ca.p12
  docker telemetry certs export --cfssl ./pki`,
		Args: argsBetween(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return runCertsExport(a, opts) },
	}
	flags := cmd.Flags()
	addWord(cmd, flags, &opts.format, "format", "Output", "pem", "p12")
	flags.StringVarP(&opts.output, "output", "o", "", "File to write (default: standard output)")
	flags.StringVar(&opts.passwordFile, "password-file", "", "File with the password of a PKCS#12 file (default, without a key: "+certs.DefaultPassword+")")
	flags.StringVar(&opts.cfssl, "cfssl", "", "Folder to write cfssl's files to: configuration, CSR JSON, certificate")
	flags.BoolVar(&opts.withKey, "with-ca-key", false, "Write the authority's private key as well: whoever has it can pretend to be each of its hosts")
	return cmd
}

func runCertsExport(a *app, opts certsExportOptions) error {
	root, store, err := a.kept()
	if err != nil {
		return err
	}
	kept, err := store.Load()
	if err != nil {
		return err
	}
	if kept.CA == nil {
		return &stack.Error{Text: "there is no authority yet", Advice: "docker telemetry certs init"}
	}
	ca := certs.Pair{Cert: kept.CA}
	if opts.withKey {
		if kept.Options.Imported {
			return &stack.Error{Text: fmt.Sprintf("the certificate of stack %q is your own, its authority's key is not here", a.name)}
		}
		if ca.Key, err = root.CAFiles().ReadFile(certs.AuthorityKey); err != nil {
			return err
		}
	}
	if opts.cfssl != "" {
		return exportCFSSL(a, store, kept, ca, opts.cfssl)
	}
	content := slices.Concat(ca.Cert, ca.Key)
	if opts.format == "p12" {
		if content, err = exportPKCS12(a, ca, opts.passwordFile); err != nil {
			return err
		}
	}
	return a.writeExport(opts.output, content, opts.withKey)
}

func exportPKCS12(a *app, ca certs.Pair, passwordFile string) ([]byte, error) {
	password := certs.DefaultPassword
	switch {
	case passwordFile != "":
		content, err := readInput(passwordFile)
		if err != nil {
			return nil, err
		}
		password = string(bytes.TrimRight(content, "\r\n"))
	case ca.Key != nil:
		return nil, &usageError{err: errors.New("a PKCS#12 file with a private key needs a password"), advice: "give it in a file: --password-file FILE"}
	default:
		fmt.Fprintf(a.deps.stderr, "note: the password of the file is %q; there is no secret in it\n", password)
	}
	return certs.PKCS12(ca, password)
}

func exportCFSSL(a *app, store certs.Store, kept certs.Result, ca certs.Pair, dir string) error {
	files, err := store.CFSSL(kept)
	if err != nil {
		return err
	}
	if ca.Key != nil {
		files["ca-key.pem"] = ca.Key
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create %q: %w", dir, pathCause(err))
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := writeFile(path, files[name], name == "ca-key.pem"); err != nil {
			return err
		}
		fmt.Fprintln(a.deps.stdout, path)
	}
	return nil
}

func (a *app) writeExport(path string, content []byte, secret bool) error {
	if path != "" && path != "-" {
		return writeFile(path, content, secret)
	}
	if a.deps.stdoutTerminal() && !isPEM(content) {
		return &usageError{err: errors.New("PKCS#12 is binary and this is a terminal"), advice: "add --output FILE"}
	}
	_, err := a.deps.stdout.Write(content)
	return err
}

// writeFile replaces a file. One with a key is made anew: the mode of one that is there could be open to others.
func writeFile(path string, content []byte, secret bool) error {
	flags, mode := os.O_WRONLY|os.O_CREATE|os.O_TRUNC, os.FileMode(0o644)
	if secret {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return &stack.Error{Text: fmt.Sprintf("cannot replace %q: %v", path, pathCause(err)), Err: err}
		}
		flags, mode = os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600
	}
	file, err := os.OpenFile(path, flags, mode)
	if err == nil {
		_, err = file.Write(content)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return &stack.Error{Text: fmt.Sprintf("cannot write %q: %v", path, pathCause(err)), Advice: "give another file with --output", Err: err}
	}
	return nil
}
