package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
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

// read returns a config file of the layer. The error is its cause alone.
func (l Layer) read(file string) (string, error) {
	clean := path.Clean(file)
	if !fs.ValidPath(clean) {
		return "", fmt.Errorf("%q leaves the overlay's folder", file)
	}
	raw, err := l.bytes(clean, maxConfig)
	if err != nil {
		return "", fmt.Errorf("cannot read %q: %s", file, lastCause(err))
	}
	return string(raw), nil
}

// bytes returns a file of the layer that is not larger than it should be.
func (l Layer) bytes(file string, limit int64) ([]byte, error) {
	opened, err := l.Files.Open(path.Clean(file))
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	raw, err := io.ReadAll(io.LimitReader(opened, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return raw, err
}

// maxConfig bounds a config file, because an engine takes it through its API in one piece.
const maxConfig = 8 << 20

// templated reports whether the layer's config is a template. A user's is one only on demand: [[ means something
// in TOML and in a shell.
func (l Layer) templated(extensions types.Extensions) bool {
	wanted, _ := extensions["x-template"].(bool)
	return l.Shipped || wanted
}

// documents are the layers of a project in the order they are merged.
type documents []document

// at words an error about a key of the project, with the last layer that says something there.
func (all documents) at(keys []string, format string, values ...any) *Error {
	key := strings.Join(keys, ".")
	for _, document := range slices.Backward(all) {
		if node := document.find(keys...); node != nil {
			return document.at(node, key, format, values...)
		}
	}
	return &Error{Text: key + ": " + fmt.Sprintf(format, values...), Advice: overlayAdvice, Usage: true}
}

// owner returns the layer whose folder the file at a key stands in: that of the last that names one.
func (all documents) owner(keys ...string) Layer {
	for _, document := range slices.Backward(all) {
		if document.find(keys...) != nil {
			return document.layer
		}
	}
	return Layer{Files: noFiles{}}
}

type noFiles struct{}

func (noFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// merge loads the layers as Compose merges files.
func merge(ctx context.Context, name string, environment types.Mapping, layers []Layer) (*types.Project, documents, error) {
	all := make(documents, 0, len(layers))
	files := make([]types.ConfigFile, 0, len(layers))
	for _, layer := range layers {
		raw, err := layer.bytes(layer.File, maxDocument)
		if err != nil {
			return nil, nil, &Error{Text: fmt.Sprintf("cannot read %s: %s", layer.Name, lastCause(err)), Advice: "look at its path", Err: err, Usage: !layer.Shipped}
		}
		document, err := parseDocument(layer, raw, environment)
		if err != nil {
			return nil, nil, err
		}
		if !layer.Shipped {
			if raw, err = document.checked(); err != nil {
				return nil, nil, err
			}
		}
		all, files = append(all, document), append(files, types.ConfigFile{Filename: layer.Name, Content: raw})
	}
	project, err := loadFiles(ctx, name, environment, files)
	if err != nil {
		return nil, nil, blame(ctx, name, environment, all, files, err)
	}
	project.ComposeFiles = []string{"docker-telemetry/compose.yaml"}
	return project, all, nil
}

func loadFiles(ctx context.Context, name string, environment types.Mapping, files []types.ConfigFile) (*types.Project, error) {
	return loader.LoadWithContext(ctx, types.ConfigDetails{WorkingDir: "/", Environment: environment, ConfigFiles: files}, func(o *loader.Options) {
		o.SetProjectName(name, true)
		// Paths in the bundle name embedded files; on a Windows client resolving would also turn /proc into C:\proc.
		o.ResolvePaths = false
		o.ResourceLoaders = []loader.ResourceLoader{extendedFiles{}}
	})
}

// extendedFiles finds a file that a service extends by the whole path that checked gave it. Compose's own loader would
// make the paths in that file relative to the root folder, and read them from wherever the caller stands.
type extendedFiles struct{}

func (extendedFiles) Accept(file string) bool { return filepath.IsAbs(file) }

func (extendedFiles) Load(_ context.Context, file string) (string, error) { return file, nil }

func (extendedFiles) Dir(file string) string { return filepath.Dir(file) }

// blame finds the layer that breaks the project and says where in it. Compose names a key of the merged project and no
// file. It is the first layer up to which the same is said; where another breaks earlier, the first that breaks: a later
// one may have mended that.
func blame(ctx context.Context, name string, environment types.Mapping, all documents, files []types.ConfigFile, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	breaks, cause := -1, err
	for i := range files {
		_, partErr := loadFiles(ctx, name, environment, files[:i+1])
		if partErr != nil && partErr.Error() == err.Error() {
			breaks, cause = i, partErr
			break
		}
		if partErr != nil && breaks < 0 {
			breaks, cause = i, partErr
		}
	}
	if breaks < 0 || all[breaks].layer.Shipped {
		return fmt.Errorf("load %s: %w", all[max(breaks, 0)].layer.Name, cause)
	}
	return all[breaks].explain(cause, all[:breaks])
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

func appendConfigArguments(project *types.Project, all documents) error {
	for name, service := range project.Services {
		raw, said := service.Extensions["x-config-args"].(map[string]any)
		if !said {
			continue
		}
		prefix, _ := raw["prefix"].(string)
		folder, _ := raw["folder"].(string)
		args := configArguments{prefix: prefix, folder: strings.TrimSuffix(folder, "/") + "/"}
		if prefix == "" || folder == "" {
			return all.at([]string{"services", name, "x-config-args"}, "set prefix and folder")
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
