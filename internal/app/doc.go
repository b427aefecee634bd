// Package app builds the running gateway from a configuration and owns its
// life: records and metrics first, then the gateway, then the listeners; a
// reload in between; and in the end the same way back, so that no request that
// was accepted is lost.
package app
