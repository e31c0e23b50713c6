package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
)

// liveSources are the sources that run, each with its own end.
type liveSources struct {
	ctx  context.Context //nolint:containedctx // a source that comes later ends with those of the start
	wait sync.WaitGroup
	ends map[string]context.CancelFunc
}

func (t *topology) start(id string, s source) {
	ctx, end := context.WithCancel(t.live.ctx)
	t.live.ends[id] = end
	t.live.wait.Add(1)
	go func() {
		defer t.live.wait.Done()
		if err := s.run(ctx); err != nil {
			t.fail(fmt.Errorf("source %q: %w", id, err))
		}
	}()
}

// reloader is what SIGHUP does: it reads the files again and brings the difference about, or says why not and goes on as
// before. Vector does this for every component; the stand-in for prometheus_scrape and the transforms behind it, and
// only where nothing else differs.
type reloader struct {
	dirs, files []string
	cfg         *config
	texts       map[string]string
}

func newReloader(c *cli, cfg *config, paths []string) (*reloader, error) {
	texts, err := readAll(paths)
	return &reloader{dirs: c.dirs, files: c.files, cfg: cfg, texts: texts}, err
}

func readAll(paths []string) (map[string]string, error) {
	texts := map[string]string{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		texts[path] = string(raw)
	}
	return texts, nil
}

// difference is what a reload adds and takes away, by id.
type difference struct{ added, gone []*node }

func (r *reloader) reload(t *topology) error {
	paths, err := configPaths(r.dirs, r.files)
	if err != nil {
		return err
	}
	cfg, err := loadFiles(paths, true)
	if err != nil {
		return err
	}
	texts, err := readAll(paths)
	if err != nil {
		return err
	}
	diff, err := r.difference(cfg, texts)
	if err != nil {
		return err
	}
	if err := t.apply(cfg, diff); err != nil {
		return err
	}
	r.cfg, r.texts = cfg, texts
	return nil
}

func (r *reloader) difference(cfg *config, texts map[string]string) (difference, error) {
	diff := difference{added: without(cfg.components, r.cfg.components), gone: without(r.cfg.components, cfg.components)}
	differing := map[string]bool{}
	for _, n := range slices.Concat(diff.added, diff.gone) {
		if _, scrapes := n.conf.(*scrapeConf); !scrapes && n.kind != "transform" {
			return diff, fmt.Errorf("a reload of %s is not supported by the stand-in", n)
		}
		differing[n.file] = true
	}
	for path, text := range texts {
		if before, had := r.texts[path]; text != before && had && !differing[path] {
			return diff, fmt.Errorf("%s differs in a component of the same name: not supported by the stand-in", path)
		}
	}
	return diff, nil
}

// without lists the nodes whose id the others do not have.
func without(nodes, others []*node) []*node {
	var left []*node
	for _, n := range nodes {
		if !slices.ContainsFunc(others, func(o *node) bool { return o.id == n.id }) {
			left = append(left, n)
		}
	}
	return left
}

// acknowledged reports whether a sink somewhere behind a node acknowledges.
func acknowledged(cfg *config, n *node) bool {
	return slices.ContainsFunc(cfg.components, func(consumer *node) bool {
		conf, isSink := consumer.conf.(*sinkConf)
		return slices.Contains(consumer.from, n) && (isSink && conf.ack || !isSink && acknowledged(cfg, consumer))
	})
}

func (t *topology) apply(cfg *config, diff difference) error {
	for _, n := range diff.gone {
		if end, runs := t.live.ends[n.id]; runs {
			end()
			delete(t.live.ends, n.id)
		}
	}
	for _, n := range diff.added {
		t.part(n)
	}
	for _, n := range diff.added {
		if into := t.transformer(cfg, n); into != nil {
			t.receivers[n.id] = into
		}
	}
	for _, n := range diff.added {
		t.outputs[n].acked = acknowledged(cfg, n)
		for _, consumer := range cfg.components {
			if into := t.receivers[consumer.id]; into != nil && slices.Contains(consumer.from, n) {
				t.outputs[n].to = append(t.outputs[n].to, into)
			}
		}
	}
	for _, n := range diff.added {
		if n.kind != "source" {
			continue
		}
		s, err := newSource(cfg, t.parts[n], n.conf, t.outputs[n])
		if err != nil {
			return err
		}
		t.start(n.id, s)
	}
	return nil
}
