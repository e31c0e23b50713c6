package credentials

import (
	"slices"
	"strings"
)

// Login is a store's log-in as a person types it.
type Login struct {
	Name     string // of the store, which is that of its component
	User     string
	Password string

	userName, passwordName string
}

// Logins returns the log-ins of a set by name, in the order of the alphabet: the stack's own three, and those that
// profiles brought.
func (s Set) Logins() []Login {
	logins := []Login{
		{Name: "grafana", userName: GrafanaUser, passwordName: GrafanaPassword},
		{Name: "openobserve", userName: OpenObserveUser, passwordName: OpenObservePassword},
		{Name: "victoriametrics", userName: VictoriaMetricsUser, passwordName: VictoriaMetricsPassword},
	}
	for _, name := range s.extraNames() {
		logins = append(logins, Login{Name: name, userName: name + userSuffix, passwordName: name + passwordSuffix})
	}
	slices.SortFunc(logins, func(a, b Login) int { return strings.Compare(a.Name, b.Name) })
	for i, login := range logins {
		logins[i].User, logins[i].Password = s[login.userName], s[login.passwordName]
	}
	return logins
}

// Login returns one log-in by its name, an empty one where there is none of that name.
func (s Set) Login(name string) Login {
	for _, login := range s.Logins() {
		if login.Name == name {
			return login
		}
	}
	return Login{}
}

// Names returns the names of the log-ins that every stack has.
func Names() []string {
	var names []string
	for _, login := range (Set{}).Logins() {
		names = append(names, login.Name)
	}
	return names
}
