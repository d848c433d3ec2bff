//go:build unix && !linux

package redistest

import "os/exec"

// dieWithParent does nothing where the kernel offers nothing: a server outlives
// a test's process that is killed.
func dieWithParent(*exec.Cmd) {}
