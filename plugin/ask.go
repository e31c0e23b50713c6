package plugin

import (
	"bufio"
	"context"
	"fmt"
	"strings"
)

// ask puts a question to the terminal and reports whether the answer was yes. Ctrl-C ends the wait: a read from a terminal
// knows of no context.
func (a *app) ask(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(a.deps.stderr, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.deps.stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case word := <-answer:
		return word == "y" || word == "yes", nil
	}
}
