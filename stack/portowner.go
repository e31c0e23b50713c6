package stack

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"
)

func isAddressInUse(err error) bool {
	// 10048 is WSAEADDRINUSE, which Windows returns instead.
	const wsaAddressInUse = syscall.Errno(10048)
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, wsaAddressInUse)
}

// portOwner names the process that listens on a TCP port of this machine, or "" where it cannot be told: other
// users' processes are hidden from a plain user.
func portOwner(ctx context.Context, port int) string {
	connections, err := net.ConnectionsWithContext(ctx, "tcp")
	if err != nil {
		return ""
	}
	for _, connection := range connections {
		if connection.Status != "LISTEN" || int(connection.Laddr.Port) != port || connection.Pid == 0 {
			continue
		}
		owner := process.Process{Pid: connection.Pid}
		name, err := owner.NameWithContext(ctx)
		if err != nil {
			return fmt.Sprintf("process %d", connection.Pid)
		}
		return fmt.Sprintf("process %d (%s)", connection.Pid, name)
	}
	return ""
}
