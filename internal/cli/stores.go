package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/store"
)

// distinct refuses a store that is named twice, whose requests would count twice.
func distinct(dirs []string) error {
	var seen []os.FileInfo
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return nil //nolint:nilerr // opening the store says what is wrong
		}
		for i, other := range seen {
			if os.SameFile(info, other) {
				return fmt.Errorf("--store %s and --store %s are the same directory", dirs[i], dir)
			}
		}
		seen = append(seen, info)
	}
	return nil
}

// spanOf is the time from the first request of record stores to the last; zero for
// stores without any.
func spanOf(dirs []string) (from, to time.Time, err error) {
	for _, dir := range dirs {
		s, err := store.Open(dir)
		if err != nil {
			return from, to, err
		}
		first, last, err := s.Span()
		if err != nil {
			return from, to, fmt.Errorf("read the store: %w", err)
		}
		if !first.IsZero() && (from.IsZero() || first.Before(from)) {
			from = first
		}
		if last.After(to) {
			to = last
		}
	}
	return from, to, nil
}

// noRequests says that stores have no requests of the time that was asked for, and of
// which they have.
func noRequests(dirs []string) error {
	from, to, err := spanOf(dirs)
	named := strings.Join(dirs, ", ")
	switch {
	case err != nil:
		return err
	case from.IsZero():
		return fmt.Errorf("no requests in %s: set another --store", named)
	}
	return fmt.Errorf("no requests in this time range: %s has requests from %s to %s", named, from.Format(time.RFC3339), to.Format(time.RFC3339))
}
