// Command dashgen writes the Grafana dashboards of the bundle and of the profiles. Run it from the root of the module:
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
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "dashgen:", err)
		os.Exit(1)
	}
}

// run rewrites the folders of dashboards below root. A dashboard that is no longer made is removed, so that a renamed
// one does not stay behind under its old uid.
func run(root string) error {
	byFolder := map[string][]dashboards.Dashboard{}
	for _, d := range dashboards.All() {
		byFolder[d.Folder()] = append(byFolder[d.Folder()], d)
	}
	for folder, all := range byFolder {
		if err := rewrite(filepath.Join(root, filepath.FromSlash(folder)), all); err != nil {
			return err
		}
	}
	return nil
}

func rewrite(dir string, all []dashboards.Dashboard) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %q: %w", dir, err)
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return fmt.Errorf("list %q: %w", dir, err)
	}
	keep := map[string]bool{}
	for _, d := range all {
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
