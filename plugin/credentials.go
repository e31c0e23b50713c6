package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newCredentialsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "Show the log-ins of the UIs and stores",
		Args:  argsBetween(0, 0, ""),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	format := "table"
	show := &cobra.Command{
		Use:   "show",
		Short: "Show the log-ins of the UIs and stores",
		Long:  "Show the log-ins of the UIs and stores. They were made for this stack and are nowhere else in clear text.",
		Args:  argsBetween(0, 0, ""),
		RunE:  func(cmd *cobra.Command, _ []string) error { return runCredentialsShow(cmd.Context(), a, format) },
	}
	addFormat(show, &format, "table", "json")
	cmd.AddCommand(show)
	return cmd
}

type loginJSON struct {
	Name     string `json:"name"`
	User     string `json:"user"`
	Password string `json:"password"`
}

func runCredentialsShow(_ context.Context, a *app, format string) error {
	root, err := a.deps.root()
	if err != nil {
		return err
	}
	stored, err := root.Stack(a.deps.context(), a.name)
	if err != nil {
		return &usageError{err: err, advice: hintOf(err)}
	}
	set, err := credentials.Read(stored)
	if errors.Is(err, fs.ErrNotExist) {
		return &stack.Error{Text: fmt.Sprintf("this machine has no credentials of stack %q", a.name), Advice: "docker telemetry up makes them"}
	}
	if err != nil {
		return err
	}
	logins := []loginJSON{
		{"grafana", set["grafana_admin_user"], set["grafana_admin_password"]},
		{"openobserve", set["openobserve_user"], set["openobserve_password"]},
		{"victoriametrics", set["victoriametrics_user"], set["victoriametrics_password"]},
	}
	if format == "json" {
		return render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "credentials": logins})
	}
	rows := make([][]string, 0, len(logins))
	for _, login := range logins {
		rows = append(rows, []string{login.Name, login.User, login.Password})
	}
	render.Table(a.deps.stdout, []string{"name", "user", "password"}, rows)
	return nil
}
