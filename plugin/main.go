// Package plugin is the command line: one verb a file. It parses flags, calls the packages that do the work, and
// renders what they return.
package plugin

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/docker/cli/cli-plugins/metadata"
	cliplugin "github.com/docker/cli/cli-plugins/plugin"
	"github.com/docker/cli/cli/command"
	"github.com/sirupsen/logrus"

	"github.com/docker-telemetry/docker-telemetry/internal/version"
)

// pluginName is the word after `docker`.
const pluginName = "telemetry"

// Main runs the program with the process's arguments and streams, and returns the exit code.
func Main() int { return run(newDeps) }

// run is Main with what commands reach outside of themselves.
func run(reach func(*command.DockerCli) deps) int {
	if cliplugin.RunningStandalone() {
		os.Args = append([]string{"docker", pluginName}, os.Args[1:]...)
	}
	cli, err := command.NewDockerCli(command.WithUserAgent("docker-telemetry/" + version.Version))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	// The SDK warns through logrus of attributes that this bundle sets on purpose; what matters comes as an error.
	logrus.SetLevel(logrus.ErrorLevel)
	// Here net/http prints the bytes that a server sends unasked.
	log.SetOutput(io.Discard)
	app := &app{deps: reach(cli)}
	app.listen(os.Args)
	root := newRootCommand(app)
	err = flagsBefore(root, cliplugin.RunPlugin(cli, root, Metadata()))
	code := app.end(cli.Err(), err)
	app.hangUp(os.Stdout)
	return code
}

// Metadata is what the Docker CLI asks every plugin for, at each `docker --help` as well.
func Metadata() metadata.Metadata {
	return metadata.Metadata{
		SchemaVersion:    "0.1.0",
		Vendor:           "docker-telemetry",
		Version:          version.Version,
		ShortDescription: "A local telemetry pipeline in one command",
		URL:              "https://github.com/docker-telemetry/docker-telemetry",
	}
}
