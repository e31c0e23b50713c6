package main

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// unmatched is the output of a route for what no condition takes.
const unmatched = "_unmatched"

// routeConf is the transform route: an event goes to each output whose condition it meets. Each output is a node of its own,
// "id.name", that others take as their input.
type routeConf struct {
	names      []string
	conditions []*program
	unmatched  bool
}

// portConf marks the node of an output.
type portConf struct{ name string }

func readRoute(o *options) *routeConf {
	c := &routeConf{unmatched: o.boolean("reroute_unmatched", true)}
	if !o.has("route") {
		o.fail("missing field %q", "route")
	}
	routes := o.sub("route")
	for _, name := range sortedKeys(routes.values) {
		if name == unmatched || name == "_default" {
			routes.fail("cannot have a named output with reserved name: `%s`", name)
		}
		c.names, c.conditions = append(c.names, name), append(c.conditions, readCondition(routes, name))
	}
	return c
}

// ports are the nodes of the outputs of a route.
func (n *node) ports() []*node {
	conf, is := n.conf.(*routeConf)
	if !is {
		return nil
	}
	names := slices.Clone(conf.names)
	if conf.unmatched {
		names = append(names, unmatched)
	}
	var ports []*node
	for _, name := range names {
		ports = append(ports, &node{id: n.id + "." + name, kind: n.kind, typ: n.typ, file: n.file, from: []*node{n}, conf: &portConf{name}})
	}
	return ports
}

// router runs a routeConf.
type router struct {
	c     *component
	conf  *routeConf
	ports map[string]*output
}

func (r *router) receive(ctx context.Context, events []event) error {
	r.c.received(events)
	out := map[string][]event{}
	for _, e := range events {
		to := r.outputs(e)
		if len(to) == 0 {
			e.ack.settle(delivered)
			continue
		}
		e.ack.hold(len(to) - 1)
		for _, name := range to {
			out[name] = append(out[name], e.clone())
		}
	}
	var errs []error
	for _, name := range sortedKeys(out) {
		errs = append(errs, r.ports[name].send(ctx, out[name]))
	}
	return errors.Join(errs...)
}

// outputs are those that an event goes to.
func (r *router) outputs(e event) []string {
	var to []string
	for i, name := range r.conf.names {
		// A condition that fails is not met.
		if _, met, err := r.conf.conditions[i].run(e); err == nil && met {
			to = append(to, name)
		}
	}
	if len(to) == 0 && r.conf.unmatched {
		return []string{unmatched}
	}
	return to
}

// limited is the transform around a limiter.
type limited struct {
	mu  sync.Mutex
	l   *limiter
	out *output
}

func (t *limited) receive(ctx context.Context, events []event) error {
	t.l.c.received(events)
	kept := make([]event, 0, len(events))
	t.mu.Lock()
	for _, e := range events {
		if e.metric != nil && !t.l.limit(e.metric) {
			e.ack.settle(delivered)
			t.l.c.discarded(1, "true")
			continue
		}
		kept = append(kept, e)
	}
	t.mu.Unlock()
	return t.out.send(ctx, kept)
}
