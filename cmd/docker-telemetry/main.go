// Command docker-telemetry is the Docker CLI plugin behind `docker telemetry`; it also runs by itself.
package main

import (
	"os"

	"github.com/docker-telemetry/docker-telemetry/plugin"
)

func main() { os.Exit(plugin.Main()) }
