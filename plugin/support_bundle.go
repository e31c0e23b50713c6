package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/doctor"
	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/support"
	"github.com/docker-telemetry/docker-telemetry/internal/version"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newSupportBundleCommand(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Write one archive for somebody who is to help, without secrets",
		Long: `Write one archive for somebody who is to help: versions, the engine, the
settings, the project, the containers, the end of their logs, what doctor finds
and the components' own metrics. Passwords, keys and tokens are taken out, those
that are known in every form and others by their shape; your programs' logs are
not in it, the names of your containers and folders are. Look at it before you
send it. It is made with half of the stack dead as well: MISSING.txt in it says
what could not be had. Nobody but you can read the file, and nothing is sent.`,
		Example: `  docker telemetry support-bundle
  docker telemetry support-bundle -o bundle.tar.gz`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runSupportBundle(cmd.Context(), a, output) },
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "File to write (default docker-telemetry-STACK-TIME.tar.gz)")
	return cmd
}

func runSupportBundle(ctx context.Context, a *app, output string) error {
	s, err := a.local(ctx, "support-bundle")
	if err != nil {
		return err
	}
	defer s.close()
	now := a.deps.now()
	if output == "" {
		output = fmt.Sprintf("docker-telemetry-%s-%s.tar.gz", a.name, now.UTC().Format("20060102-150405"))
	}
	fmt.Fprintln(a.deps.stderr, "collects versions, engine, settings, project, containers, the end of the components' logs, checks and metrics, without secrets")
	p, facts, err := s.look(ctx, false)
	if err != nil {
		return err
	}
	parts, err := p.bundle(ctx, facts)
	if err != nil {
		return err
	}
	redactor, err := p.redactor()
	if err != nil {
		return err
	}
	size, err := support.Write(output, parts, redactor, now)
	if err != nil {
		return &stack.Error{Text: err.Error(), Advice: "name another file: docker telemetry support-bundle -o FILE", Err: err}
	}
	s.close()
	missing := 0
	for _, part := range parts {
		if part.Err != nil {
			missing++
			fmt.Fprintf(a.deps.stderr, "missing: %s: %s\n", render.Escape(part.Name), render.Escape(string(redactor.Redact([]byte(part.Err.Error())))))
		}
	}
	whole, err := filepath.Abs(output)
	if err != nil {
		whole = output
	}
	fmt.Fprintf(a.deps.stderr, "%s in %s; look at it before you send it: tar -xzf, then CONTENTS.txt\n",
		document.Counted(len(parts)-missing, "file"), document.Size(float64(size)))
	fmt.Fprintln(a.deps.stdout, render.Escape(whole))
	return nil
}

// redactor knows every secret of the stack, and what overlays give programs under the name of one. A state that cannot be read
// is no reason to leave one in: then nothing is written.
func (p *patient) redactor() (*support.Redactor, error) {
	var secrets []string
	var logins [][2]string
	sets := []credentials.Set{p.result.Credentials}
	pending, err := credentials.Pending(p.state)
	if err == nil && pending != nil {
		sets = append(sets, pending)
	}
	for _, set := range sets {
		for _, login := range set.Logins() {
			if login.Password != "" {
				secrets = append(secrets, login.Password)
				logins = append(logins, [2]string{login.User, login.Password})
			}
		}
	}
	// Also what Read refuses, for a store may still have it.
	kept, err := p.state.Secrets()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the secrets, to leave them out: %w", err)
	}
	secrets = append(secrets, kept...)
	for _, service := range p.services() {
		for name, value := range service.Environment {
			if value != nil && support.SecretName(name) {
				secrets = append(secrets, *value)
			}
		}
	}
	return support.NewRedactor(secrets, logins), nil
}

// bundle collects the parts. What cannot be had is a part with its reason.
func (p *patient) bundle(ctx context.Context, facts doctor.Facts) ([]support.Part, error) {
	outcomes := doctor.Examine(facts)
	parts := []support.Part{
		object("versions.json", "versions of docker telemetry and of this machine", map[string]string{
			"version": version.Version, "commit": version.Commit, "go": runtime.Version(), "os": runtime.GOOS, "architecture": runtime.GOARCH,
		}, nil),
		object("doctor.json", "what doctor finds", doctorOf(p.app.name, outcomes, nil), nil),
		p.settingsPart(), p.certificatePart(),
	}
	if p.manager == nil {
		return append(parts, support.Part{Name: "engine.json", Err: errors.New(facts.Engine.Value.Problem)}), nil
	}
	parts = append(parts, object("engine.json", "the engine and its host", map[string]any{
		"engine": p.engine, "facts": facts.Engine, "memory": facts.Memory, "clocks": facts.Clocks, "disks": facts.Disks,
	}, nil))
	parts = append(parts, p.projectPart(ctx), object("containers.json", "the containers of the stack, without their environment", p.inside, nil))
	looks := make([]support.Part, len(p.inside)+1)
	err := p.each(ctx, len(looks), func(ctx context.Context, i int) {
		if i == len(p.inside) {
			looks[i] = p.metricsPart(ctx)
			return
		}
		looks[i] = p.logPart(ctx, p.inside[i])
	})
	return append(parts, looks...), err
}

func object(name, what string, value any, err error) support.Part {
	part := support.Part{Name: name, What: what, Err: err}
	if err == nil {
		part.Text, part.Err = json.MarshalIndent(value, "", "  ")
	}
	return part
}

func (p *patient) settingsPart() support.Part {
	file, err := p.state.Load()
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("this machine has no state of the stack")
	}
	images, imagesErr := settings.ReadImages(p.state)
	return object("settings.json", "what is remembered of the stack: profiles, options, replicas, port, images", map[string]any{"state": file, "images": images},
		errors.Join(err, imagesErr))
}

func (p *patient) certificatePart() support.Part {
	info, err := certs.Inspect(p.result.Certificate)
	return object("certificate.json", "the gateway's certificate, without its key", info, err)
}

func (p *patient) projectPart(ctx context.Context) support.Part {
	part := support.Part{Name: "project.yaml", What: "the project as up would run it; secrets are left out"}
	part.Text, part.Err = p.composeText(ctx, settings.Request{})
	return part
}

const bundledLines = 2000

func (p *patient) logPart(ctx context.Context, c stack.Inspection) support.Part {
	text, err := p.manager.LogTail(ctx, c.ID, bundledLines)
	return support.Part{
		Name: "logs/" + c.Name + ".log", What: fmt.Sprintf("the last %d lines of its log", bundledLines), Text: []byte(text), Err: err,
	}
}

// metricsPart are the components' metrics of themselves, as VictoriaMetrics has them now.
func (p *patient) metricsPart(ctx context.Context) support.Part {
	part := support.Part{Name: "metrics.txt", What: "the components' own metrics, as VictoriaMetrics has them"}
	store, err := p.metrics()
	if err != nil {
		part.Err = err
		return part
	}
	samples, err := store.QueryLatest(ctx, `{__name__=~"vector_(component|buffer|http_client|started|uptime).*|vm_(rows|free|data_size|storage|hourly|daily|app|slow|cache_size).*|nginx_.*"}`)
	if err != nil {
		part.Err = err
		return part
	}
	lines := make([]string, 0, len(samples))
	for _, sample := range samples {
		labels, err := json.Marshal(sample.Labels)
		if err != nil {
			part.Err = err
			return part
		}
		lines = append(lines, fmt.Sprintf("%s %g\n", labels, sample.Value))
	}
	part.Text = []byte(strings.Join(lines, ""))
	return part
}
