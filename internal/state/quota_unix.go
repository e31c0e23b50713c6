//go:build unix

package state

import "syscall"

// errQuota is what a full quota looks like.
const errQuota = syscall.EDQUOT
