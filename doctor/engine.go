package doctor

import (
	"fmt"
	"strings"
)

func reachable(f Facts) []Outcome {
	return over(f.Engine, func(e Engine) []Outcome {
		if e.Problem != "" {
			return []Outcome{{State: Failed, Object: e.Address, Detail: e.Problem, Advice: e.Advice}}
		}
		return ok("%s at %s, API %s", e.Version, e.Address, e.API)
	})
}

// kind is no finding by itself: each kind works, but tells other things of "the host".
func kind(f Facts) []Outcome {
	return usable(f, func(e Engine) []Outcome {
		words := []string{"on Linux"}
		switch {
		case e.Desktop:
			words = []string{"in the virtual machine of Docker Desktop: metrics of the host are those of that machine"}
		case e.WSL:
			words = []string{"in WSL2: metrics of the host are those of its virtual machine"}
		}
		if e.Rootless {
			words = append(words, "rootless")
		}
		if e.Remote {
			words = append(words, "on another machine")
		}
		return ok("%s", strings.Join(words, ", "))
	})
}

func limits(f Facts) []Outcome {
	return usable(f, func(e Engine) []Outcome {
		version := "unknown"
		if e.CgroupVersion != "" {
			version = e.CgroupVersion
		}
		if len(e.NoLimits) == 0 {
			return ok("memory, CPU and processes can be limited (cgroup version %s)", version)
		}
		advice := "docker info says why, under warnings"
		if e.Rootless {
			advice = "delegate the controllers to the user of the engine: https://docs.docker.com/engine/security/rootless/tips/#limiting-resources"
		}
		return []Outcome{{
			State: Warning, Detail: fmt.Sprintf("the engine cannot limit %s (cgroup version %s): a component can take all there is",
				strings.Join(e.NoLimits, ", "), version),
			Advice: advice,
		}}
	})
}

// logDriver: since Engine 20.10 the logs of every driver can be read, but for none.
// https://docs.docker.com/engine/logging/dual-logging/
func logDriver(f Facts) []Outcome {
	return usable(f, func(e Engine) []Outcome {
		if e.LogDriver == "none" {
			return []Outcome{{
				State: Warning, Detail: "the engine keeps no logs of containers that choose no log driver, so the agent gets none of theirs",
				Advice: `set "log-driver": "json-file" in the engine's daemon.json, restart it and make the containers again`,
			}}
		}
		return ok("of containers without a choice: %s", e.LogDriver)
	})
}

func socket(f Facts) []Outcome {
	return over(f.Socket, func(s Socket) []Outcome {
		if s.There {
			return ok("%s", s.Path)
		}
		return []Outcome{{
			State: Failed, Object: s.Path, Detail: "docker-proxy mounts this socket, and there is none: no log of a container arrives",
			Advice: "name the engine's: docker telemetry up --docker-socket PATH",
		}}
	})
}

func foreign(f Facts) []Outcome {
	return over(f.Foreign, func(found []string) []Outcome {
		if len(found) == 0 {
			return ok("no other project is called so")
		}
		return []Outcome{{
			State: Failed, Object: found[0], Detail: fmt.Sprintf("a Compose project of the stack's name that is not ours is on the engine (%d of it)", len(found)),
			Advice: "choose another name: docker telemetry --name OTHER up",
		}}
	})
}

func leftovers(f Facts) []Outcome {
	return over(f.Leftovers, func(probes []string) []Outcome {
		found := make([]Outcome, 0, len(probes))
		for _, name := range probes {
			found = append(found, Outcome{
				State: Warning, Object: name, Detail: "a container that proved a route was left behind", Mend: RemoveProbes,
				Advice: "docker telemetry doctor --fix",
			})
		}
		return orOK(found, "no container of a proof was left behind")
	})
}

// usable is over the engine where it can be used.
func usable(f Facts, judge func(Engine) []Outcome) []Outcome {
	if f.Engine.Known && f.Engine.Value.Problem != "" {
		return nil
	}
	if !f.Engine.Known {
		return nil // that it is not known is said once
	}
	return judge(f.Engine.Value)
}
