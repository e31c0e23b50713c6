package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// Layer is one compose file of a project, with the folder that its config files stand in.
type Layer struct {
	Name    string // for errors: "profile otel", or the path that the user gave
	File    string // in Files
	Files   fs.FS
	Dir     string // Files on the user's disk, "" for an embedded one
	Shipped bool   // ours: its config files are templates, and it may do what a user's layer may not
}

// read returns a file of the layer; key is the place that names it.
func (l Layer) read(key, file string) (string, error) {
	clean := path.Clean(file)
	if !fs.ValidPath(clean) {
		return "", &Error{
			Text:   fmt.Sprintf("%s: %s: %q leaves the folder of the overlay", l.Name, key, file),
			Advice: "put the file beside the overlay", Usage: true,
		}
	}
	opened, err := l.Files.Open(clean)
	if err == nil {
		defer opened.Close()
		// Bounded, because an engine takes a config through its API in one piece.
		raw, readErr := io.ReadAll(io.LimitReader(opened, maxConfig+1))
		if readErr == nil && len(raw) <= maxConfig {
			return string(raw), nil
		}
		err = readErr
		if err == nil {
			err = fmt.Errorf("it has more than %d bytes", maxConfig)
		}
	}
	return "", &Error{
		Text: fmt.Sprintf("%s: %s: cannot read %q: %s", l.Name, key, file, lastCause(err)), Advice: "put the file beside the overlay", Err: err, Usage: true,
	}
}

const maxConfig = 8 << 20

// templated reports whether the layer's config file is a template. A user's is one only on demand: [[ means something
// in TOML and in a shell.
func (l Layer) templated(extensions types.Extensions) bool {
	wanted, _ := extensions["x-template"].(bool)
	return l.Shipped || wanted
}

// owners says which layer's folder the file of each config and secret stands in: that of the last that names one.
type owners struct{ configs, secrets map[string]Layer }

// merge loads the layers as Compose merges files.
func merge(ctx context.Context, name string, environment types.Mapping, layers []Layer) (*types.Project, owners, error) {
	found := owners{configs: map[string]Layer{}, secrets: map[string]Layer{}}
	files := make([]types.ConfigFile, 0, len(layers))
	for _, layer := range layers {
		raw, err := fs.ReadFile(layer.Files, path.Clean(layer.File))
		if err != nil {
			return nil, found, &Error{Text: fmt.Sprintf("cannot read %s: %s", layer.Name, lastCause(err)), Advice: "look at its path", Err: err, Usage: !layer.Shipped}
		}
		document, err := parseDocument(layer, raw)
		if err != nil {
			return nil, found, err
		}
		for section, of := range map[string]map[string]Layer{"configs": found.configs, "secrets": found.secrets} {
			for _, key := range document.withFile(section) {
				of[key] = layer
			}
		}
		if !layer.Shipped {
			if raw, err = document.checked(environment); err != nil {
				return nil, found, err
			}
		}
		files = append(files, types.ConfigFile{Filename: layer.Name, Content: raw})
	}
	project, err := loadFiles(ctx, name, environment, files)
	if err != nil {
		return nil, found, blame(ctx, name, environment, layers, files, err)
	}
	project.ComposeFiles = []string{"docker-telemetry/compose.yaml"}
	return project, found, nil
}

func loadFiles(ctx context.Context, name string, environment types.Mapping, files []types.ConfigFile) (*types.Project, error) {
	return loader.LoadWithContext(ctx, types.ConfigDetails{WorkingDir: "/", Environment: environment, ConfigFiles: files}, func(o *loader.Options) {
		o.SetProjectName(name, true)
		// Paths in the bundle name embedded files; on a Windows client resolving would also turn /proc into C:\proc.
		o.ResolvePaths = false
	})
}

// blame finds the layer that breaks the project, the first without which it loads, and says where in it. Compose names
// a key of the merged project and no file.
func blame(ctx context.Context, name string, environment types.Mapping, layers []Layer, files []types.ConfigFile, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i := 1; i <= len(files); i++ {
		_, partErr := loadFiles(ctx, name, environment, files[:i])
		if partErr == nil {
			continue
		}
		if layers[i-1].Shipped {
			return fmt.Errorf("load %s: %w", layers[i-1].Name, partErr)
		}
		document, parseErr := parseDocument(layers[i-1], files[i-1].Content)
		if parseErr != nil {
			return parseErr
		}
		return document.explain(partErr)
	}
	return fmt.Errorf("load the project: %w", err)
}

// dropWithoutService takes out what is about a service that the project does not have: configs that say so by x-for,
// then every config, secret, volume and network that nothing uses.
func dropWithoutService(project *types.Project) *types.Project {
	gone := map[string]bool{}
	for name, config := range project.Configs {
		about, said := config.Extensions["x-for"].(string)
		if _, there := project.Services[about]; said && !there {
			gone[name] = true
		}
	}
	for name, service := range project.Services {
		service.Configs = slices.DeleteFunc(slices.Clone(service.Configs), func(mount types.ServiceConfigObjConfig) bool { return gone[mount.Source] })
		project.Services[name] = service
	}
	return project.WithoutUnnecessaryResources()
}

// configArguments is the service extension x-config-args: one argument for each config that is mounted into a folder,
// for a program that takes its fragments as arguments.
type configArguments struct{ prefix, folder string }

func appendConfigArguments(project *types.Project) error {
	for name, service := range project.Services {
		raw, said := service.Extensions["x-config-args"].(map[string]any)
		if !said {
			continue
		}
		prefix, _ := raw["prefix"].(string)
		folder, _ := raw["folder"].(string)
		args := configArguments{prefix: prefix, folder: strings.TrimSuffix(folder, "/") + "/"}
		if prefix == "" || folder == "" {
			return fmt.Errorf("services.%s.x-config-args: set prefix and folder", name)
		}
		var targets []string
		for _, mount := range service.Configs {
			if strings.HasPrefix(mount.Target, args.folder) {
				targets = append(targets, mount.Target)
			}
		}
		slices.Sort(targets)
		service.Command = slices.Clone(service.Command)
		for _, target := range targets {
			service.Command = append(service.Command, args.prefix+target)
		}
		project.Services[name] = service
	}
	return nil
}

var errNoMapping = errors.New("it holds no mapping")
