package diagnose

import "time"

// Source is a file that observations were imported from, and how well it could
// be read.
type Source struct {
	Name  string    `json:"name"`
	Table string    `json:"table"`
	Rows  int       `json:"rows"`
	Other int       `json:"other_rows"` // of no use here
	Bad   int       `json:"bad_rows"`   // cannot be read; Samples has the first few
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	// Notes say how it was read, where that is not plain.
	Notes   []string `json:"notes,omitempty"`
	Samples []string `json:"samples,omitempty"`
}
