package plugin

import (
	"context"

	"github.com/spf13/cobra"
)

func newCertsRenewCommand(a *app) *cobra.Command {
	var wish change
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Issue a new certificate and bring it into the running gateway",
		Long: `Issue a new certificate where the one of the stack is in the last third of its life, damaged, or for other hosts,
and bring it into the running gateway: nginx tries it, the files are switched, nginx reloads, and the new one is seen
to be served. No connection is ended, and whatever fails, the old certificate is served on. up does the same.`,
		Example: `  docker telemetry certs renew
  docker telemetry certs renew --host telemetry.example.com     remembered for the renewals to come
  docker telemetry certs renew --force`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCertsChange(cmd.Context(), a, "certs renew", wish)
		},
	}
	cmd.Flags().BoolVar(&wish.force, "force", false, "Issue one whatever the present one is like, also in the place of one of your own")
	cmd.Flags().StringArrayVar(&wish.hosts, "host", nil, "DNS name or address that it covers as well")
	return cmd
}

func runCertsChange(ctx context.Context, a *app, verb string, wish change) error {
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	unlock, err := s.lock(ctx, verb)
	if err != nil {
		return err
	}
	defer unlock()
	return s.changeCertificate(ctx, wish)
}
