package stack

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// YAML renders a project as a compose file for people. Secrets stay out: each shows its name only.
func YAML(project *types.Project) ([]byte, error) {
	shown := *project
	shown.Secrets = types.Secrets{}
	for name := range project.Secrets {
		shown.Secrets[name] = types.SecretConfig{Environment: name}
	}
	text, err := shown.MarshalYAML()
	if err != nil {
		return nil, fmt.Errorf("write the project as YAML: %w", err)
	}
	return escapeDollars(text), nil
}

// escapeDollars keeps a value's own dollar from being read as a variable when the file is loaded again.
func escapeDollars(text []byte) []byte { return bytes.ReplaceAll(text, []byte("$"), []byte("$$")) }

// Eject writes a project to a new or empty folder as plain files that `docker compose up` runs alone: compose.yaml,
// config/ and secrets/. Secrets are bind-mounted, where Compose ignores uid and mode, so the files are readable to
// all inside a folder that only its owner can enter.
func Eject(project *types.Project, dir string) error {
	if err := emptyDir(dir); err != nil {
		return err
	}
	plain := *project
	plain.Configs, plain.Secrets, plain.Services = types.Configs{}, types.Secrets{}, types.Services{}
	for name, service := range project.Services {
		plain.Services[name] = ejectService(service)
	}
	extensions := configExtensions(project)
	for name, config := range project.Configs {
		file := filepath.Join("config", name+extensions[name])
		if err := writeNew(dir, file, config.Content, 0o755, 0o644); err != nil {
			return err
		}
		plain.Configs[name] = types.ConfigObjConfig{File: "./" + filepath.ToSlash(file)}
	}
	for name, secret := range project.Secrets {
		file := filepath.Join("secrets", name)
		if err := writeNew(dir, file, secret.Content, 0o700, 0o444); err != nil {
			return err
		}
		plain.Secrets[name] = types.SecretConfig{File: "./" + filepath.ToSlash(file)}
	}
	text, err := plain.MarshalYAML()
	if err != nil {
		return fmt.Errorf("write the project as YAML: %w", err)
	}
	return writeNew(dir, "compose.yaml", string(escapeDollars(text)), 0o755, 0o644)
}

func ejectService(service types.ServiceConfig) types.ServiceConfig {
	labels := types.Labels{}
	for key, value := range service.Labels {
		// The digest would go stale with the first edit.
		if key != ConfigDigestLabel {
			labels[key] = value
		}
	}
	service.Labels, service.CustomLabels = labels, nil
	service.Secrets = slices.Clone(service.Secrets)
	for i := range service.Secrets {
		service.Secrets[i].UID, service.Secrets[i].GID, service.Secrets[i].Mode = "", "", nil
	}
	return service
}

// configExtensions gives each config the extension of the file it becomes in its container.
func configExtensions(project *types.Project) map[string]string {
	extensions := map[string]string{}
	for _, service := range project.Services {
		for _, mount := range service.Configs {
			extensions[mount.Source] = filepath.Ext(mount.Target)
		}
	}
	return extensions
}

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return &Error{Text: fmt.Sprintf("cannot make folder %q: %s", dir, lastCause(err)), Advice: "choose a folder you can write", Err: err}
		}
		return nil
	}
	if err != nil {
		return &Error{Text: fmt.Sprintf("cannot use %q as a folder: %s", dir, lastCause(err)), Advice: "choose a new folder", Err: err}
	}
	if len(entries) > 0 {
		return &Error{Text: fmt.Sprintf("folder %q is not empty", dir), Advice: "choose a new folder; nothing is ever overwritten"}
	}
	return nil
}

func writeNew(dir, file, content string, dirMode, fileMode os.FileMode) error {
	target := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(target), dirMode); err != nil {
		return fmt.Errorf("make the folder of %q: %w", target, err)
	}
	if err := os.WriteFile(target, []byte(content), fileMode); err != nil {
		return fmt.Errorf("write %q: %w", target, err)
	}
	return nil
}
