package diagnose

import (
	"slices"
	"time"
)

// Missing is data that the observations lack, and what cannot be found
// without it.
type Missing struct {
	Text  string  `json:"text"`
	Share float64 `json:"share"` // of what would have had it
}

// Diagnosis says why requests of a period failed.
type Diagnosis struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Tries    int       `json:"tries"`
	Calls    int       `json:"calls"`
	Timeout  float64   `json:"rate_408"` // shares of tries
	Cut      float64   `json:"rate_cut"`
	Refused  float64   `json:"rate_429"`
	Failed   float64   `json:"rate_failed"`
	Healthy  bool      `json:"healthy"`
	Blind    bool      `json:"blind,omitempty"` // how requests ended is not known
	Findings []Finding `json:"findings"`        // the most severe first
	Coverage []Missing `json:"coverage"`
	// Sources are the files that were imported; none where a store was read.
	Sources []Source `json:"sources,omitempty"`

	// Replay says what the predicted effects rest on; nil where there is none.
	Replay *Replay `json:"replay,omitempty"`

	DeploymentNames []string `json:"deployments"`

	// Charts are the data of the page's charts; nil where there is too little.
	Charts *Charts `json:"-"`
}

const (
	// MinTries is how many tries a diagnosis needs: fewer say nothing.
	MinTries = 50
	// Unexplained is the share of failed tries from which on a diagnosis without
	// findings is not a healthy one.
	Unexplained = 0.01
	// unexplainedImport is Unexplained for imported logs, which lack the data
	// that some causes are found by.
	unexplainedImport = 0.001
)

// SetImport adds what is known of the logs that the observations were imported
// from: the files, the data that they lack, and whether none of them says how
// requests ended (blind).
func (d *Diagnosis) SetImport(sources []Source, missing []Missing, blind bool) {
	d.Sources = sources
	d.Coverage = append(missing, d.Coverage...)
	d.Blind = blind
	d.Healthy = d.Healthy && !blind && d.Failed < unexplainedImport
}

// Simulable reports whether a replay can tell what one of the remedies does.
func (d *Diagnosis) Simulable() bool {
	return slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Remedy.Simulable() })
}

// Predict asks what each remedy that can be simulated would do. ask returns nil
// where it cannot say.
func (d *Diagnosis) Predict(ask func(*Finding) *Effect) {
	for i := range d.Findings {
		if f := &d.Findings[i]; f.Remedy.Simulable() {
			f.Effect = ask(f)
		}
	}
}
