package provider

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Ports of the collector that its profile opens to the networks of Compose projects, see projects.yaml of the profile otel.
const (
	portGRPC = "14317"
	portHTTP = "14318"
)

// Protocols of OTLP, by their names in the specification of the SDK's variables.
const (
	ProtocolHTTP = "http/protobuf"
	ProtocolGRPC = "grpc"
)

// Variable is one of the environment of the services that depend on the provider's.
type Variable struct{ Name, Value string }

// Variables are what an OpenTelemetry SDK reads to send to the collector, which is called service on its network. The names
// and the form of the values are those of the specification's "OpenTelemetry Protocol Exporter"; header names are lower case,
// as gRPC wants them.
func Variables(project, service, protocol, token string) []Variable {
	port := portHTTP
	if protocol == ProtocolGRPC {
		port = portGRPC
	}
	return []Variable{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://" + service + ":" + port},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", protocol},
		{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=" + url.PathEscape("Bearer "+token) + ",x-telemetry-project=" + url.PathEscape(project)},
	}
}

// PrefixError says that a Compose can set a variable under a wrong name only.
type PrefixError struct{ Service, Variable string }

func (e *PrefixError) Error() string {
	return fmt.Sprintf("this Compose would call the variable %s%s for a service called %q", prefix(e.Service), e.Variable, e.Service)
}

// Hint says what helps.
func (*PrefixError) Hint() string {
	return "call the service otel: this Compose puts its name before each variable, and OTEL_ is what these begin with"
}

// Messages words the variables for a Compose that announced the types it takes, as MessagesVariable has them. Every Compose
// puts the service's name before a variable of setenv, so one that begins with that name is right everywhere; any
// other needs rawsetenv.
func Messages(announced, service string, variables []Variable) ([]Message, error) {
	raw := slices.Contains(strings.Split(announced, ","), TypeRawSetEnv)
	messages := make([]Message, 0, len(variables))
	for _, variable := range variables {
		name, prefixed := strings.CutPrefix(variable.Name, prefix(service))
		switch {
		case prefixed && name != "":
			messages = append(messages, Message{TypeSetEnv, name + "=" + variable.Value})
		case raw:
			messages = append(messages, Message{TypeRawSetEnv, variable.Name + "=" + variable.Value})
		default:
			return nil, &PrefixError{Service: service, Variable: variable.Name}
		}
	}
	return messages, nil
}

// prefix is what Compose puts before the variables of a service: it changes no other character.
func prefix(service string) string { return strings.ToUpper(service) + "_" }
