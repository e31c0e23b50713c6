package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newCertsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certs",
		Short: "Make, renew, check and trust the gateway's certificates",
		Long: `Make, renew, check and trust the gateway's certificates.

One authority for all stacks of this user signs one certificate a stack. up makes and renews both by itself; these
commands are for other host names, for certificates of your own, and for making browsers trust the authority.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newCertsInitCommand(a), newCertsLsCommand(a), newCertsRenewCommand(a), newCertsVerifyCommand(a),
		newCertsTrustCommand(a), newCertsUntrustCommand(a), newCertsExportCommand(a),
	)
	return cmd
}

// kept opens the stack's certificates without asking the engine.
func (a *app) kept() (state.Root, certs.Store, error) {
	root, err := a.deps.root()
	if err != nil {
		return root, certs.Store{}, err
	}
	stored, err := root.Stack(a.deps.context(), a.name)
	if err != nil {
		return root, certs.Store{}, &usageError{err: err, advice: hintOf(err)}
	}
	stored.OnNotice = a.notice
	source := settings.Source{Root: root, Stack: stored, Now: a.deps.now}
	return root, source.Certificates(""), nil
}

func (a *app) notice(text string) { fmt.Fprintln(a.deps.stderr, "note:", text) }

// change is a wish about the stack's certificate.
type change struct {
	hosts     []string
	csr       []byte // cfssl's CSR JSON; nil keeps what the stack remembers
	signing   []byte // cfssl's signing configuration; nil keeps it too
	profile   string
	force     bool       // issue a new one whatever the kept is like
	authority *authority // nil keeps it
	own       *certs.Pair
	issuers   []byte // of own
}

// authority is the wish for another one. An empty pair is a new one of ours.
type authority struct {
	pair  certs.Pair
	force bool
}

// changeCertificate makes what is wished, brings it into the gateway and then keeps it: what the gateway refuses never
// replaces what the state has.
func (s *session) changeCertificate(ctx context.Context, wish change) error {
	changed, err := s.renewCertificate(ctx, wish)
	if err != nil {
		return err
	}
	return s.printCertificate(changed.made, changed.delivered, changed.known)
}

// changedCertificate is what came of a change.
type changedCertificate struct {
	made      certs.Result
	delivered string
	known     bool // there was an authority before
}

func (s *session) renewCertificate(ctx context.Context, wish change) (changedCertificate, error) {
	var changed changedCertificate
	remembered, err := s.source.Remember(settings.Request{})
	if err != nil {
		return changed, err
	}
	store := s.source.Certificates(remembered.File.Bind)
	options, err := store.ReadOptions()
	if err != nil && !wish.force {
		return changed, err
	}
	old := options
	if options, err = wish.applyTo(options); err != nil {
		return changed, err
	}
	err = s.source.Root.WithCALock(ctx, func() error {
		changed.made, err = wish.make(store, options)
		return err
	})
	if err != nil {
		return changed, err
	}
	changed.known = len(remembered.CA) > 0
	if changed.delivered, err = s.deliver(ctx, changed.made.Leaf); err != nil {
		return changed, err
	}
	return changed, keep(store, old, options, changed.made)
}

func (c change) applyTo(options certs.Options) (certs.Options, error) {
	options.Imported = c.own != nil || options.Imported && !c.force
	if c.csr != nil {
		options.CSR = c.csr
	}
	if c.signing != nil {
		options.Signing, options.Profile = c.signing, c.profile
	}
	return options.Hosted(c.hosts)
}

// make runs under the authority's lock.
func (c change) make(store certs.Store, options certs.Options) (certs.Result, error) {
	if err := options.Valid(); err != nil {
		return certs.Result{}, err
	}
	if c.authority != nil {
		if err := c.authority.replace(store); err != nil {
			return certs.Result{}, err
		}
	}
	if c.own == nil {
		return store.Next(options, c.force)
	}
	leaf, err := certs.OwnLeaf(*c.own, c.issuers, store.Now())
	return certs.Result{CA: leaf.Issuer, Leaf: leaf, LeafChanged: true}, err
}

func (w *authority) replace(store certs.Store) error {
	if w.pair.Cert == nil {
		return store.NewAuthority()
	}
	return store.ImportAuthority(w.pair, w.force)
}

func keep(store certs.Store, old, options certs.Options, made certs.Result) error {
	if made.LeafChanged {
		save := store.Save
		if options.Imported {
			save = store.SaveOwn
		}
		if err := save(made.Leaf); err != nil {
			return err
		}
	}
	if options.Equal(old) {
		return nil
	}
	return store.WriteOptions(options)
}

// deliver brings a certificate into the gateway, in place where it runs and for its next start where it does not. It
// says what was done.
func (s *session) deliver(ctx context.Context, leaf certs.Pair) (string, error) {
	certificate := stack.Certificate{Chain: leaf.Chain(), Key: leaf.Key}
	rotated, err := s.manager.RotateCertificate(ctx, s.state.Name, certificate)
	switch {
	case errors.Is(err, stack.ErrNoGateway):
		return "the gateway does not run and serves it from its next start", s.manager.PlaceCertificate(ctx, s.state.Name, certificate)
	case err != nil:
		return "", err
	case rotated:
		return "the gateway serves it, no connection was ended", nil
	default:
		return "the gateway served it already", nil
	}
}

func (s *session) printCertificate(made certs.Result, delivered string, known bool) error {
	info, err := certs.Inspect(made.Leaf)
	if err != nil {
		return err
	}
	out := s.app.deps.stdout
	s.close()
	verb := "kept"
	if made.LeafChanged {
		verb = "new"
	}
	fmt.Fprintf(out, "%s certificate %s: %s\n", verb, info.Serial, joined(info.Hosts))
	fmt.Fprintf(out, "issued by %s, %d days left\n", joined([]string{info.Issuer}), info.DaysLeft(s.app.deps.now()))
	fmt.Fprintln(out, delivered)
	if made.AuthorityChanged && known {
		s.noteAuthority()
	}
	return nil
}

func (s *session) noteAuthority() {
	fmt.Fprintln(s.app.deps.stderr, "note: the authority's certificate was renewed or permits more hosts now; where the old one was trusted, trust this one")
	printHint(s.app.deps.stderr, s.app.name, "docker telemetry certs trust")
}

// placeCertificate gives a stopped gateway a certificate that lasts: it may have stood still for months. A stack of
// another machine has none here and keeps its own.
func (s *session) placeCertificate(ctx context.Context) error {
	if _, err := s.state.Load(); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	result, err := s.source.Prepare(ctx, settings.Request{})
	if err != nil {
		return err
	}
	certificate := stack.Certificate{Chain: result.Certificate.Chain(), Key: result.Certificate.Key}
	return s.manager.PlaceCertificate(ctx, s.state.Name, certificate)
}

// rotateCertificate ends `up`: what the gateway serves becomes what the state has. Compose gives a container its secrets
// before its start only. wait is false where nobody waited for the gateway, which then may not serve yet.
func (s *session) rotateCertificate(ctx context.Context, before []byte, result settings.Result, wait bool) error {
	if before != nil && !slices.Equal(before, result.CA) {
		s.noteAuthority()
	}
	certificate := stack.Certificate{Chain: result.Certificate.Chain(), Key: result.Certificate.Key}
	rotated, err := s.manager.RotateCertificate(ctx, s.state.Name, certificate)
	switch {
	case err != nil && !wait:
		return nil // the next up looks again
	case rotated:
		fmt.Fprintln(s.app.deps.stderr, "note: the gateway serves a new certificate, no connection was ended")
	}
	return err
}

// warnDays is also when `up` renews: a third of the lifetime.
const warnDays = 30

// judgeCertificate ends `status` of a healthy stack.
func (a *app) judgeCertificate(certificate *certificateJSON, format string) error {
	const advice = "docker telemetry certs renew"
	switch {
	case certificate == nil || certificate.DaysLeft >= warnDays:
		return nil
	case certificate.DaysLeft > 0:
		fmt.Fprintf(a.deps.stderr, "warning: the certificate ends in %d days\n", certificate.DaysLeft)
		printHint(a.deps.stderr, a.name, advice)
		return nil
	}
	text := "the certificate ends today"
	if certificate.DaysLeft < 0 {
		text = "the certificate expired on " + certificate.NotAfter.Format("2006-01-02")
	}
	return &codeError{code: exitFindings, err: &stack.Error{Text: text, Advice: advice}, silent: format == "json"}
}
