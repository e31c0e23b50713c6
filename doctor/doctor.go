// Package doctor says what is wrong with a stack: Facts are what was found out about it, Examine judges them. It asks nobody,
// so it can judge any facts.
package doctor

import "fmt"

// State is how something is.
type State string

// The states, the best first. What could not be looked at is no finding, and not sound either.
const (
	OK        State = "ok"
	Unchecked State = "unchecked"
	Warning   State = "warning"
	Failed    State = "failed"
)

// Mend is something that `doctor --fix` can do.
type Mend string

// What is safe to do: nothing of it loses data or ends what works.
const (
	StartComponent   Mend = "start"       // replicas of a component that do not run; Object is its name
	RestartComponent Mend = "restart"     // a component that is unhealthy or paused; Object is its name
	RenewCertificate Mend = "certificate" // of the gateway
	RemoveProbes     Mend = "probes"
	CloseFiles       Mend = "modes" // Object is the path
)

// Outcome is what a check came to, of one object.
type Outcome struct {
	Code   string // stable: docs/checks/CODE.md
	Group  string
	Check  string // what was looked at
	State  State
	Object string // what it is about, "" for the whole
	Detail string
	Advice string // the command or the step that helps
	Mend   Mend   // "" where --fix does nothing
}

// Check is one thing that is looked at.
type Check struct {
	Code, Group, Name string
	judge             func(Facts) []Outcome
}

// The groups in the order in which they are looked at: what comes later stands on what comes before.
const (
	EngineGroup      = "engine"
	MachineGroup     = "machine"
	ImagesGroup      = "images"
	CertificateGroup = "certificates"
	CredentialGroup  = "credentials"
	ConfigGroup      = "configuration"
	PipelineGroup    = "pipeline"
	StoresGroup      = "stores"
	ProfilesGroup    = "profiles"
)

// Checks are all of them, in the order of their codes.
func Checks() []Check {
	return []Check{
		{"DTD101", EngineGroup, "reachable", reachable},
		{"DTD102", EngineGroup, "kind", kind},
		{"DTD103", EngineGroup, "limits", limits},
		{"DTD104", EngineGroup, "logs", logDriver},
		{"DTD105", EngineGroup, "socket", socket},
		{"DTD106", EngineGroup, "name", foreign},
		{"DTD107", EngineGroup, "leftovers", leftovers},
		{"DTD201", MachineGroup, "memory", memory},
		{"DTD202", MachineGroup, "disk", disks},
		{"DTD203", MachineGroup, "inodes", inodes},
		{"DTD204", MachineGroup, "clocks", clocks},
		{"DTD205", MachineGroup, "inotify", inotify},
		{"DTD206", MachineGroup, "ports", ports},
		{"DTD301", ImagesGroup, "present", present},
		{"DTD302", ImagesGroup, "drift", drift},
		{"DTD303", ImagesGroup, "tags", tags},
		{"DTD304", ImagesGroup, "version", versions},
		{"DTD401", CertificateGroup, "files", certificate("files")},
		{"DTD402", CertificateGroup, "issuer", certificate("issuer")},
		{"DTD403", CertificateGroup, "key", certificate("key")},
		{"DTD404", CertificateGroup, "dates", certificate("dates")},
		{"DTD405", CertificateGroup, "hosts", certificate("hosts")},
		{"DTD406", CertificateGroup, "served", served},
		{"DTD501", CredentialGroup, "files", secrets},
		{"DTD502", CredentialGroup, "rotation", rotation},
		{"DTD503", CredentialGroup, "closed", modes},
		{"DTD504", CredentialGroup, "log-ins", logins},
		{"DTD601", ConfigGroup, "settings", loadable},
		{"DTD602", ConfigGroup, "valid", configs},
		{"DTD603", ConfigGroup, "in use", changed},
		{"DTD701", PipelineGroup, "running", running},
		{"DTD702", PipelineGroup, "restarts", restarts},
		{"DTD703", PipelineGroup, "memory", outOfMemory},
		{"DTD704", PipelineGroup, "errors", flowErrors},
		{"DTD705", PipelineGroup, "retries", retries},
		{"DTD706", PipelineGroup, "discards", discards},
		{"DTD707", PipelineGroup, "buffers", buffers},
		{"DTD708", PipelineGroup, "metrics", silent},
		{"DTD801", StoresGroup, "health", health},
		{"DTD802", StoresGroup, "read-only", readOnly},
		{"DTD803", StoresGroup, "refusals", refusals},
		{"DTD804", StoresGroup, "retention", retained},
		{"DTD901", ProfilesGroup, "needs", needs},
		{"DTD902", ProfilesGroup, "targets", targets},
	}
}

// Examine judges facts by every check, in the order of their codes. A check whose facts were not asked for gives nothing.
func Examine(facts Facts) []Outcome {
	var all []Outcome
	for _, check := range Checks() {
		for _, outcome := range check.judge(facts) {
			outcome.Code, outcome.Group, outcome.Check = check.Code, check.Group, check.Name
			all = append(all, outcome)
		}
	}
	return all
}

// Tally is how many outcomes there are of a state.
func Tally(outcomes []Outcome, state State) int {
	count := 0
	for _, outcome := range outcomes {
		if outcome.State == state {
			count++
		}
	}
	return count
}

// over judges a fact that is known, and says what kept one from being known.
func over[T any](fact Fact[T], judge func(T) []Outcome) []Outcome {
	switch {
	case fact.Known:
		return judge(fact.Value)
	case fact.Why != "":
		return []Outcome{{State: Unchecked, Detail: fact.Why}}
	default:
		return nil
	}
}

func ok(format string, args ...any) []Outcome {
	return []Outcome{{State: OK, Detail: fmt.Sprintf(format, args...)}}
}

// orOK is what was found, or that all is well.
func orOK(found []Outcome, format string, args ...any) []Outcome {
	if len(found) > 0 {
		return found
	}
	return ok(format, args...)
}
