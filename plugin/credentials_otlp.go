package plugin

import (
	"net/url"
	"path/filepath"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// otlpLogin is the log-in of the OTLP ports: its password is the bearer token.
const otlpLogin = "otlp"

// otlpVariables are what an OpenTelemetry SDK reads of its environment to send to this stack, nil where the profile
// otel is off. The names and the form of the values are those of the specification's "OpenTelemetry Protocol Exporter":
// the headers' values are percent-encoded. HTTP is what the specification recommends as an SDK's default.
func otlpVariables(root state.Root, stored *state.Stack, store certs.Store) ([][2]string, error) {
	file, err := stored.Load()
	if err != nil {
		return nil, err
	}
	catalog, err := settings.Catalog(root)
	if err != nil {
		return nil, err
	}
	selection, err := catalog.Select(file.Profiles)
	if err != nil || !selection.On("otel") {
		return nil, err
	}
	options, err := selection.Options(file.Options)
	if err != nil {
		return nil, err
	}
	endpoint := url.URL{Scheme: "http", Host: "localhost:" + options["otlp-http-port"]}
	protocol := [2]string{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"}
	if options["otlp"] == "plain" {
		return [][2]string{{"OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.String()}, protocol}, nil
	}
	endpoint.Scheme = "https"
	set, err := credentials.ReadExtra(stored, selection.Logins())
	if err != nil {
		return nil, err
	}
	token := set.Login(otlpLogin).Password
	if token == "" {
		return nil, &stack.Error{Text: "the OTLP token was not made yet", Advice: "docker telemetry up makes it"}
	}
	kept, err := store.Load()
	if err != nil {
		return nil, err
	}
	authority := filepath.Join(root.CADir(), certs.AuthorityCert)
	if kept.Options.Imported {
		authority = filepath.Join(stored.Dir, filepath.FromSlash(certs.LeafIssuer))
	}
	return [][2]string{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.String()},
		protocol,
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", authority},
		{"OTEL_EXPORTER_OTLP_HEADERS", "Authorization=" + url.PathEscape("Bearer "+token)},
	}, nil
}
