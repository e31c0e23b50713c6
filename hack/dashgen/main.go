// Command dashgen writes the Grafana dashboards of the bundle. Run it from the root of the module:
//
//	go run ./hack/dashgen
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/docker-telemetry/docker-telemetry/internal/dashboards"
)

func main() {
	if err := run(dashboards.Dir); err != nil {
		fmt.Fprintln(os.Stderr, "dashgen:", err)
		os.Exit(1)
	}
}

// run rewrites dir. A dashboard that is no longer made is removed, so that a renamed one does not
// stay behind under its old uid.
func run(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %q: %w", dir, err)
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return fmt.Errorf("list %q: %w", dir, err)
	}
	keep := map[string]bool{}
	for _, d := range dashboards.All() {
		path := filepath.Join(dir, d.FileName())
		keep[path] = true
		content, err := d.JSON()
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return fmt.Errorf("write %q: %w", path, err)
		}
	}
	for _, path := range old {
		if keep[path] {
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove %q: %w", path, err)
		}
	}
	return nil
}
