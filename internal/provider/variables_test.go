package provider_test

import (
	"errors"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/provider"
)

const announcedBy56 = "error,info,setenv,rawsetenv,debug,publish-endpoint,get-service-config,get-relay-info,get-image"

func TestMessages(t *testing.T) {
	variable := []provider.Variable{{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Value: "http://x:1"}}
	for name, test := range map[string]struct{ announced, service, want string }{
		"its prefix, on any Compose":          {"", "otel", "setenv EXPORTER_OTLP_ENDPOINT=http://x:1"},
		"the same on one that can do more":    {announcedBy56, "otel", "setenv EXPORTER_OTLP_ENDPOINT=http://x:1"},
		"a longer prefix":                     {"", "Otel_Exporter", "setenv OTLP_ENDPOINT=http://x:1"},
		"another name":                        {announcedBy56, "telemetry", "rawsetenv OTEL_EXPORTER_OTLP_ENDPOINT=http://x:1"},
		"no prefix without its underscore":    {announcedBy56, "ote", "rawsetenv OTEL_EXPORTER_OTLP_ENDPOINT=http://x:1"},
		"Compose keeps a hyphen":              {announcedBy56, "otel-exporter", "rawsetenv OTEL_EXPORTER_OTLP_ENDPOINT=http://x:1"},
		"another name, and Compose can not":   {"", "telemetry", ""},
		"another name, and it says it cannot": {"error,info,setenv", "telemetry", ""},
	} {
		t.Run(name, func(t *testing.T) {
			messages, err := provider.Messages(test.announced, test.service, variable)
			if test.want == "" {
				var refused *provider.PrefixError
				assert.Assert(t, errors.As(err, &refused), "%v", err)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, len(messages), 1)
			assert.Equal(t, messages[0].Type+" "+messages[0].Message, test.want)
		})
	}
}

func TestVariables(t *testing.T) {
	assert.DeepEqual(t, provider.Variables("shop", "otel", provider.ProtocolGRPC, "a-_b"), []provider.Variable{
		{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Value: "http://otel:14317"},
		{Name: "OTEL_EXPORTER_OTLP_PROTOCOL", Value: "grpc"},
		{Name: "OTEL_EXPORTER_OTLP_HEADERS", Value: "authorization=Bearer%20a-_b,x-telemetry-project=shop"},
	})
	assert.Equal(t, provider.Variables("shop", "otel", provider.ProtocolHTTP, "")[0].Value, "http://otel:14318")
}
