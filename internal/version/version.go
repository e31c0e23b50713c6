// Package version holds what the linker says of this build.
package version

// Version is the release, set with -ldflags -X; a build from a checkout says so.
var Version = "0.0.0-dev"

// Commit is the commit it was built from, empty when unknown.
var Commit = ""
