//go:build !unix

package upstream

// readSocket reads nothing where sockets cannot be read without waiting.
func (b *burst) readSocket(uintptr) (done bool) { return true }
