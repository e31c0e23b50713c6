package stack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"

	"github.com/docker-telemetry/docker-telemetry/internal/version"
)

// Settings is all that a load depends on: the same settings give the same project, on every machine.
type Settings struct {
	Name         string            // of the stack, and so of the Compose project
	Bind         string            // address on the engine's host that the gateway is published on
	Port         int               // its port
	DockerSocket string            // path of the socket on the engine's host
	Host         string            // what the engine calls itself; becomes the label `instance` and the field `host`
	Scale        map[string]int    // replicas by component; absent means the bundle's default
	Secrets      map[string]string // content by the name used in compose.yaml
	EngineAPI    string            // API version of the engine, for example "1.41"
	Options      map[string]string // choices of profiles; compose files have them as ${OPTION_NAME}
	Volumes      map[string]string // names of volumes on the engine by their key, where a restore chose another
	Keep         Keep              // how long the stores keep their data
	Guard        Guard             // from when on they take no more
	Layers       []Layer           // merged onto the base in this order: profiles, then the user's overlays
}

// Keep is how long the stores keep their data; a zero field is the bundle's default.
type Keep struct {
	Metrics  string // as VictoriaMetrics takes it: "30d"
	LogsDays int    // of logs and traces, for streams of OpenObserve without a setting of their own
}

// Guard is how full a disk may be before the stores take no more; a zero field is the bundle's default.
type Guard struct {
	MetricsFree    int64 // bytes that VictoriaMetrics leaves free
	LogsPercent    int   // of its disk that may be used before OpenObserve refuses
	CacheMegabytes int64 // of each of OpenObserve's caches
}

func (g Guard) into(environment types.Mapping) {
	for name, value := range map[string]int64{
		"DISK_METRICS_FREE": g.MetricsFree, "DISK_LOGS_PERCENT": int64(g.LogsPercent), "DISK_CACHE_MB": g.CacheMegabytes,
	} {
		if value > 0 {
			environment[name] = strconv.FormatInt(value, 10)
		}
	}
}

// startIntervalAPI is the first API version with healthcheck.start_interval (Engine 25). Compose refuses the
// attribute on older ones.
const startIntervalAPI = "1.44"

// Load reads the bundle into a Compose project in memory. Nothing of the caller's environment, `.env` or
// COMPOSE_* variables takes part: interpolation sees the image pins and the settings only.
func Load(ctx context.Context, bundle fs.FS, settings Settings) (*types.Project, error) {
	environment, err := environmentOf(bundle, settings)
	if err != nil {
		return nil, err
	}
	base := Layer{Name: "the bundle", File: "compose.yaml", Files: bundle, Shipped: true}
	layers := append([]Layer{base}, settings.Layers...)
	project, all, err := merge(ctx, settings.Name, environment, layers)
	if err != nil {
		return nil, err
	}
	project = dropWithoutService(project)
	if err := appendConfigArguments(project, all); err != nil {
		return nil, err
	}
	if err := checkUIs(project, all); err != nil {
		return nil, err
	}
	if err := inlineConfigs(project, all, settings); err != nil {
		return nil, err
	}
	if err := inlineSecrets(project, all, settings.Secrets); err != nil {
		return nil, err
	}
	finishServices(project, settings)
	if err := checkReplicas(project, settings.Scale, all); err != nil {
		return nil, err
	}
	if err := checkPublished(project, all); err != nil {
		return nil, err
	}
	nameVolumes(project, settings.Volumes)
	labelResources(project)
	return project, nil
}

func environmentOf(bundle fs.FS, settings Settings) (types.Mapping, error) {
	pins, err := Images(bundle)
	if err != nil {
		return nil, err
	}
	environment := types.Mapping{
		"TELEMETRY_BIND": settings.Bind,
		"TELEMETRY_PORT": strconv.Itoa(settings.Port),
		"DOCKER_SOCKET":  settings.DockerSocket,
	}
	maps.Copy(environment, pins)
	settings.Guard.into(environment)
	if settings.Keep.Metrics != "" {
		environment["RETENTION_METRICS"] = settings.Keep.Metrics
	}
	if settings.Keep.LogsDays > 0 {
		environment["RETENTION_LOGS_DAYS"] = strconv.Itoa(settings.Keep.LogsDays)
	}
	for name, value := range settings.Options {
		environment["OPTION_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = value
	}
	return environment, nil
}

// Images returns the bundle's image pins by their variable, for example "AGENT_IMAGE".
func Images(bundle fs.FS) (map[string]string, error) {
	raw, err := fs.ReadFile(bundle, "images.env")
	if err != nil {
		return nil, fmt.Errorf("read the image pins: %w", err)
	}
	pins, err := dotenv.UnmarshalBytesWithLookup(raw, nil)
	if err != nil {
		return nil, fmt.Errorf("read the image pins: %w", err)
	}
	return pins, nil
}

// inlineConfigs renders each config and puts its text into the project.
func inlineConfigs(project *types.Project, all documents, settings Settings) error {
	data, err := templateData(project, settings)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(project.Configs)) {
		config := project.Configs[name]
		what, content := "content", config.Content
		if config.File != "" {
			what = "file"
			if content, err = all.owner("configs", name, "file").read(config.File); err != nil {
				return all.at([]string{"configs", name, "file"}, "%s", err)
			}
		}
		if all.owner("configs", name, what).templated(config.Extensions) {
			if content, err = renderConfig(content, data); err != nil {
				return all.at([]string{"configs", name, what}, "its template, %s", templateCause(err))
			}
		}
		config.Content, config.File = content, ""
		project.Configs[name] = config
	}
	return nil
}

// templateData is what a config file can ask for.
func templateData(project *types.Project, settings Settings) (map[string]any, error) {
	uis, err := UIs(project)
	return map[string]any{"Project": settings.Name, "Host": settings.Host, "UIs": uis, "services": project.Services}, err
}

// templateCause is what text/template complains about, without the names that it gives things.
func templateCause(err error) string {
	found := templateError().FindStringSubmatch(err.Error())
	if found == nil {
		return err.Error()
	}
	return "line " + found[1] + ": " + found[2]
}

func renderConfig(text string, data map[string]any) (string, error) {
	services, _ := data["services"].(types.Services)
	parsed, err := template.New("text").Delims("[[", "]]").Option("missingkey=error").Funcs(template.FuncMap{
		"vrl": vrlString,
		"has": func(service string) bool { _, there := services[service]; return there },
	}).Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, data)
	return out.String(), err
}

// vrlString quotes a string so that it is one VRL literal inside a YAML block. JSON's quoting is not enough: VRL knows
// few escapes (not \u003c) and reads {{ as a template; YAML takes no control characters and ends the line at U+0085.
func vrlString(text string) string {
	text = strings.Map(func(char rune) rune {
		switch {
		case unicode.IsControl(char), char == '\u2028', char == '\u2029', char == '\ufeff', char == '\ufffe', char == '\uffff':
			return unicode.ReplacementChar
		default:
			return char
		}
	}, text)
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "{{", `\{{`).Replace(text) + `"`
}

func inlineSecrets(project *types.Project, all documents, contents map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(project.Secrets)) {
		secret := project.Secrets[name]
		content, err := secretContent(name, secret, all, contents)
		if err != nil {
			return err
		}
		// `environment` stays set: without it the SDK looks for a file of the secret's name and warns.
		secret.Content, secret.File, secret.Environment = content, "", name
		project.Secrets[name] = secret
	}
	return nil
}

// secretContent finds a secret where its definition says: made by us, in a file of its layer, or put together from
// others by x-content.
func secretContent(name string, secret types.SecretConfig, all documents, contents map[string]string) (string, error) {
	if text, composed := secret.Extensions["x-content"].(string); composed {
		content, err := composeSecret(text, contents)
		if err != nil {
			return "", all.at([]string{"secrets", name, "x-content"}, "%s", err)
		}
		return content, nil
	}
	if secret.File != "" {
		content, err := all.owner("secrets", name, "file").read(secret.File)
		if err != nil {
			return "", all.at([]string{"secrets", name, "file"}, "%s", err)
		}
		return content, nil
	}
	content, known := contents[name]
	if !known || content == "" {
		refusal := all.at([]string{"secrets", name}, "it has no content")
		if refusal.Usage {
			refusal.Advice = "your shell's variables take no part; give it a file: file: ./" + name
		}
		return "", refusal
	}
	return content, nil
}

func composeSecret(text string, contents map[string]string) (string, error) {
	var unknown string
	parsed, err := template.New("text").Delims("[[", "]]").Funcs(template.FuncMap{"secret": func(other string) (string, error) {
		if contents[other] == "" {
			unknown = other
			return "", errNoSecret
		}
		return contents[other], nil
	}}).Parse(text)
	if err != nil {
		return "", errors.New("its template, " + templateCause(err))
	}
	var out strings.Builder
	err = parsed.Execute(&out, nil)
	if errors.Is(err, errNoSecret) {
		return "", fmt.Errorf("there is no secret %q", unknown)
	}
	if err != nil {
		return "", errors.New("its template, " + templateCause(err))
	}
	return out.String(), nil
}

var errNoSecret = errors.New("there is no such secret")

func finishServices(project *types.Project, settings Settings) {
	for name, service := range project.Services {
		if replicas, set := settings.Scale[name]; set {
			service.SetScale(replicas)
		}
		if service.HealthCheck != nil && atLeast(settings.EngineAPI, startIntervalAPI) {
			quick, calm := types.Duration(time.Second), types.Duration(15*time.Second)
			service.HealthCheck.StartInterval, service.HealthCheck.Interval = &quick, &calm
		}
		if service.Labels == nil {
			service.Labels = types.Labels{}
		}
		service.Labels[StackLabel] = project.Name
		service.Labels[ComponentLabel] = name
		if ui, _, err := uiOf(name, service); err == nil && ui.Path != "" {
			service.Labels[UILabel] = ui.label()
		}
		service.Labels[ConfigDigestLabel] = configDigest(project, service)
		// The SDK's own file loader sets these; without them `up` makes containers that it cannot find again.
		service.CustomLabels = types.Labels{
			api.ProjectLabel:     project.Name,
			api.ServiceLabel:     name,
			api.VersionLabel:     api.ComposeVersion,
			api.WorkingDirLabel:  "/",
			api.ConfigFilesLabel: strings.Join(project.ComposeFiles, ","),
			api.OneoffLabel:      "False",
			// Not in Labels: a new release of the plugin alone must not recreate containers.
			VersionLabel: version.Version,
		}
		project.Services[name] = service
	}
}

// configDigest covers what Compose's own hash leaves out: the content of the configs and secrets a service mounts.
func configDigest(project *types.Project, service types.ServiceConfig) string {
	hash := sha256.New()
	add := func(target, content string) {
		fmt.Fprintf(hash, "%d:%s%d:%s", len(target), target, len(content), content)
	}
	for _, mount := range slices.SortedFunc(slices.Values(service.Configs), func(a, b types.ServiceConfigObjConfig) int {
		return strings.Compare(a.Target, b.Target)
	}) {
		add(mount.Target, project.Configs[mount.Source].Content)
	}
	for _, mount := range slices.SortedFunc(slices.Values(service.Secrets), func(a, b types.ServiceSecretConfig) int {
		return strings.Compare(a.Source, b.Source)
	}) {
		// A new certificate is brought into the running gateway (RotateCertificate), which is not recreated for it.
		if mount.Source == certificateSecret || mount.Source == keySecret {
			continue
		}
		add(mount.Source, project.Secrets[mount.Source].Content)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// nameVolumes gives volumes the names that a restore chose; those of others stay what Compose makes of their keys.
func nameVolumes(project *types.Project, names map[string]string) {
	for key, name := range names {
		volume, known := project.Volumes[key]
		if !known || bool(volume.External) {
			continue
		}
		volume.Name = name
		project.Volumes[key] = volume
	}
}

func labelResources(project *types.Project) {
	for name, volume := range project.Volumes {
		volume.Labels = withStack(volume.Labels, project.Name)
		project.Volumes[name] = volume
	}
	for name, network := range project.Networks {
		network.Labels = withStack(network.Labels, project.Name)
		project.Networks[name] = network
	}
}

func withStack(labels types.Labels, name string) types.Labels {
	if labels == nil {
		labels = types.Labels{}
	}
	labels[StackLabel] = name
	return labels
}

// atLeast compares two "major.minor" API versions; an unreadable one counts as old.
func atLeast(have, want string) bool {
	haveMajor, haveMinor, ok := splitAPI(have)
	if !ok {
		return false
	}
	wantMajor, wantMinor, _ := splitAPI(want)
	return haveMajor > wantMajor || haveMajor == wantMajor && haveMinor >= wantMinor
}

func splitAPI(text string) (major, minor int, ok bool) {
	left, right, found := strings.Cut(text, ".")
	major, errMajor := strconv.Atoi(left)
	minor, errMinor := strconv.Atoi(right)
	return major, minor, found && errMajor == nil && errMinor == nil
}

func templateError() *regexp.Regexp {
	return regexp.MustCompile(`(?s)^template: text:(\d+)(?::\d+)?: (?:executing "text" at )?(.*)$`)
}
