package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxFrame bounds one frame of foreign bytes; the engine splits lines at 16 KiB.
const maxFrame = 16 << 20

// readFrame reads one frame of the engine's multiplexed stream: the stream's number, three zeros,
// the length in big endian, the data. io.EOF comes only between frames.
func readFrame(r *bufio.Reader) (stream string, data []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", nil, err
	}
	switch head[0] {
	case 1:
		stream = "stdout"
	case 2:
		stream = "stderr"
	case 0, 3: // standard input, and the engine's own errors
		stream = ""
	default:
		return "", nil, fmt.Errorf("frame header %x names no stream", head)
	}
	size := binary.BigEndian.Uint32(head[4:])
	if size > maxFrame {
		return "", nil, fmt.Errorf("frame of %d bytes is above the limit of %d", size, maxFrame)
	}
	// Grows with what arrives: a header may promise more than ever comes.
	data, err = io.ReadAll(io.LimitReader(r, int64(size)))
	if err == nil && len(data) < int(size) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && head[0] == 3 {
		err = fmt.Errorf("engine reports: %q", data)
	}
	return stream, data, err
}

// readLine reads one line of a container with a terminal, whose stream has no frames.
func readLine(r *bufio.Reader) (stream string, data []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		data = append(data, part...)
		switch {
		case err == nil:
			return "console", data, nil
		case errors.Is(err, bufio.ErrBufferFull):
			if len(data) > maxFrame {
				return "", nil, fmt.Errorf("line above the limit of %d bytes", maxFrame)
			}
		case errors.Is(err, io.EOF) && len(data) > 0:
			return "console", data, nil
		default:
			return "", nil, err
		}
	}
}

// line makes a log of one piece of output, `<timestamp> <text>`, or nil when there is none (yet):
// a piece without a line end waits for its rest, and a line from before the source is skipped.
func (info *containerInfo) line(stream string, data []byte, started time.Time, conf *dockerConf) map[string]any {
	if stream == "" {
		return nil
	}
	stamp, text, _ := bytes.Cut(data, []byte{' '})
	at, err := time.Parse(time.RFC3339Nano, string(bytes.TrimRight(stamp, "\r\n")))
	if err != nil {
		text = data
	} else if !info.fresh(at, started) {
		return nil
	}
	if len(text) == 0 && bytes.HasSuffix(stamp, []byte{'\n'}) {
		text = []byte{'\n'}
	}
	whole := bytes.HasSuffix(text, []byte{'\n'})
	if whole {
		text = bytes.TrimSuffix(text[:len(text)-1], []byte{'\r'})
	}
	log := map[string]any{
		"message": string(text), "stream": stream, "source_type": "docker_logs", "container_id": info.id,
		"container_name": info.name, "container_created_at": info.created, "image": info.image,
	}
	if len(info.labels) > 0 {
		log["label"] = cloneValue(info.labels)
	}
	if err == nil {
		log["timestamp"] = at.UTC()
	}
	return info.merge(log, whole, conf)
}

// fresh skips what was read before: lines not after the last one, unless of the same run, and lines
// from before the source.
func (info *containerInfo) fresh(at, started time.Time) bool {
	if info.last.IsZero() {
		if !at.After(started) {
			return false
		}
	} else if !at.After(info.last) && !(at.Equal(info.last) && info.lastGeneration == info.generation) {
		return false
	}
	info.last, info.lastGeneration = at, info.generation
	return true
}

// merge joins the pieces of one line. As in Vector there is one place for pieces, not one per stream.
func (info *containerInfo) merge(log map[string]any, whole bool, conf *dockerConf) map[string]any {
	if !conf.merge {
		if !whole && conf.partialMarker != "" {
			log[conf.partialMarker] = true
		}
		return log
	}
	if info.partial == nil {
		if whole {
			return log
		}
		info.partial = log
		return nil
	}
	info.partial["message"] = info.partial["message"].(string) + log["message"].(string)
	if !whole {
		return nil
	}
	merged := info.partial
	info.partial = nil
	return merged
}
