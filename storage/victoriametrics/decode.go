package victoriametrics

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// Label is one label of a series, in memory that is valid until the next series.
type Label struct{ Name, Value []byte }

// Stream is what an answer said beside the series.
type Stream struct {
	Series   int64
	Bytes    int64
	Partial  bool     // a part of a cluster did not answer
	Warnings []string // of Prometheus and its kin
}

// DecodeSeries reads an answer of /api/v1/series and hands over each series as it comes. Nothing is kept and nothing
// allocated for a series: encoding/json spends 4 µs on each, ten times of what the store does.
//
// It is strict: what is not JSON, is cut off, or is no flat object of strings ends in a *BrokenError, and yield has
// then seen the series before it. A label that occurs twice in a series is broken as well.
func DecodeSeries(from io.Reader, limits Limits, yield func(labels []Label) error) (Stream, error) {
	d := &decoder{from: from, limits: limits.OrDefaults(), buffer: make([]byte, 0, 256<<10)}
	err := d.answer(yield)
	d.stream.Bytes = d.before + int64(len(d.buffer))
	return d.stream, err
}

// decoder reads through a window of the answer. While a series is read the window keeps all of it, so that labels can
// point into it.
type decoder struct {
	from   io.Reader
	limits Limits
	buffer []byte
	at     int   // next byte of the buffer
	keep   int   // the buffer is kept from here on
	before int64 // bytes that were read before the buffer
	ended  error

	stream Stream
	labels []span
	yields []Label
	// arena has the strings with escapes, decoded.
	arena []byte
}

// span is a string in the buffer, or in the arena. Offsets, because both move when they grow.
type span struct {
	name, value text
}

type text struct {
	from, to int
	arena    bool
}

var (
	errEnd  = errors.New("it ends too early")
	errWhat = errors.New("unexpected byte")
)

func (d *decoder) broken(reason error) error {
	var limit *LimitError
	if errors.As(reason, &limit) {
		return reason
	}
	if errors.Is(reason, errEnd) && d.ended != nil && !errors.Is(d.ended, io.EOF) {
		return d.ended
	}
	return &BrokenError{At: d.before + int64(d.at), Reason: reason.Error()}
}

// more reads on. It moves what is kept to the front and grows the window only where one series fills it.
func (d *decoder) more() error {
	if d.ended != nil {
		return errEnd
	}
	if d.keep > 0 {
		moved := copy(d.buffer, d.buffer[d.keep:])
		d.buffer = d.buffer[:moved]
		d.before += int64(d.keep)
		d.at -= d.keep
		for i := range d.labels {
			d.labels[i].name.shift(d.keep)
			d.labels[i].value.shift(d.keep)
		}
		d.keep = 0
	}
	if len(d.buffer) == cap(d.buffer) {
		if len(d.buffer) > d.limits.Object {
			return &LimitError{What: "bytes of one series", Limit: int64(d.limits.Object)}
		}
		grown := make([]byte, len(d.buffer), 2*cap(d.buffer))
		copy(grown, d.buffer)
		d.buffer = grown
	}
	if d.before+int64(len(d.buffer)) > d.limits.Stream {
		return &LimitError{What: "bytes", Limit: d.limits.Stream}
	}
	n, err := d.from.Read(d.buffer[len(d.buffer):cap(d.buffer)])
	d.buffer = d.buffer[:len(d.buffer)+n]
	if err != nil {
		d.ended = err
		if n == 0 {
			return errEnd
		}
	}
	return nil
}

func (t *text) shift(by int) {
	if !t.arena {
		t.from -= by
		t.to -= by
	}
}

// next returns the next byte that is not white space, and consumes it. It is short enough to be inlined: stores write none.
func (d *decoder) next() (byte, error) {
	if d.at < len(d.buffer) && d.buffer[d.at] > ' ' {
		d.at++
		return d.buffer[d.at-1], nil
	}
	return d.skip()
}

func (d *decoder) skip() (byte, error) {
	for {
		for d.at < len(d.buffer) {
			c := d.buffer[d.at]
			d.at++
			if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
				return c, nil
			}
		}
		if err := d.more(); err != nil {
			return 0, err
		}
	}
}

func (d *decoder) expect(want byte) error {
	c, err := d.next()
	if err == nil && c != want {
		d.at--
		return fmt.Errorf("%w %q instead of %q", errWhat, c, want)
	}
	return err
}

// answer reads the object around the list.
func (d *decoder) answer(yield func([]Label) error) error {
	if err := d.expect('{'); err != nil {
		return d.broken(err)
	}
	listed := false
	var reason string
	for first := true; ; first = false {
		name, done, err := d.member(first)
		if err != nil {
			return d.broken(err)
		}
		if done {
			break
		}
		if name == "data" {
			if listed {
				return d.broken(errors.New("there are two lists of series in it"))
			}
			listed = true
			if err := d.list(yield); err != nil {
				return err
			}
			continue
		}
		if err := d.beside(name, &reason); err != nil {
			return d.broken(err)
		}
	}
	if reason != "" {
		return refused(reason)
	}
	if !listed {
		return d.broken(errors.New("there is no list of series in it"))
	}
	return d.nothingMore()
}

// nothingMore reads the end of the answer: a proxy's page after the JSON means that the store did not write all of it.
func (d *decoder) nothingMore() error {
	d.keep = d.at
	switch _, err := d.next(); {
	case err == nil:
		d.at--
		return d.broken(errors.New("something follows the end of the JSON"))
	case errors.Is(err, errEnd) && errors.Is(d.ended, io.EOF):
		return nil
	default:
		return d.broken(err)
	}
}

// member reads the name of the next member of an object, up to its colon.
func (d *decoder) member(first bool) (name string, done bool, err error) {
	c, err := d.next()
	if err != nil {
		return "", false, err
	}
	if c == '}' {
		return "", true, nil
	}
	if !first {
		if c != ',' {
			return "", false, fmt.Errorf("%w %q in an object", errWhat, c)
		}
		if c, err = d.next(); err != nil {
			return "", false, err
		}
	}
	if c != '"' {
		return "", false, fmt.Errorf("%w %q instead of a name", errWhat, c)
	}
	d.keep, d.arena = d.at, d.arena[:0]
	word, err := d.string()
	if err != nil {
		return "", false, err
	}
	name = string(d.bytes(word))
	return name, false, d.expect(':')
}

// beside reads a member that is not the list.
func (d *decoder) beside(name string, reason *string) error {
	raw, err := d.raw()
	if err != nil {
		return err
	}
	switch name {
	case "isPartial":
		d.stream.Partial = d.stream.Partial || string(raw) == "true"
	case "warnings":
		// Another shape says nothing that could be shown.
		_ = json.Unmarshal(raw, &d.stream.Warnings)
	case "error":
		_ = json.Unmarshal(raw, reason)
	case "status":
		var status string
		if json.Unmarshal(raw, &status) == nil && status == "error" && *reason == "" {
			*reason = "no reason given"
		}
	}
	return nil
}

// raw reads any value whole, as its bytes.
func (d *decoder) raw() ([]byte, error) {
	if _, err := d.next(); err != nil {
		return nil, err
	}
	d.at--
	d.keep = d.at
	depth := 0
	for {
		c, err := d.next()
		if err != nil {
			return nil, err
		}
		switch c {
		case '"':
			d.arena = d.arena[:0]
			if _, err := d.string(); err != nil {
				return nil, err
			}
		case '{', '[':
			depth++
			if depth > d.limits.Depth {
				return nil, &LimitError{What: "levels of nesting", Limit: int64(d.limits.Depth)}
			}
			continue
		case '}', ']':
			depth--
		case ',', ':':
			if depth == 0 {
				return nil, fmt.Errorf("%w %q instead of a value", errWhat, c)
			}
			continue
		default:
			if err := d.word(); err != nil {
				return nil, err
			}
		}
		if depth > 0 {
			continue
		}
		raw := d.buffer[d.keep:d.at]
		if depth < 0 || !json.Valid(raw) {
			return nil, errors.New("a value that is no JSON")
		}
		return raw, nil
	}
}

// word reads on to the end of a number, true, false or null.
func (d *decoder) word() error {
	for {
		for d.at < len(d.buffer) {
			switch d.buffer[d.at] {
			case ',', ':', '}', ']', '{', '[', '"', ' ', '\n', '\t', '\r':
				return nil
			}
			d.at++
		}
		if err := d.more(); err != nil {
			return err
		}
	}
}

// list reads the series.
func (d *decoder) list(yield func([]Label) error) error {
	c, err := d.next()
	if err != nil {
		return d.broken(err)
	}
	if c == 'n' {
		// A store without series may write null.
		d.at--
		d.keep = d.at
		if raw, err := d.raw(); err != nil || string(raw) != "null" {
			return d.broken(errors.New("the list of series is no list"))
		}
		return nil
	}
	if c != '[' {
		d.at--
		return d.broken(errors.New("the list of series is no list"))
	}
	for first := true; ; first = false {
		c, err := d.next()
		if err != nil {
			return d.broken(err)
		}
		if c == ']' {
			return nil
		}
		if !first {
			if c != ',' {
				return d.broken(fmt.Errorf("%w %q between two series", errWhat, c))
			}
			if c, err = d.next(); err != nil {
				return d.broken(err)
			}
		}
		if c != '{' {
			return d.broken(fmt.Errorf("%w %q instead of a series", errWhat, c))
		}
		if d.stream.Series == d.limits.Series {
			return &LimitError{What: "series", Limit: d.limits.Series}
		}
		if err := d.series(); err != nil {
			return d.broken(err)
		}
		d.stream.Series++
		if err := yield(d.yields); err != nil {
			return err
		}
	}
}

// series reads one object after its brace.
func (d *decoder) series() error {
	d.keep, d.labels, d.arena = d.at, d.labels[:0], d.arena[:0]
	defer func() { d.labels = d.labels[:0] }()
	for {
		c, err := d.next()
		if err != nil {
			return err
		}
		if c == '}' && len(d.labels) == 0 {
			break
		}
		if c != '"' {
			return fmt.Errorf("%w %q instead of a label", errWhat, c)
		}
		// Appended first, so that its offsets move along when the window does.
		name, err := d.string()
		if err != nil {
			return err
		}
		d.labels = append(d.labels, span{name: name})
		if err := d.expect(':'); err != nil {
			return err
		}
		if err := d.expect('"'); err != nil {
			return err
		}
		value, err := d.string()
		if err != nil {
			return err
		}
		d.labels[len(d.labels)-1].value = value
		if d.at-d.keep > d.limits.Object {
			return &LimitError{What: "bytes of one series", Limit: int64(d.limits.Object)}
		}
		if c, err = d.next(); err != nil {
			return err
		}
		if c == '}' {
			break
		}
		if c != ',' {
			return fmt.Errorf("%w %q in a series", errWhat, c)
		}
	}
	d.yields = d.yields[:0]
	for _, label := range d.labels {
		d.yields = append(d.yields, Label{d.bytes(label.name), d.bytes(label.value)})
	}
	return d.unique()
}

// unique refuses a label that occurs twice. Stores sort the labels, where a look at the neighbour is enough; of those that do
// not, a series has a dozen, so comparing each with each is the cheap way.
func (d *decoder) unique() error {
	// Two that are equal are not in order.
	if slices.IsSortedFunc(d.yields, func(b, a Label) int { return cmp.Or(bytes.Compare(b.Name, a.Name), -1) }) {
		return nil
	}
	if len(d.yields) > 256 {
		seen := make(map[string]bool, len(d.yields))
		for _, label := range d.yields {
			if seen[string(label.Name)] {
				return fmt.Errorf("the label %q occurs twice in one series", label.Name)
			}
			seen[string(label.Name)] = true
		}
		return nil
	}
	for i := range d.yields {
		for j := range i {
			if bytes.Equal(d.yields[i].Name, d.yields[j].Name) {
				return fmt.Errorf("the label %q occurs twice in one series", d.yields[i].Name)
			}
		}
	}
	return nil
}

func (d *decoder) bytes(t text) []byte {
	if t.arena {
		return d.arena[t.from:t.to:t.to]
	}
	return d.buffer[t.from:t.to:t.to]
}

// string reads a string after its first quote. Nearly all are short, whole in the window and without escapes.
func (d *decoder) string() (text, error) {
	for i, c := range d.buffer[d.at:] {
		if c == '"' {
			plain := text{from: d.at, to: d.at + i}
			d.at += i + 1
			return plain, nil
		}
		if c == '\\' || c < ' ' {
			break
		}
	}
	return d.anyString()
}

func (d *decoder) anyString() (text, error) {
	from := d.at - d.keep // relative: the window may move
	scanned := d.at - d.keep
	for {
		part := d.buffer[d.keep+scanned:]
		if quote := bytes.IndexByte(part, '"'); quote >= 0 {
			if special := firstSpecial(part[:quote]); special >= 0 {
				d.at = d.keep + scanned + special
				return d.escaped(from)
			}
			end := d.keep + scanned + quote
			d.at = end + 1
			return text{from: d.keep + from, to: end}, nil
		}
		if special := firstSpecial(part); special >= 0 {
			d.at = d.keep + scanned + special
			return d.escaped(from)
		}
		scanned += len(part)
		d.at = d.keep + scanned
		if err := d.more(); err != nil {
			return text{}, err
		}
	}
}

// firstSpecial finds a byte that a JSON string cannot have as it is: a backslash or a control character.
func firstSpecial(part []byte) int {
	for i, c := range part {
		if c == '\\' || c < ' ' {
			return i
		}
	}
	return -1
}

// escaped reads the rest of a string with escapes from d.at on, decoded into the arena. from is relative to keep.
func (d *decoder) escaped(from int) (text, error) {
	begin := len(d.arena)
	d.arena = append(d.arena, d.buffer[d.keep+from:d.at]...)
	for {
		if d.at == len(d.buffer) {
			if err := d.more(); err != nil {
				return text{}, err
			}
		}
		c := d.buffer[d.at]
		d.at++
		switch {
		case c == '"':
			return text{from: begin, to: len(d.arena), arena: true}, nil
		case c == '\\':
			if err := d.escape(); err != nil {
				return text{}, err
			}
		case c < ' ':
			return text{}, fmt.Errorf("a control character %q in a string", c)
		default:
			d.arena = append(d.arena, c)
		}
		if len(d.arena) > d.limits.Object {
			return text{}, &LimitError{What: "bytes of one series", Limit: int64(d.limits.Object)}
		}
	}
}

func (d *decoder) escape() error {
	c, err := d.byte()
	if err != nil {
		return err
	}
	switch c {
	case '"', '\\', '/':
		d.arena = append(d.arena, c)
	case 'b':
		d.arena = append(d.arena, '\b')
	case 'f':
		d.arena = append(d.arena, '\f')
	case 'n':
		d.arena = append(d.arena, '\n')
	case 'r':
		d.arena = append(d.arena, '\r')
	case 't':
		d.arena = append(d.arena, '\t')
	case 'u':
		return d.unicode()
	default:
		return fmt.Errorf("%w %q after a backslash", errWhat, c)
	}
	return nil
}

// unicode reads a \u escape after its u. Half of a pair is U+FFFD, as encoding/json has it.
func (d *decoder) unicode() error {
	char, err := d.hex()
	if err != nil {
		return err
	}
	if char < 0xD800 || char > 0xDFFF {
		d.arena = utf8.AppendRune(d.arena, char)
		return nil
	}
	for len(d.buffer)-d.at < 6 && d.ended == nil {
		if err := d.more(); err != nil && !errors.Is(err, errEnd) {
			return err
		}
	}
	rest := d.buffer[d.at:]
	if char < 0xDC00 && len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
		if low, ok := hex4(rest[2:6]); ok && low >= 0xDC00 && low <= 0xDFFF {
			d.at += 6
			d.arena = utf8.AppendRune(d.arena, (char-0xD800)<<10+(low-0xDC00)+0x10000)
			return nil
		}
	}
	d.arena = utf8.AppendRune(d.arena, utf8.RuneError)
	return nil
}

func (d *decoder) hex() (rune, error) {
	var digits [4]byte
	for i := range digits {
		c, err := d.byte()
		if err != nil {
			return 0, err
		}
		digits[i] = c
	}
	char, ok := hex4(digits[:])
	if !ok {
		return 0, fmt.Errorf("%q is no hexadecimal number", digits)
	}
	return char, nil
}

func hex4(digits []byte) (rune, bool) {
	var char rune
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			char = char<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			char = char<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			char = char<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return char, true
}

// byte returns the next byte, white space or not.
func (d *decoder) byte() (byte, error) {
	if d.at == len(d.buffer) {
		if err := d.more(); err != nil {
			return 0, err
		}
	}
	c := d.buffer[d.at]
	d.at++
	return c, nil
}
