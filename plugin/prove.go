package plugin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/storage/gateway"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

// prove writes a marked log line with a container of ours and looks for it in OpenObserve, through the gateway.
// It returns nil without an error where the gateway cannot be reached from here.
func (s *session) prove(ctx context.Context, result settings.Result, project *types.Project, timeout time.Duration) (*pipeline.Proof, error) {
	if !s.engine.Local() && result.File.Bind == settings.DefaultBind {
		fmt.Fprintf(s.app.deps.stderr, "note: the gateway is on the loopback of %s, so the proof was left out\n"+
			"hint: ssh -L %d:localhost:%d %s reaches it\n", s.engine.Name, result.File.Port, result.File.Port, s.engine.Name)
		return nil, nil
	}
	store, err := openObserve(result)
	if err != nil {
		return nil, err
	}
	const id = "Proof: a marked log line in OpenObserve"
	s.progress.Waiting(id)
	defer func() {
		// Also after Ctrl-C: a probe is ours to clean up.
		if err := s.manager.RemoveProbes(context.WithoutCancel(ctx), project.Name); err != nil {
			fmt.Fprintln(s.app.deps.stderr, "warning:", err)
		}
	}()
	proof, err := pipeline.ProveLogs(ctx, pipeline.LogProbe{
		Write: func(ctx context.Context, line string) error { return s.manager.WriteProbe(ctx, project, line) },
		Find:  func(ctx context.Context, marker string) (bool, error) { return hasLine(ctx, store, marker) },
	}, timeout)
	if err != nil {
		s.progress.Failed(id)
		return nil, err
	}
	s.progress.Found(id)
	return &proof, nil
}

// gatewayClient reaches the gateway by the name that its certificate is for.
func gatewayClient(result settings.Result, timeout time.Duration) (*http.Client, error) {
	name := ""
	if info, err := certs.Inspect(result.Certificate); err == nil && !slices.Contains(info.Hosts, "localhost") && len(info.Hosts) > 0 {
		name = strings.Replace(info.Hosts[0], "*", "any", 1)
	}
	return gateway.Client(result.CA, name, timeout)
}

func openObserve(result settings.Result) (*openobserve.Client, error) {
	client, err := gatewayClient(result, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &openobserve.Client{
		BaseURL:  gateway.URL(result.File.Bind, result.File.Port) + "/openobserve",
		Org:      "default",
		User:     result.Credentials["openobserve_user"],
		Password: result.Credentials["openobserve_password"],
		HTTP:     client,
	}, nil
}

func hasLine(ctx context.Context, store *openobserve.Client, marker string) (bool, error) {
	from, to := lately()
	hits, err := store.Search(ctx, fmt.Sprintf(`SELECT _timestamp FROM "docker" WHERE message = '%s'`, marker), from, to, 1)
	return len(hits) > 0, err
}
