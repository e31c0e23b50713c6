package plugin

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func addFormat(cmd *cobra.Command, format *string, formats ...string) {
	cmd.Flags().StringVar(format, "format", *format, "Output: "+strings.Join(formats, " or "))
	_ = cmd.RegisterFlagCompletionFunc("format", completeWords(formats...))
}

func badFormat(format string, formats ...string) error {
	return &usageError{
		err:    fmt.Errorf("there is no format %q", format),
		advice: "formats: " + strings.Join(formats, ", "),
	}
}
