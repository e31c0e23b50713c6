package retention

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
)

// EngineHeld is what an engine keeps of a stack beside the data of its stores.
type EngineHeld struct {
	Logs    []LogHeld
	Images  []ImageHeld
	Volumes []VolumeHeld // that nothing of the stack uses any more
}

// LogHeld is what a container has printed.
type LogHeld struct {
	Container, Driver string
	// Kept: in files of the engine. Another driver passes it on, or keeps none.
	Kept bool
	// Most are the bytes that the options of the log let it have, 0 for no end.
	Most float64
	// Bytes are those of its files, nil where nobody could look at them.
	Bytes *float64
}

// ImageHeld is an image with all of its layers.
type ImageHeld struct {
	Name   string
	Bytes  float64
	Former bool // of an earlier pin: no container uses it
}

// VolumeHeld is a volume that is left.
type VolumeHeld struct {
	Name, Why string
	Data      bool     // somebody may want it again
	Bytes     *float64 // nil where the engine did not tell
}

// Kinds of what takes room besides records.
const (
	OfIndex  = "index"
	OfWAL    = "wal"
	OfBuffer = "buffer"
	OfLogs   = "log"
	OfImages = "image"
	OfVolume = "volume"
)

// ofEngine is what takes room on the engine, and is no part of what the stores hold.
func (a *analysis) ofEngine() []Other {
	if a.Engine == nil {
		return nil
	}
	return slices.Concat(a.ofLogs(a.Engine.Logs), ofImages(a.Engine.Images), ofVolumes(a.Engine.Volumes))
}

// ofLogs has a row for the logs that were measured and one for those of which only the most is known.
func (a *analysis) ofLogs(logs []LogHeld) []Other {
	var measured, most, bound float64
	var seen, unseen int
	var endless, elsewhere []string
	for _, log := range logs {
		switch {
		case !log.Kept:
			if log.Driver != "none" && !slices.Contains(elsewhere, log.Driver) {
				elsewhere = append(elsewhere, log.Driver)
			}
		case log.Bytes != nil:
			seen++
			measured, most = measured+*log.Bytes, most+log.Most
		case log.Most > 0:
			unseen++
			bound += log.Most
		default:
			endless = append(endless, log.Container)
		}
	}
	var list []Other
	if seen > 0 {
		over := "now, the files of " + document.Counted(seen, "container")
		if !slices.ContainsFunc(logs, func(log LogHeld) bool { return log.Bytes != nil && log.Most <= 0 }) {
			over += "; they take " + size(most) + " at most"
		}
		list = append(list, Other{OfLogs, "container logs", measured, Measured, over})
	}
	if unseen > 0 {
		over := fmt.Sprintf("max-size times max-file of %s; the engine does not tell what is there", document.Counted(unseen, "container"))
		list = append(list, Other{OfLogs, "container logs", bound, Bound, over})
	}
	if len(endless) > 0 {
		a.note("logs of " + strings.Join(endless, ", ") + ": they have no limit, and their files cannot be read from here")
	}
	for _, driver := range elsewhere {
		a.note("container logs that go to " + driver + ": what they take there is not known, nor what the engine caches of them")
	}
	return list
}

func ofImages(images []ImageHeld) []Other {
	var list []Other
	for _, kind := range []struct {
		name, about string
		former      bool
	}{
		{"images", " of its containers; a layer that two share counts in each", false},
		{"images of earlier pins", "; a layer that a newer one shares counts too", true},
	} {
		count, bytes := 0, 0.0
		for _, image := range images {
			if image.Former == kind.former {
				count, bytes = count+1, bytes+image.Bytes
			}
		}
		if count > 0 {
			list = append(list, Other{OfImages, kind.name, bytes, Reported, "by the engine, " + document.Counted(count, "image") + kind.about})
		}
	}
	return list
}

func ofVolumes(volumes []VolumeHeld) []Other {
	var list []Other
	for _, volume := range volumes {
		if volume.Bytes != nil {
			list = append(list, Other{OfVolume, "volume " + volume.Name, *volume.Bytes, Reported, "by the engine; " + volume.Why})
		}
	}
	return list
}

// ofLeft are the findings of what the engine keeps: logs without an end, and what nothing uses any more.
func (a *analysis) ofLeft() []Finding {
	if a.Engine == nil {
		return nil
	}
	var found []Finding
	for _, log := range a.Engine.Logs {
		if !log.Kept || log.Most > 0 {
			continue
		}
		finding := Finding{
			Code: EndlessLog, Name: log.Container, Title: "its log grows without end: the driver " + log.Driver + " has no max-size",
			Fix: "give its service max-size and max-file (logging.options in its overlay), then docker telemetry up",
		}
		if log.Bytes != nil {
			finding.Bytes = *log.Bytes
		}
		found = append(found, finding)
	}
	return append(found, a.ofLeftovers()...)
}

// ofLeftovers says once what prune would remove.
func (a *analysis) ofLeftovers() []Finding {
	var what []string
	bytes, data, told := 0.0, false, true
	for _, volume := range a.Engine.Volumes {
		what, data = append(what, "volume "+volume.Name), data || volume.Data
		if volume.Bytes == nil {
			told = false
			continue
		}
		bytes += *volume.Bytes
	}
	former := 0
	for _, image := range a.Engine.Images {
		if image.Former {
			former++
			bytes += image.Bytes
		}
	}
	if former > 0 {
		what = append(what, document.Counted(former, "image")+" of earlier pins")
	}
	if len(what) == 0 {
		return nil
	}
	title := strings.Join(what, ", ") + ": nothing of this stack uses it any more"
	if told {
		title += "; " + size(bytes)
		if former > 0 {
			title += " at most, for layers may be shared"
		}
	}
	fix := "see it, and remove it: docker telemetry prune"
	if data {
		fix += "; with --volumes the data of what is off"
	}
	return []Finding{{Code: LeftOver, Name: "engine", Title: title, Bytes: bytes, Fix: fix}}
}
