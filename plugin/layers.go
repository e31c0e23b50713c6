package plugin

import (
	"context"
	"strconv"
	"sync"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
)

// layerOptions are the flags that say what is merged onto the base stack; up and config have them.
type layerOptions struct {
	profiles, overlays []string
	otlp, otlpMetrics  string
	otlpGRPC, otlpHTTP int
}

func (o *layerOptions) addTo(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&o.profiles, "profile", nil, "Profile to switch on, may be repeated; none switches all off")
	flags.StringArrayVarP(&o.overlays, "file", "f", nil, "Compose file to merge last, may be repeated; none leaves all out")
	flags.StringVar(&o.otlp, "otlp", "", "How OTLP is taken by the profile otel: tls or plain")
	flags.StringVar(&o.otlpMetrics, "otlp-metrics", "", "Where OTLP metrics go: direct, or through the aggregators as well")
	flags.IntVar(&o.otlpGRPC, "otlp-grpc-port", 0, "Port of OTLP over gRPC (default 4317)")
	flags.IntVar(&o.otlpHTTP, "otlp-http-port", 0, "Port of OTLP over HTTP (default 4318)")
	_ = cmd.RegisterFlagCompletionFunc("profile", a.completeProfiles)
	_ = cmd.RegisterFlagCompletionFunc("otlp", completeWords("tls", "plain"))
	_ = cmd.RegisterFlagCompletionFunc("otlp-metrics", completeWords("direct", "aggregators"))
}

func (o *layerOptions) into(request *settings.Request) {
	request.Profiles, request.Overlays = o.profiles, o.overlays
	for name, value := range map[string]string{
		"otlp": o.otlp, "otlp-metrics": o.otlpMetrics, "otlp-grpc-port": port(o.otlpGRPC), "otlp-http-port": port(o.otlpHTTP),
	} {
		if value == "" {
			continue
		}
		if request.Options == nil {
			request.Options = map[string]string{}
		}
		request.Options[name] = value
	}
}

func port(number int) string {
	if number == 0 {
		return ""
	}
	return strconv.Itoa(number)
}

// journald is the folder that systemd-journald has while it runs. /var/log/journal proves little: the package of systemd
// makes it, also where another init runs.
const journald = "/run/systemd/journal"

// feature asks the engine's host for what a profile needs. Images may not be there yet: the engine looks at a mount
// before it looks for the image.
func (s *session) feature(ctx context.Context) func(string) (bool, error) {
	// Asked once, for whatever of a journal a profile wants to know: each question makes a container.
	runs := sync.OnceValues(func() (bool, error) { return s.manager.HasFolder(ctx, s.state.Name, journald) })
	return func(name string) (bool, error) {
		if running, err := runs(); err != nil || !running {
			return false, err
		}
		folders := map[string][]string{
			"journal":            {"/var/log/journal", "/run/log/journal"},
			"journal-persistent": {"/var/log/journal"},
			"journal-volatile":   {"/run/log/journal"},
		}[name]
		return s.manager.HasFolder(ctx, s.state.Name, folders...)
	}
}
