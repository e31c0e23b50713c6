package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// expander fills in values of provisioning files, in Grafana's order (values.go, expanders.go): split at $$, then
// ${NAME} and $__env{NAME}, then $__file{PATH}, then $NAME. The last step also runs over what a file gave, so a secret
// with a dollar sign is changed: a trap of the real program that is kept.
type expander struct {
	env     map[string]string
	pattern *regexp.Regexp
}

func newExpander(env map[string]string) expander {
	return expander{env: env, pattern: regexp.MustCompile(`\$(|__\w+){([^}]+)}`)}
}

func (e expander) expand(value string) (string, error) {
	parts := strings.Split(value, "$$")
	for i, part := range parts {
		part, err := e.expandSetting(part)
		if err != nil {
			return "", fmt.Errorf("failed to interpolate value %q: %w", value, err)
		}
		parts[i] = os.Expand(part, func(name string) string { return e.env[name] })
	}
	return strings.Join(parts, "$"), nil
}

// expandSetting is the part that also runs over the settings: no $NAME, no $$.
func (e expander) expandSetting(value string) (string, error) {
	value, err := e.apply(value, func(kind string) bool { return kind == "" || kind == "__env" }, e.lookup)
	if err != nil {
		return "", err
	}
	return e.apply(value, func(kind string) bool { return kind == "__file" }, readSecret)
}

func (e expander) apply(s string, takes func(kind string) bool, resolve func(string) (string, error)) (string, error) {
	for _, m := range e.pattern.FindAllStringSubmatch(s, -1) {
		if !takes(m[1]) {
			continue
		}
		v, err := resolve(m[2])
		if err != nil {
			return "", err
		}
		s = strings.Replace(s, m[0], v, 1)
	}
	return s, nil
}

func (e expander) lookup(name string) (string, error) {
	if name == "HOSTNAME" && e.env[name] == "" {
		return os.Hostname()
	}
	return e.env[name], nil
}

func readSecret(path string) (string, error) {
	raw, err := os.ReadFile(path)
	return strings.TrimSpace(string(raw)), err
}
