package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What is kept: images on the engine, certificates and credentials on this machine, the configuration in the containers.

func present(f Facts) []Outcome {
	return over(f.Images, func(all []Image) []Outcome {
		var found []Outcome
		there := 0
		for _, image := range all {
			if image.Present {
				there++
			} else if !f.Before {
				found = append(found, Outcome{
					State: Failed, Object: image.Name, Detail: "it is not on the engine, and is needed by " + strings.Join(image.Components, ", "),
					Advice: "docker telemetry pull",
				})
			}
		}
		if there < len(all) {
			return orOK(found, "%d of %d are on the engine, up pulls the others", there, len(all))
		}
		return ok("all %d are on the engine", len(all))
	})
}

func drift(f Facts) []Outcome {
	return over(f.Images, func(all []Image) []Outcome {
		var found []Outcome
		for _, image := range all {
			if image.Drifted {
				found = append(found, Outcome{
					State: Warning, Object: strings.Join(image.Components, ", "), Detail: "runs another image than the one that was pulled as " + image.Name,
					Advice: "docker telemetry pull, then docker telemetry up",
				})
			}
		}
		return orOK(found, "what runs is what was pulled")
	})
}

func tags(f Facts) []Outcome {
	return over(f.Images, func(all []Image) []Outcome {
		var found []Outcome
		for _, image := range all {
			if image.Present && image.Locked != "" && image.ID != image.Locked {
				found = append(found, Outcome{
					State: Warning, Object: image.Name, Detail: "the tag stands for another image on the engine than when it was pulled",
					Advice: "take the new one: docker telemetry pull, then docker telemetry up",
				})
			}
		}
		return orOK(found, "each stands for the image that was pulled")
	})
}

func versions(f Facts) []Outcome {
	return over(f.Versions, func(v Versions) []Outcome {
		others := slices.DeleteFunc(slices.Clone(v.MadeBy), func(version string) bool { return version == v.This })
		if len(others) == 0 {
			return ok("made by docker telemetry %s", v.This)
		}
		return []Outcome{{
			State: Warning, Object: strings.Join(others, ", "), Detail: "containers were made by this version of docker telemetry; this is " + v.This,
			Advice: "bring them to this version: docker telemetry up",
		}}
	})
}

// certificate judges one of the checks that package certs makes by itself.
func certificate(name string) func(Facts) []Outcome {
	return func(f Facts) []Outcome {
		return over(f.Files, func(all []Said) []Outcome {
			at := slices.IndexFunc(all, func(said Said) bool { return said.Name == name })
			if at < 0 {
				return nil // it stands on one that failed
			}
			if all[at].Problem == "" && name == "dates" {
				return expiry(f, all[at].Detail)
			}
			return said(all[at], RenewCertificate)
		})
	}
}

func expiry(f Facts, detail string) []Outcome {
	e := f.Expiry.Value
	if !f.Expiry.Known || !e.Due {
		return ok("%s", detail)
	}
	found := Outcome{
		State: Warning, Object: "gateway", Detail: fmt.Sprintf("the certificate ends in %d days, on %s", e.DaysLeft, e.Until.Format(time.DateOnly)),
		Advice: "docker telemetry certs renew", Mend: RenewCertificate,
	}
	if e.Own {
		found.Advice, found.Mend = "bring the next one: docker telemetry certs init --cert FILE --key FILE", ""
	}
	return []Outcome{found}
}

func served(f Facts) []Outcome {
	return over(f.Served, func(s Said) []Outcome { return said(s, RenewCertificate) })
}

func said(s Said, mend Mend) []Outcome {
	switch {
	case s.Problem == "":
		return ok("%s", s.Detail)
	case s.Unchecked:
		return []Outcome{{State: Unchecked, Detail: s.Problem}}
	}
	// What the user brought, or an authority that is gone, is not to be replaced unasked.
	if s.Advice != "docker telemetry certs renew" {
		mend = ""
	}
	return []Outcome{{State: Failed, Detail: s.Problem, Advice: s.Advice, Mend: mend}}
}

func secrets(f Facts) []Outcome {
	return over(f.Secrets, func(s Secrets) []Outcome {
		if s.Problem != "" {
			return []Outcome{{State: Failed, Detail: s.Problem, Advice: s.Advice}}
		}
		return ok("each is there and is one that its store takes")
	})
}

func rotation(f Facts) []Outcome {
	return over(f.Secrets, func(s Secrets) []Outcome {
		if s.Rotating {
			return []Outcome{{State: Warning, Detail: "a rotation of the passwords was interrupted", Advice: "docker telemetry up finishes it"}}
		}
		return ok("none is half done")
	})
}

func modes(f Facts) []Outcome {
	return over(f.Modes, func(all []Mode) []Outcome {
		found := make([]Outcome, 0, len(all))
		for _, m := range all {
			one := Outcome{
				State: Failed, Object: m.Path, Detail: fmt.Sprintf("others on this machine can have it %s (mode %04o)", m.What, m.Mode),
				Advice: "docker telemetry doctor --fix closes it", Mend: CloseFiles,
			}
			if m.Closed {
				one.State, one.Mend = Warning, ""
				one.Detail = fmt.Sprintf("others on this machine could have it %s (mode %04o), until it was read just now", m.What, m.Mode)
				one.Advice = "where others may have looked: docker telemetry credentials rotate"
			}
			found = append(found, one)
		}
		return orOK(found, "nobody else on this machine can read the secrets or write the state")
	})
}

func logins(f Facts) []Outcome {
	return over(f.Logins, func(all []Login) []Outcome {
		var found []Outcome
		var words []string
		for _, login := range all {
			switch {
			case login.Err != "":
				found = append(found, Outcome{State: Unchecked, Object: login.Name, Detail: login.Err})
			case !login.Accepted:
				found = append(found, Outcome{
					State: Failed, Object: login.Name, Detail: "it refuses the password that this machine keeps: its data is from an earlier life, or it was changed by hand",
					Advice: "docker telemetry credentials rotate " + login.Name,
				})
			default:
				words = append(words, login.Name)
			}
		}
		return orOK(found, "accepted by %s", strings.Join(words, ", "))
	})
}

func loadable(f Facts) []Outcome {
	return over(f.Settings, func(s Said) []Outcome {
		if s.Problem != "" {
			return []Outcome{{State: Failed, Object: s.Name, Detail: s.Problem, Advice: s.Advice}}
		}
		return ok("%s", s.Detail)
	})
}

func configs(f Facts) []Outcome {
	return over(f.Configs, func(all []Config) []Outcome {
		var found []Outcome
		var words []string
		for _, c := range all {
			switch {
			case c.Err != "":
				found = append(found, Outcome{State: Unchecked, Object: c.Component, Detail: fmt.Sprintf("%s could not be asked: %s", cmp.Or(c.Program, "its program"), c.Err)})
			case !c.Valid:
				found = append(found, Outcome{
					State: Failed, Object: c.Component, Detail: fmt.Sprintf("%s refuses its configuration: %s", c.Program, c.Said),
					Advice: "where an overlay brings it: docker telemetry config; where it was changed in the container: docker telemetry down, then docker telemetry up",
				})
			default:
				words = append(words, c.Component)
			}
		}
		return orOK(found, "read without complaint by the programs of %s", strings.Join(words, ", "))
	})
}

func changed(f Facts) []Outcome {
	return over(f.Changed, func(names []string) []Outcome {
		var found []Outcome
		for _, name := range names {
			found = append(found, Outcome{
				State: Warning, Object: name, Detail: "it was made with other settings than those that are remembered now",
				Advice: "see what would be done: docker telemetry up --dry-run; then docker telemetry up",
			})
		}
		return orOK(found, "each component runs what the settings come to")
	})
}
