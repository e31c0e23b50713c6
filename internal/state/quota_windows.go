package state

import "golang.org/x/sys/windows"

// errQuota: Windows has no EDQUOT, and its "disk full" is not the syscall package's ENOSPC.
const errQuota = windows.ERROR_DISK_FULL
