package stack

import "fmt"

// Error is a refusal for a person: the object and the cause in one line, and the command that helps.
type Error struct {
	Text   string
	Advice string
	Detail string // more lines for below the error, such as a component's last log lines
	Usage  bool   // the request itself was wrong, nothing was tried
	Err    error
}

func (e *Error) Error() string { return e.Text }

// Hint returns the one command or step that helps.
func (e *Error) Hint() string { return e.Advice }

func (e *Error) Unwrap() error { return e.Err }

func usagef(advice, format string, args ...any) error {
	return &Error{Text: fmt.Sprintf(format, args...), Advice: advice, Usage: true}
}
