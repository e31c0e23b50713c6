package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// oneOf is a flag that takes one of a few words. Another word is refused with the flags, before the command asks
// anything of the engine.
type oneOf struct {
	value *string
	words []string
}

func (o *oneOf) String() string { return *o.value }
func (o *oneOf) Type() string   { return "string" }

func (o *oneOf) Set(word string) error {
	if !slices.Contains(o.words, word) {
		return errors.New("unknown word")
	}
	*o.value = word
	return nil
}

func orWords(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// addWord adds a flag that takes one of at least two words; *value is its default.
func addWord(cmd *cobra.Command, flags *pflag.FlagSet, value *string, name, usage string, words ...string) {
	flags.Var(&oneOf{value: value, words: words}, name, usage+": "+orWords(words))
	_ = cmd.RegisterFlagCompletionFunc(name, completeWords(words...))
}

func addFormat(cmd *cobra.Command, format *string, formats ...string) {
	addWord(cmd, cmd.Flags(), format, "format", "Output", formats...)
}

// flagError words a refused flag for people: the library's own text ends in the name of a Go function.
func flagError(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		err = fmt.Errorf("--%s takes %s, not %q", invalid.GetFlag().Name, wanted(invalid.GetFlag().Value), invalid.GetValue())
	}
	return usage(cmd, err)
}

// flagsBefore words a refused flag before the subcommand: the Docker CLI has cobra traverse the commands, and then
// cobra does not ask SetFlagErrorFunc.
func flagsBefore(root *cobra.Command, err error) error {
	var worded *usageError
	if err == nil || errors.As(err, &worded) {
		return err
	}
	var unknown *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	var syntax *pflag.InvalidSyntaxError
	if errors.As(err, &unknown) || errors.As(err, &bare) || errors.As(err, &invalid) || errors.As(err, &syntax) {
		return flagError(root, err)
	}
	return err
}

func wanted(value pflag.Value) string {
	if word, is := value.(*oneOf); is {
		return orWords(word.words)
	}
	switch value.Type() {
	case "int":
		return "a number"
	case "duration":
		return "a duration such as 90s"
	case "bool":
		return "true or false"
	default:
		return "a " + value.Type()
	}
}
