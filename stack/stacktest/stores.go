package stacktest

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Stores are the accounts of the stores, as the real ones keep them: the password of the secrets counts on the first
// start of a volume only, a command resets it, and OpenObserve sees the reset at its next start.
type Stores struct {
	// Before hears of each change on the engine, as Engine.Before.
	Before func(ctx context.Context, change string)
	// Deaf are components whose reset does nothing.
	Deaf map[string]bool
	// Lax are components that accept any password.
	Lax map[string]bool

	engine   *Engine
	mu       sync.Mutex
	accounts map[string]string // password by component, on its volume
	loaded   map[string]string // what the running one knows
}

// Stores puts stores behind the engine's gateway.
func (e *Engine) Stores() *Stores {
	s := &Stores{engine: e, Deaf: map[string]bool{}, Lax: map[string]bool{}, accounts: map[string]string{}, loaded: map[string]string{}}
	e.Before, e.Exec, e.Gateway = s.changes, s.exec, s.handler()
	return s
}

// SetPassword is somebody who changes a password by the store's own means.
func (s *Stores) SetPassword(component, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[component], s.loaded[component] = password, password
}

// changes is called with the engine's lock.
func (s *Stores) changes(ctx context.Context, change string) {
	if s.Before != nil {
		s.Before(ctx, change)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for component, secret := range secretNames() {
		if !strings.HasPrefix(change, "start container ") || !strings.Contains(change, "-"+component+"-") {
			continue
		}
		if s.accounts[component] == "" || component == stack.VictoriaMetrics {
			s.accounts[component] = s.engine.secrets[secret].Content
		}
		s.loaded[component] = s.accounts[component]
	}
}

func secretNames() map[string]string {
	return map[string]string{
		stack.OpenObserve: "openobserve_password", stack.Grafana: "grafana_admin_password", stack.VictoriaMetrics: "victoriametrics_password",
	}
}

// exec is called with the engine's lock.
func (s *Stores) exec(component string, command []string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Deaf[component] {
		return "Error: database is locked\n"
	}
	line := strings.Join(command, " ")
	secret := s.engine.secrets[secretNames()[component]].Content
	switch {
	case component == stack.OpenObserve && line == "/openobserve -c /run/secrets/openobserve_env reset -c root":
		s.accounts[component] = secret
		return "command reset root execute succeeded\n"
	case component == stack.Grafana && strings.HasSuffix(line, "admin reset-admin-password --password-from-stdin </run/secrets/grafana_admin_password"):
		s.accounts[component], s.loaded[component] = secret, secret
		return "Admin password changed successfully\n"
	default:
		return "unknown command\n"
	}
}

func (s *Stores) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})
	s.engine.serveStores(mux, func(component string, r *http.Request) bool {
		_, password, _ := r.BasicAuth()
		s.mu.Lock()
		defer s.mu.Unlock()
		return password != "" && (password == s.loaded[component] || s.Lax[component])
	})
	return mux
}
