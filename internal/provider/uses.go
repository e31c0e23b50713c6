package provider

import (
	"slices"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

// Settle is how long a project may be without a container, and count: its provider runs first, and what its services wait
// for may take its time.
const Settle = 10 * time.Minute

// Put adds a use, or replaces that of the same service. The order is that of the projects' names.
func Put(uses []state.Use, use state.Use) []state.Use {
	put := slices.DeleteFunc(slices.Clone(uses), func(old state.Use) bool { return old.Project == use.Project && old.Service == use.Service })
	put = append(put, use)
	slices.SortFunc(put, func(a, b state.Use) int {
		return strings.Compare(a.Project+"\x00"+a.Service, b.Project+"\x00"+b.Service)
	})
	return put
}

// Drop takes the uses of a project away: Compose names the services of the compose file as it is at the end, which need not be
// those of the beginning.
func Drop(uses []state.Use, project string) []state.Use {
	return slices.DeleteFunc(slices.Clone(uses), func(use state.Use) bool { return use.Project == project })
}

// Stop marks the uses of a project as stopped.
func Stop(uses []state.Use, project string) []state.Use {
	stopped := slices.Clone(uses)
	for i, use := range stopped {
		stopped[i].Stopped = use.Stopped || use.Project == project
	}
	return stopped
}

// Live leaves out the uses of projects that are gone without a word: those that have no container any more. Only Compose
// knows of a project's end, and it does not tell where it has no compose file: `docker compose -p NAME down`.
func Live(uses []state.Use, projects map[string]bool, now time.Time) []state.Use {
	return slices.DeleteFunc(slices.Clone(uses), func(use state.Use) bool {
		return !projects[use.Project] && now.Sub(use.Since) > Settle
	})
}

// Projects names the projects among uses, each once.
func Projects(uses []state.Use) []string {
	var projects []string
	for _, use := range uses {
		projects = append(projects, use.Project)
	}
	slices.Sort(projects)
	return slices.Compact(projects)
}

// Active are the uses that were not stopped.
func Active(uses []state.Use) []state.Use {
	return slices.DeleteFunc(slices.Clone(uses), func(use state.Use) bool { return use.Stopped })
}
