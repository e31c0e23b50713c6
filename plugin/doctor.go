package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/morikuni/aec"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/doctor"
	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type doctorOptions struct {
	format string
	before bool // before up: nothing of the stack is expected to run
	fix    bool
	yes    bool
	all    bool
}

func newDoctorCommand(a *app) *cobra.Command {
	o := doctorOptions{format: "table"}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong, from the engine to the stores",
		Long: `Look at the engine, this machine, the images, certificates, credentials, the
configuration, the pipeline, the stores and what the profiles ask for, and say
what is wrong, with the command that helps. Each check has a code, and a page of
it in docs/checks. Nothing of the stack is changed and no event is sent; what
does not run has its configuration tried in a container that is removed again.

--pre looks at what can be known before the first up. --fix says what it would
do, asks, and does it: start a component that does not run, renew the
certificate, remove what proofs left, close files that others could read. It
loses no data. It ends with exit code 3 when something is wrong, and 4 when
nothing is, as far as it could look, but not all could be looked at.`,
		Example: `  docker telemetry doctor --pre       can it be started here?
  docker telemetry doctor             what is wrong with the running stack?
  docker telemetry doctor --fix`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), a, o) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.before, "pre", false, "Look at what can be known before up")
	flags.BoolVar(&o.fix, "fix", false, "Mend what can be mended safely, after asking")
	flags.BoolVarP(&o.yes, "yes", "y", false, "Do not ask before --fix")
	flags.BoolVarP(&o.all, "all", "a", false, "List what is well too, not only its number")
	addFormat(cmd, &o.format, "table", "json")
	return cmd
}

func runDoctor(ctx context.Context, a *app, o doctorOptions) error {
	if o.before && o.fix {
		return &usageError{err: errors.New("--pre and --fix exclude each other"), advice: "before up there is nothing to mend"}
	}
	s, err := a.local(ctx, "doctor")
	if err != nil {
		return err
	}
	defer s.close()
	outcomes, err := s.examine(ctx, o.before)
	if err != nil {
		return err
	}
	var mended []string
	if o.fix {
		if mended, err = s.mend(ctx, outcomes, o.yes); err != nil {
			return err
		}
		if len(mended) > 0 {
			if outcomes, err = s.examine(ctx, o.before); err != nil {
				return err
			}
		}
	}
	s.close()
	if o.format == "json" {
		err = render.JSON(a.deps.stdout, doctorOf(a.name, outcomes, mended))
	} else {
		printDoctor(a, outcomes, o.all)
	}
	if err != nil {
		return err
	}
	return judgeDoctor(a, outcomes, o.format)
}

// doctorJSON is the contract of `doctor --format json`: documented in docs/reference/json.md, only added to.
type doctorJSON struct {
	SchemaVersion int         `json:"schemaVersion"`
	Stack         string      `json:"stack"`
	OK            int         `json:"ok"`
	Warnings      int         `json:"warnings"`
	Failed        int         `json:"failed"`
	Unchecked     int         `json:"unchecked"`
	Mended        []string    `json:"mended"`
	Checks        []checkJSON `json:"checks"`
}

type checkJSON struct {
	Code   string       `json:"code"`
	Group  string       `json:"group"`
	Check  string       `json:"check"`
	State  doctor.State `json:"state"`
	Object string       `json:"object"`
	Detail string       `json:"detail"`
	Hint   string       `json:"hint,omitempty"`
	Fixes  bool         `json:"fixes"`
}

func doctorOf(name string, outcomes []doctor.Outcome, mended []string) doctorJSON {
	answer := doctorJSON{
		SchemaVersion: 1, Stack: name,
		OK: doctor.Tally(outcomes, doctor.OK), Warnings: doctor.Tally(outcomes, doctor.Warning),
		Failed: doctor.Tally(outcomes, doctor.Failed), Unchecked: doctor.Tally(outcomes, doctor.Unchecked),
		Mended: append([]string{}, mended...), Checks: []checkJSON{},
	}
	for _, o := range outcomes {
		answer.Checks = append(answer.Checks, checkJSON{
			Code: o.Code, Group: o.Group, Check: o.Check, State: o.State, Object: o.Object, Detail: o.Detail,
			Hint: forStack(name, o.Advice), Fixes: o.Mend != "",
		})
	}
	return answer
}

// printDoctor prints what was found, each with the command that helps in a line of its own, and one line of numbers.
func printDoctor(a *app, outcomes []doctor.Outcome, all bool) {
	paint := painter(a.deps.stdoutTerminal() && render.ColourWanted())
	var rows [][]string
	for _, o := range sameReason(outcomes) {
		if o.State == doctor.OK && !all {
			continue
		}
		what := o.Group + ", " + o.Check
		if o.Object != "" {
			what += ": " + o.Object
		}
		rows = append(rows, []string{mark(o.State), o.Code, what + ": " + o.Detail})
		if o.Advice != "" {
			rows = append(rows, []string{"", "", "hint: " + forStack(a.name, o.Advice)})
		}
	}
	if len(rows) > 0 {
		render.Prose(a.deps.stdout, []string{"", "code", "what"}, rows)
		fmt.Fprintln(a.deps.stdout)
	}
	fmt.Fprintln(a.deps.stdout, numbers(paint, outcomes))
}

// sameReason makes one of what could not be looked at for one and the same reason.
func sameReason(outcomes []doctor.Outcome) []doctor.Outcome {
	var kept []doctor.Outcome
	others := map[string]int{}
	for _, o := range outcomes {
		if o.State == doctor.Unchecked {
			others[o.Detail]++
			if others[o.Detail] > 1 {
				continue
			}
		}
		kept = append(kept, o)
	}
	for i, o := range kept {
		if more := others[o.Detail] - 1; o.State == doctor.Unchecked && more > 0 {
			kept[i].Check += " and " + document.Counted(more, "other")
		}
	}
	return kept
}

func mark(state doctor.State) string {
	switch state {
	case doctor.Failed:
		return "✗ failed"
	case doctor.Warning:
		return "▲ warning"
	case doctor.Unchecked:
		return "? unchecked"
	default:
		return "✓ ok"
	}
}

// numbers are said in words as well as in colour.
func numbers(paint paintFunc, outcomes []doctor.Outcome) string {
	words := []string{paint(aec.GreenF, fmt.Sprintf("%d ok", doctor.Tally(outcomes, doctor.OK)))}
	for _, part := range []struct {
		state  doctor.State
		colour aec.ANSI
		what   string
	}{
		{doctor.Warning, aec.YellowF, "%d warnings"},
		{doctor.Failed, aec.RedF, "%d failed"},
		{doctor.Unchecked, aec.YellowF, "%d could not be checked"},
	} {
		count := doctor.Tally(outcomes, part.state)
		if count == 0 {
			continue
		}
		words = append(words, paint(part.colour, strings.Replace(fmt.Sprintf(part.what, count), "1 warnings", "1 warning", 1)))
	}
	return strings.Join(words, ", ")
}

// judgeDoctor ends with the code for what was found. All is said on stdout, so stderr gets one line and the way to --fix.
func judgeDoctor(a *app, outcomes []doctor.Outcome, format string) error {
	if len(outcomes) > 0 && outcomes[0].Check == "reachable" && outcomes[0].State == doctor.Failed {
		return &codeError{code: exitUnchecked, err: &stack.Error{Text: outcomes[0].Detail, Advice: outcomes[0].Advice}, silent: format == "json"}
	}
	findings := doctor.Tally(outcomes, doctor.Failed) + doctor.Tally(outcomes, doctor.Warning)
	switch unchecked := doctor.Tally(outcomes, doctor.Unchecked); {
	case findings > 0:
		refusal := &stack.Error{Text: document.Counted(findings, "thing") + " to look after in stack " + quoted(a.name)}
		if fixable(outcomes) {
			refusal.Advice = "docker telemetry doctor --fix mends some of it"
		}
		return &codeError{code: exitFindings, err: refusal, silent: format == "json"}
	case unchecked > 0:
		refusal := errors.New(document.Counted(unchecked, "thing") + " could not be checked; nothing else is wrong")
		return &codeError{code: exitUnchecked, err: refusal, silent: format == "json"}
	default:
		return nil
	}
}

func fixable(outcomes []doctor.Outcome) bool {
	for _, o := range outcomes {
		if o.Mend != "" {
			return true
		}
	}
	return false
}
