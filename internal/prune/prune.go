// Package prune works out what docker telemetry has left on an engine and beside its state: what carries our labels, or
// is on a list of ours, and has no stack any more. It removes nothing itself.
package prune

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Kinds of what may be left.
const (
	Container      = "container"
	Network        = "network"
	Volume         = "volume"
	Image          = "image"
	MetricSnapshot = "snapshot"
	File           = "file"
)

// young is how long a thing may be in the making: a probe and a copy of another machine look like left ones.
const young = 10 * time.Minute

// Item is one thing that may be removed.
type Item struct {
	Kind  string
	Name  string
	ID    string // by which it is removed
	Stack string // "" where it is of none
	Why   string
	Data  bool // only what asks for volumes removes it
}

// Facts is all that the answer depends on.
type Facts struct {
	Now     time.Time
	Local   bool // the engine is this machine's: who else has stacks on it is a user of this machine
	Engine  stack.Labelled
	Stacks  map[string]Stack // of which this user has a state, by name, in any Docker context
	Former  []FormerImage
	Present map[string]bool // former images that the engine still has, by ID
	Parts   []PartFile
}

// Stack is one that this user has a state of.
type Stack struct {
	Volumes   []string // names of those that it has or would have; nil where its project cannot be loaded
	Restore   string   // id of a restore that is under way, "" when there is none
	Snapshots []string // that its VictoriaMetrics holds, none where it does not run
}

// FormerImage is one that a stack had before its pins moved on.
type FormerImage struct{ Stack, Tag, ID string }

// PartFile is half a snapshot in the folder of snapshots.
type PartFile struct {
	Path    string
	Changed time.Time
}

// Analyse lists what is left, in the order in which it can be removed.
func Analyse(facts Facts) []Item {
	var items []Item
	for _, probe := range facts.Engine.Probes {
		if facts.Now.Sub(probe.Created) > young {
			items = append(items, Item{Kind: Container, Name: probe.Name, ID: probe.ID, Stack: probe.Stack, Why: "of a command that was killed"})
		}
	}
	for _, network := range facts.Engine.Networks {
		if !facts.Engine.Running[network.Stack] && facts.Now.Sub(network.Created) > young {
			items = append(items, Item{Kind: Network, Name: network.Name, ID: network.ID, Stack: network.Stack, Why: "its stack has no containers"})
		}
	}
	for _, volume := range facts.Engine.Volumes {
		if item, left := facts.volume(volume); left {
			items = append(items, item)
		}
	}
	for _, image := range facts.Former {
		if facts.Present[image.ID] && !facts.Engine.Images[image.ID] {
			items = append(items, Item{Kind: Image, Name: image.Tag, ID: image.ID, Stack: image.Stack, Why: "an earlier pin"})
		}
	}
	for name, known := range facts.Stacks {
		for _, snapshot := range known.Snapshots {
			items = append(items, Item{Kind: MetricSnapshot, Name: snapshot, ID: snapshot, Stack: name, Why: "keeps files of VictoriaMetrics on its disk"})
		}
	}
	for _, part := range facts.Parts {
		if facts.Now.Sub(part.Changed) > young {
			items = append(items, Item{Kind: File, Name: part.Path, ID: part.Path, Why: "half a snapshot, of a process that was killed"})
		}
	}
	order := []string{Container, Network, Volume, MetricSnapshot, Image, File}
	slices.SortStableFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)), cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Name, b.Name))
	})
	return items
}

// volume tells whether a volume is left, and whether it holds what somebody may want again.
func (f Facts) volume(volume stack.LabelledThing) (Item, bool) {
	item := Item{Kind: Volume, Name: volume.Name, ID: volume.ID, Stack: volume.Stack}
	known, kept := f.Stacks[volume.Stack]
	switch {
	case volume.Used:
		return item, false
	case kept && known.Restore != "":
		return item, false // the next up finishes or undoes it
	case !kept && f.Engine.Running[volume.Stack]:
		return item, false // another's stack, which knows what it has
	case !kept && f.Now.Sub(volume.Created) <= young:
		return item, false // volumes are made before the first container
	case !kept:
		item.Why = "its stack is no more"
		if !f.Local {
			item.Why, item.Data = "this machine knows no such stack; another may, and have its log-ins", true
		}
		return item, true
	case known.Volumes == nil:
		return item, false
	case slices.Contains(known.Volumes, volume.Name):
		item.Why, item.Data = fmt.Sprintf("the data of stack %s, which is down", volume.Stack), true
		return item, !f.Engine.Running[volume.Stack]
	case volume.Restore != "":
		item.Why = "of a restore that is over"
		return item, true
	default:
		item.Why, item.Data = "of a profile or overlay that is off", true
		return item, true
	}
}
