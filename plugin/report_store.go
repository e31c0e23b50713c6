package plugin

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// storeOptions name a store that is not the stack's. A password is in a file or in the environment: the arguments of a process
// are everybody's to read.
type storeOptions struct {
	url, tokenFile, user, passwordFile, caFile string
}

// The environment of a job that reports on a store.
const (
	tokenVariable    = "TELEMETRY_STORE_TOKEN"
	userVariable     = "TELEMETRY_STORE_USER"
	passwordVariable = "TELEMETRY_STORE_PASSWORD" //nolint:gosec // the name of a variable
	caVariable       = "TELEMETRY_STORE_CA"
)

func (o *storeOptions) add(flags *pflag.FlagSet) {
	flags.StringVar(&o.url, "url", "", "Another store in place of the stack's: what stands before /api/v1, such as http://prometheus:9090")
	flags.StringVar(&o.tokenFile, "token-file", "", "File with the bearer token for --url, or "+tokenVariable)
	flags.StringVar(&o.user, "user", "", "User for --url, or "+userVariable)
	flags.StringVar(&o.passwordFile, "password-file", "", "File with its password, or "+passwordVariable)
	flags.StringVar(&o.caFile, "ca-file", "", "File with the CA certificates (PEM) that --url is checked against, or "+caVariable)
}

// check refuses what cannot be meant.
func (o *storeOptions) check() error {
	if o.url == "" {
		for name, value := range map[string]string{
			"token-file": o.tokenFile, "user": o.user, "password-file": o.passwordFile, "ca-file": o.caFile,
		} {
			if value != "" {
				return &usageError{err: fmt.Errorf("--%s is for a store that --url names", name)}
			}
		}
		return nil
	}
	address, err := url.Parse(o.url)
	switch {
	case err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https":
		return &usageError{err: errors.New("--url takes an address such as http://prometheus:9090")}
	case address.User != nil:
		return &usageError{err: errors.New("--url takes no password: others can read it there"), advice: "--user and --password-file"}
	case address.RawQuery != "" || address.Fragment != "":
		return &usageError{err: errors.New("--url takes what stands before /api/v1, without ? and #")}
	}
	return nil
}

// access is a store that --url names, and the log-in for it.
type access struct {
	base                  string // without a final slash
	host                  string
	token, user, password string
	http                  *http.Client // without an end of its own
}

// access reads what the flags and the environment say. The proxy settings of the environment count, unlike for the gateway, which
// is on this machine.
func (o *storeOptions) access(getenv func(string) string, warn func(string)) (access, error) {
	token, err := secretOf(o.tokenFile, "--token-file", getenv(tokenVariable))
	if err != nil {
		return access{}, err
	}
	password, err := secretOf(o.passwordFile, "--password-file", getenv(passwordVariable))
	if err != nil {
		return access{}, err
	}
	pool, err := authorities(cmp.Or(o.caFile, getenv(caVariable)))
	if err != nil {
		return access{}, err
	}
	address, err := url.Parse(strings.TrimSuffix(o.url, "/"))
	if err != nil {
		return access{}, err
	}
	user := cmp.Or(o.user, getenv(userVariable))
	if password != "" && user == "" {
		return access{}, &usageError{err: errors.New("a password needs a user"), advice: "--user, or " + userVariable}
	}
	if (token != "" || user != "") && address.Scheme == "http" && !onThisMachine(address.Hostname()) {
		warn("the log-in goes to " + address.Host + " without TLS")
	}
	return access{
		base: address.String(), host: address.Hostname(), token: token, user: user, password: password,
		http: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			},
			// A log-in is for one host, and would not be sent with the second request.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// client reaches a store with the API of Prometheus.
func (o *storeOptions) client(getenv func(string) string, warn func(string)) (*victoriametrics.Client, error) {
	to, err := o.access(getenv, warn)
	if err != nil {
		return nil, err
	}
	return &victoriametrics.Client{
		BaseURL: to.base, HTTP: to.http, Identity: onThisMachine(to.host), Authorize: to.authorize(),
	}, nil
}

// authorize adds the log-in to a request, nil where there is none.
func (a access) authorize() func(*http.Request) {
	switch {
	case a.token != "":
		return func(request *http.Request) { request.Header.Set("Authorization", "Bearer "+a.token) }
	case a.user != "":
		return func(request *http.Request) { request.SetBasicAuth(a.user, a.password) }
	default:
		return nil
	}
}

func onThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// secretOf reads a secret's file, without the line's end that editors add.
func secretOf(file, flag, fallback string) (string, error) {
	if file == "" {
		return fallback, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", &usageError{err: fmt.Errorf("%s: %w", flag, err)}
	}
	secret := strings.TrimRight(string(raw), "\r\n")
	if secret == "" || strings.ContainsAny(secret, "\r\n\x00") {
		return "", &usageError{err: fmt.Errorf("%s: %s holds no secret of one line", flag, file)}
	}
	return secret, nil
}

// authorities are those of a file, nil for the system's.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("--ca-file: %w", err)}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, &usageError{err: fmt.Errorf("--ca-file: %s holds no certificate in PEM", file)}
	}
	return pool, nil
}

// reporting is where a report is at work: in a stack's session, or outside of it.
type reporting struct {
	session  *session // nil for a store that is not the stack's
	progress *render.Progress
}

func (a *app) reportingElsewhere(ctx context.Context) (reporting, error) {
	progress, err := render.NewProgress(ctx, a.progress, "report", a.deps.stderr, a.deps.stderrTerminal())
	if err != nil {
		return reporting{}, &usageError{err: err}
	}
	return reporting{progress: progress}, nil
}

func (a *app) warn(text string) { fmt.Fprintln(a.deps.stderr, "warning:", render.Escape(text)) }

func (r reporting) close() {
	if r.session != nil {
		r.session.close()
		return
	}
	r.progress.Close()
}

// reportStore is where a report reads, and what it remembers there.
type reportStore struct {
	*victoriametrics.Client
	reporting
}

func (a *app) reportStore(ctx context.Context, o storeOptions) (*reportStore, error) {
	if o.url == "" {
		return a.stackStore(ctx)
	}
	at, err := a.reportingElsewhere(ctx)
	if err != nil {
		return nil, err
	}
	client, err := o.client(os.Getenv, a.warn)
	if err != nil {
		return nil, err
	}
	client.Limits = a.deps.limits
	return &reportStore{Client: client, reporting: at}, nil
}

func (a *app) stackStore(ctx context.Context) (*reportStore, error) {
	s, err := a.open(ctx, "report")
	if err != nil {
		return nil, err
	}
	result, err := s.remembered()
	if err != nil {
		s.close()
		return nil, err
	}
	// Without an end of its own: the store has one, and the client ends what stands still.
	client, err := gatewayClient(result, 0)
	if err != nil {
		s.close()
		return nil, err
	}
	store := victoriaMetrics(result, client)
	store.Identity, store.Limits = s.engine.Local(), a.deps.limits
	return &reportStore{Client: store, reporting: reporting{session: s, progress: s.progress}}, nil
}

// history is that of the stack; another store's reports are not remembered.
func (r *reportStore) history() cardinality.History {
	if r.session == nil {
		return nil
	}
	return r.session.history()
}

func (r *reportStore) remember(history cardinality.History) {
	if r.session != nil {
		r.session.remember(history)
	}
}

// unreadable ends a report that could not be made with the code for that, and with what helps where the store is.
func (r *reportStore) unreadable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var selector *victoriametrics.SelectorError
	if errors.As(err, &selector) {
		return &usageError{err: fmt.Errorf(`--match takes a selector such as {job="shop"}, not %s`, quoted(selector.Text))}
	}
	return &codeError{code: exitUnchecked, err: &storeError{err: err, advice: r.advice(err)}}
}

func (r *reportStore) advice(err error) string {
	var failed *cardinality.SeriesError
	if errors.As(err, &failed) && failed.Hint() != "" {
		return failed.Hint()
	}
	if r.session != nil {
		return "see how it is: docker telemetry status"
	}
	var answer *victoriametrics.StatusError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return "name the authority that signed its certificate: --ca-file ca.pem"
	case !errors.As(err, &answer):
		return "see whether it answers: curl " + r.BaseURL + "/api/v1/labels"
	case answer.Status == http.StatusUnauthorized, answer.Status == http.StatusForbidden:
		if r.Authorize != nil {
			return "look at the log-in that was given: --token-file, or --user and --password-file, or their variables"
		}
		return "give the log-in: --token-file, or --user and --password-file"
	case strings.Contains(answer.Message, "HTTPS server"): // of Go's server, which Prometheus and its kin have
		return "it speaks TLS: --url takes https://"
	// As vmselect was seen to refuse a path without its tenant, with a 400.
	case answer.Missing(), answer.Status/100 == 3, strings.Contains(answer.Message, "URL format"):
		return "--url takes what stands before /api/v1; of a VictoriaMetrics cluster that is .../select/0/prometheus"
	case answer.Status == http.StatusBadRequest, answer.Status == http.StatusUnprocessableEntity:
		return "see whether --match is as this store takes it, or what it logs"
	default:
		return "see what it logs"
	}
}

type storeError struct {
	err    error
	advice string
}

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }
func (e *storeError) Hint() string  { return e.advice }
