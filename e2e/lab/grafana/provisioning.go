package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// state is what provisioning leaves behind: the stand-in has no other source of data sources and dashboards.
type state struct {
	datasources []datasource
	dashboards  []dashboard
}

type datasource struct {
	ID              int64             `yaml:"-"`
	OrgID           int64             `yaml:"orgId"`
	Version         int               `yaml:"version"`
	Name            string            `yaml:"name"`
	UID             string            `yaml:"uid"`
	Type            string            `yaml:"type"`
	Access          string            `yaml:"access"`
	URL             string            `yaml:"url"`
	User            string            `yaml:"user"`
	Database        string            `yaml:"database"`
	BasicAuth       bool              `yaml:"basicAuth"`
	BasicAuthUser   string            `yaml:"basicAuthUser"`
	WithCredentials bool              `yaml:"withCredentials"`
	IsDefault       bool              `yaml:"isDefault"`
	IsPrunable      bool              `yaml:"isPrunable"`
	Editable        bool              `yaml:"editable"`
	JSONData        map[string]any    `yaml:"jsonData"`
	SecureJSONData  map[string]string `yaml:"secureJsonData"`
	Correlations    []any             `yaml:"correlations"`
	APIVersion      string            `yaml:"apiVersion"`
}

type datasourceFile struct {
	APIVersion        int          `yaml:"apiVersion"`
	Prune             bool         `yaml:"prune"`
	Datasources       []datasource `yaml:"datasources"`
	DeleteDatasources []struct {
		OrgID int64  `yaml:"orgId"`
		Name  string `yaml:"name"`
	} `yaml:"deleteDatasources"`
}

type provider struct {
	Name                  string `yaml:"name"`
	Type                  string `yaml:"type"`
	OrgID                 int64  `yaml:"orgId"`
	Folder                string `yaml:"folder"`
	FolderUID             string `yaml:"folderUid"`
	Editable              bool   `yaml:"editable"`
	DisableDeletion       bool   `yaml:"disableDeletion"`
	AllowUIUpdates        bool   `yaml:"allowUiUpdates"`
	UpdateIntervalSeconds int64  `yaml:"updateIntervalSeconds"`
	Options               struct {
		Path                      string `yaml:"path"`
		FoldersFromFilesStructure bool   `yaml:"foldersFromFilesStructure"`
	} `yaml:"options"`
}

type providerFile struct {
	APIVersion int        `yaml:"apiVersion"`
	Providers  []provider `yaml:"providers"`
}

type dashboard struct {
	ID           int
	UID, Title   string
	Tags         []string
	Folder, File string
	Provider     string
	JSON         map[string]any
}

var errTwoDefaults = errors.New("datasource.yaml config is invalid. Only one datasource per organization can be marked as default")

// provision reads both kinds of file. What stops Grafana is an error; what Grafana logs and skips is logged and skipped.
func provision(cfg config, log *slog.Logger) (state, error) {
	var st state
	ex := newExpander(cfg.env)
	ds, err := readDatasources(filepath.Join(cfg.provisionDir, "datasources"), ex, log)
	if err != nil {
		return st, fmt.Errorf("datasource provisioning error: %w", err)
	}
	st.datasources = ds
	providers, err := readProviders(filepath.Join(cfg.provisionDir, "dashboards"), ex, log)
	if err != nil {
		return st, fmt.Errorf("dashboard provisioning error: %w", err)
	}
	st.dashboards = readDashboards(providers, log)
	return st, nil
}

// yamlFiles calls read with each YAML file of a folder, in order of name. A missing folder is logged only.
func yamlFiles(dir string, log *slog.Logger, read func(path string, raw []byte) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		log.Error("can't read provisioning files from directory", "path", dir, "error", err)
		return nil
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".yaml") && !strings.HasSuffix(e.Name(), ".yml") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := read(path, raw); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// decodeFile expands every text value, then decodes with unknown fields refused: Grafana ignores a mistyped field,
// which is the error that a lab is for.
func decodeFile(raw []byte, ex expander, out any) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return err
	}
	if doc.Kind == 0 {
		return nil
	}
	if err := expandNode(&doc, ex, false); err != nil {
		return err
	}
	var again bytes.Buffer
	if err := yaml.NewEncoder(&again).Encode(&doc); err != nil {
		return err
	}
	dec := yaml.NewDecoder(&again)
	dec.KnownFields(true)
	if err := dec.Decode(out); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// expandNode expands values, not keys. keepText is for jsonData and secureJsonData, where the result stays text;
// elsewhere `isDefault: ${X}` may become a boolean.
func expandNode(n *yaml.Node, ex expander, keepText bool) error {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.ShortTag() != "!!str" || !strings.Contains(n.Value, "$") {
			return nil
		}
		v, err := ex.expand(n.Value)
		if err != nil {
			return err
		}
		n.Value = v
		if keepText {
			n.Style = yaml.DoubleQuotedStyle
			return nil
		}
		n.Tag, n.Style = "", 0
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			key := n.Content[i-1].Value
			if err := expandNode(n.Content[i], ex, keepText || key == "jsonData" || key == "secureJsonData"); err != nil {
				return err
			}
		}
	default:
		for _, c := range n.Content {
			if err := expandNode(c, ex, keepText); err != nil {
				return err
			}
		}
	}
	return nil
}

func readDatasources(dir string, ex expander, log *slog.Logger) ([]datasource, error) {
	var all []datasource
	err := yamlFiles(dir, log, func(_ string, raw []byte) error {
		var file datasourceFile
		if err := decodeFile(raw, ex, &file); err != nil {
			return err
		}
		if len(file.Datasources) > 0 && file.APIVersion != 1 {
			return fmt.Errorf("apiVersion %d: the lab stand-in wants 1", file.APIVersion)
		}
		for _, ds := range file.Datasources {
			if err := ds.check(log); err != nil {
				return fmt.Errorf("failed to provision %q data source: %w", ds.Name, err)
			}
			ds.ID = int64(len(all) + 1)
			all = append(all, ds)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, checkUnique(all)
}

// check refuses what cannot work and fills in Grafana's defaults.
func (ds *datasource) check(log *slog.Logger) error {
	if ds.Name == "" {
		return errors.New("name is missing")
	}
	if !slices.Contains(coreDatasources(), ds.Type) {
		return fmt.Errorf("data source type %q is not installed", ds.Type)
	}
	if ds.OrgID == 0 {
		ds.OrgID = 1
	}
	if ds.OrgID != 1 {
		return fmt.Errorf("org %d does not exist", ds.OrgID)
	}
	switch ds.Access {
	case "":
		ds.Access = "proxy"
	case "proxy", "direct":
	default:
		log.Warn("invalid access value, will use 'proxy' instead", "value", ds.Access)
		ds.Access = "proxy"
	}
	if ds.UID == "" {
		// Grafana derives it from the name, so that it is the same on every start.
		ds.UID = fmt.Sprintf("P%X", sha256.Sum256([]byte(ds.Name)))[:17]
	}
	if len(ds.UID) > 40 {
		return fmt.Errorf("uid %q is longer than 40 characters", ds.UID)
	}
	if _, err := url.ParseRequestURI(ds.URL); err != nil && ds.Type == "prometheus" {
		return fmt.Errorf("invalid data source URL: %w", err)
	}
	return nil
}

// coreDatasources are the types that are part of the Grafana 13.1 image.
func coreDatasources() []string {
	return []string{
		"alertmanager", "azuremonitor", "cloudwatch", "elasticsearch", "grafana-azure-monitor-datasource",
		"grafana-postgresql-datasource", "grafana-pyroscope-datasource", "grafana-testdata-datasource", "graphite", "influxdb",
		"jaeger", "loki", "mssql", "mysql", "opentsdb", "parca", "prometheus", "stackdriver", "tempo", "zipkin",
	}
}

func checkUnique(all []datasource) error {
	names, uids := map[string]bool{}, map[string]bool{}
	defaults := 0
	for _, ds := range all {
		if names[ds.Name] {
			return fmt.Errorf("data source name %q is used twice", ds.Name)
		}
		if uids[ds.UID] {
			return fmt.Errorf("data source uid %q is used twice", ds.UID)
		}
		names[ds.Name], uids[ds.UID] = true, true
		if ds.IsDefault {
			defaults++
		}
	}
	if defaults > 1 {
		return errTwoDefaults
	}
	return nil
}

func readProviders(dir string, ex expander, log *slog.Logger) ([]provider, error) {
	var all []provider
	names := map[string]bool{}
	err := yamlFiles(dir, log, func(_ string, raw []byte) error {
		var file providerFile
		if err := decodeFile(raw, ex, &file); err != nil {
			return fmt.Errorf("could not parse provisioning config file: %w", err)
		}
		if len(file.Providers) > 0 && file.APIVersion != 1 {
			return fmt.Errorf("apiVersion %d: the lab stand-in wants 1", file.APIVersion)
		}
		for _, p := range file.Providers {
			switch {
			case p.Type != "" && p.Type != "file":
				return fmt.Errorf("type %s is not supported", p.Type)
			case p.Options.Path == "":
				return errors.New("failed to load dashboards, path param is not a string")
			case names[p.Name]:
				return fmt.Errorf("provisioning config of provider %q is used twice", p.Name)
			}
			names[p.Name] = true
			all = append(all, p)
		}
		return nil
	})
	return all, err
}

// readDashboards loads what is sound. Grafana starts with broken dashboards too and says so in its log.
func readDashboards(providers []provider, log *slog.Logger) []dashboard {
	var all []dashboard
	uids, titles := map[string]string{}, map[string]string{}
	for _, p := range providers {
		for _, file := range dashboardFiles(p, log) {
			d, err := readDashboard(file)
			if err != nil {
				log.Error("failed to load dashboard from ", "file", file, "error", err)
				continue
			}
			d.Folder, d.Provider = p.Folder, p.Name
			if other, taken := uids[d.UID]; taken {
				log.Error("the same uid is used more than once", "uid", d.UID, "file", file, "other", other)
				continue
			}
			if other, taken := titles[d.Folder+"\x00"+d.Title]; taken {
				log.Error("dashboard title is not unique in folder", "title", d.Title, "file", file, "other", other)
				continue
			}
			uids[d.UID], titles[d.Folder+"\x00"+d.Title] = file, file
			d.ID = len(all) + 1
			all = append(all, d)
		}
	}
	return all
}

func dashboardFiles(p provider, log *slog.Logger) []string {
	var files []string
	root, err := filepath.EvalSymlinks(p.Options.Path)
	if err != nil {
		log.Error("Cannot read directory", "error", err)
		return nil
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, ".json"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		log.Error("failed to search for dashboards", "error", err)
	}
	return files
}

func readDashboard(file string) (dashboard, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return dashboard{}, err
	}
	d, err := parseDashboard(raw)
	d.File = file
	return d, err
}

// parseDashboard refuses an untitled dashboard, and two things that Grafana loads but that cannot work: no uid, which
// would differ on every machine, and inputs of an export, which only the import dialogue resolves.
func parseDashboard(raw []byte) (dashboard, error) {
	var d dashboard
	if err := json.Unmarshal(raw, &d.JSON); err != nil {
		return d, err
	}
	var head struct {
		UID    string   `json:"uid"`
		Title  string   `json:"title"`
		Tags   []string `json:"tags"`
		Inputs []any    `json:"__inputs"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return d, err
	}
	switch {
	case d.JSON == nil:
		return d, errors.New("dashboard is not an object")
	case strings.TrimSpace(head.Title) == "":
		return d, errors.New("dashboard title cannot be empty")
	case head.UID == "":
		return d, errors.New("dashboard has no uid")
	case len(head.UID) > 40:
		return d, errors.New("uid too long, max 40 characters")
	case len(head.Inputs) > 0 || bytes.Contains(raw, []byte("${DS_")):
		return d, errors.New("dashboard has unresolved inputs (${DS_...}): export it without \"share externally\"")
	}
	d.UID, d.Title, d.Tags = head.UID, head.Title, head.Tags
	return d, nil
}
