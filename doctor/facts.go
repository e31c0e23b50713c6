package doctor

import "time"

// Fact is something that was asked for: it is known, or Why says what kept it from being so. The zero Fact was not asked for,
// and what would be judged by it is left out.
type Fact[T any] struct {
	Value T
	Known bool
	Why   string
}

// Know is a fact that was found out.
func Know[T any](value T) Fact[T] { return Fact[T]{Value: value, Known: true} }

// Unknown is a fact that could not be found out.
func Unknown[T any](why string) Fact[T] { return Fact[T]{Why: why} }

// Facts are what was found out about a stack, the engine and this machine. Sizes are bytes.
type Facts struct {
	// Before: it is looked at before up, so that what up brings is not missed.
	Before bool

	Engine     Fact[Engine]
	Socket     Fact[Socket]
	Leftovers  Fact[[]string] // containers of proofs that were killed
	Memory     Fact[Memory]
	Disks      Fact[[]Disk]
	Clocks     Fact[[]Clock]
	Inotify    Fact[Inotify]
	Ports      Fact[Ports]
	Foreign    Fact[[]string] // what carries the stack's name and is not ours
	Images     Fact[[]Image]
	Versions   Fact[Versions]
	Files      Fact[[]Said] // of certificates: each is a check of its own
	Expiry     Fact[Expiry]
	Served     Fact[Said]
	Modes      Fact[[]Mode]
	Secrets    Fact[Secrets]
	Logins     Fact[[]Login]
	Settings   Fact[Said]
	Configs    Fact[[]Config]
	Changed    Fact[[]string] // components that run another configuration than the settings come to
	Components Fact[[]Component]
	Pressure   Fact[[]Pressure]
	Flow       Fact[Flow]
	Stores     Fact[[]Store]
	Metrics    Fact[MetricsStore]
	Retention  Fact[[]Finding]
	Needs      Fact[[]Need]
	Targets    Fact[[]Target]
}

// Engine is what answers behind the Docker context.
type Engine struct {
	Address, Version, API string
	Problem, Advice       string // why it cannot be used, "" where it can
	Remote                bool
	Rootless              bool
	Desktop               bool
	WSL                   bool
	CgroupVersion         string
	LogDriver             string
	NoLimits              []string // that it cannot enforce
}

// Socket is the engine's, which docker-proxy mounts.
type Socket struct {
	Path  string
	There bool
}

// Memory compares what the stack may use with what the engine's host has.
type Memory struct{ Has, Limits int64 }

// Disk is one on which volumes lie.
type Disk struct {
	Name                    string
	Size, Free              int64
	InodesTotal, InodesFree int64 // 0 and below: it does not count them
}

// Clock is how far another clock is before this machine's; it is known to be off by Within at most.
type Clock struct {
	Name          string
	Ahead, Within time.Duration
}

// Inotify are the kernel's limits on the engine's host.
type Inotify struct{ Instances, Watches int }

// Ports are what the stack publishes, and who has it instead.
type Ports struct {
	Published []string
	Taken     []Said
}

// Said is something that was looked at by another package: what it saw, or its refusal with the command that helps.
type Said struct {
	Name, Detail    string
	Problem, Advice string
	// Unchecked: Problem is what kept it from being looked at.
	Unchecked bool
}

// Expiry is when the certificate ends.
type Expiry struct {
	Until    time.Time
	DaysLeft int
	Due      bool // in the last third of its life, where up renews it
	Own      bool // the user's own, which nobody here renews
}

// Image is one that the stack needs.
type Image struct {
	Name       string
	Components []string
	Present    bool
	ID         string // on the engine now
	Locked     string // ID that was locked when it was pulled, "" where none was
	Drifted    bool   // components run another one than the locked
}

// Versions are those of docker telemetry that made the containers, and this one.
type Versions struct {
	This   string
	MadeBy []string
}

// Mode is a file of the state that others can get at.
type Mode struct {
	Path string
	Mode uint32
	What string // "read" or "written"
	// Closed: reading it has closed it meanwhile, as every command does.
	Closed bool
}

// Secrets are the passwords as this machine keeps them.
type Secrets struct {
	Problem, Advice string
	Rotating        bool // a rotation was interrupted
}

// Login is a store's log-in that was tried.
type Login struct {
	Name     string
	Accepted bool
	Err      string // why nobody answered
}

// Config is what a component's own program says of its configuration.
type Config struct {
	Component, Program string
	Valid              bool
	Said               string
	Err                string // why it could not be asked
}

// Component is one with its replicas.
type Component struct {
	Name        string
	Want, Ready int
	Replicas    []Replica
}

// Replica is a container of a component.
type Replica struct {
	Name, State, Health, Status string
	Ready                       bool
	Restarts, ExitCode          int
	OOMKilled                   bool
	Problem                     string
	Said                        string // its last line where it is not ready
	StartedAt                   time.Time
}

// Pressure is how often a container ran out of memory.
type Pressure struct {
	Container, Component string
	OOMKills             int
}

// Flow is what the components say of what passes them, read from VictoriaMetrics.
type Flow struct {
	Errors    []Count // of the last minute
	Retries   []Count // answers of stores in the last minute that make a sink send again
	Discarded []Count // events lost in the last hour
	Buffers   []Buffer
	Silent    []string // jobs that gave metrics before and give none now
	Missing   []string // jobs that should give metrics and never did
}

// Count is a number with what it is counted of.
type Count struct {
	Job, Replica, Component, Kind string
	Value                         float64
}

// Buffer is one on a disk.
type Buffer struct {
	Job, Component string
	Size, Max      float64 // bytes
	Before         float64 // a few minutes ago; negative where it was not there
}

// Store is how a store answers through the gateway.
type Store struct {
	Name   string
	Status int // of HTTP
	Err    string
}

// MetricsStore is what VictoriaMetrics says of itself.
type MetricsStore struct {
	ReadOnly bool
	Ignored  []Count // rows in the last hour, by reason
	Dropped  []Count // rows in the last hour over a limit of series
}

// Finding is one of a report.
type Finding struct{ Code, Name, Title, Advice string }

// Need is what a profile asks of the engine's host.
type Need struct {
	Profile, What string
	There         bool
}

// Target is a container that asks to be scraped.
type Target struct {
	Container, State, Problem string
	Scraped                   bool
}
