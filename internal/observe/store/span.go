package store

import "time"

// Span is from when to when the store has records: the times of the first and
// the last in whole seconds below, and the latter a second later. Both are
// zero when there are none.
func (s *Store) Span() (from, to time.Time, err error) {
	all := Query{}
	v, err := openView(s.dir, all.bounds())
	if err != nil {
		return from, to, err
	}
	defer v.close()
	widen := func(first, last time.Time) {
		if from.IsZero() || first.Before(from) {
			from = first
		}
		if last.After(to) {
			to = last
		}
	}
	for _, p := range v.segments {
		widen(p.file.from, p.file.to.Add(time.Second))
	}
	for _, t := range v.tails {
		for _, r := range t.rows {
			at := time.UnixMicro(r.time).UTC().Truncate(time.Second)
			widen(at, at.Add(time.Second))
		}
	}
	return from, to, nil
}
