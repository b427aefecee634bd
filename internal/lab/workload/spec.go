package workload

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Spec says which workload to generate. It is also the form of a
// specification file.
type Spec struct {
	// Rate is the mean number of calls per second of all clients together,
	// over bursts and the curve's whole period.
	Rate     float64       `yaml:"rate"`
	Duration time.Duration `yaml:"duration"`
	// Clients share the rate, client k in proportion to 1/k^Zipf; 0 is one.
	Clients int     `yaml:"clients"`
	Zipf    float64 `yaml:"zipf"`
	Model   string  `yaml:"model"` // of every call

	Arrivals Arrivals `yaml:"arrivals"`
	Bursts   Bursts   `yaml:"bursts"`
	Curve    Curve    `yaml:"curve"`
	// Classes are the kinds of calls; at least one.
	Classes []Class `yaml:"classes"`
}

// Arrivals is the renewal process of each client: its gaps are independent.
type Arrivals struct {
	// Process is poisson, gamma or weibull; empty is gamma where CV is set,
	// else poisson.
	Process string `yaml:"process"`
	// CV is the standard deviation of the gaps over their mean, before bursts
	// thin them; 0 is 1, which is a Poisson process.
	CV float64 `yaml:"cv"`
}

// Bursts are times when every client calls more. They thin the arrivals of a
// process at the highest rate, each call by itself. The zero value has none.
type Bursts struct {
	Factor float64       `yaml:"factor"` // of the rate, within a burst
	Length time.Duration `yaml:"length"`
	// Period is the mean time from the start of a burst to the next; the time
	// between them varies evenly by half of itself.
	Period    time.Duration `yaml:"period"`
	Otherwise float64       `yaml:"otherwise"` // factor outside of bursts; 0 is 1
}

func (b Bursts) otherwise() float64 {
	if b.Otherwise == 0 {
		return 1
	}
	return b.Otherwise
}

// mean is the factor on average.
func (b Bursts) mean() float64 {
	if b.Factor == 0 {
		return 1
	}
	share := b.Length.Seconds() / b.Period.Seconds()
	return share*b.Factor + (1-share)*b.otherwise()
}

// Curve is how the rate changes over hours: by steps, again from the first one
// after the last. Only the proportions count. The zero value is flat.
type Curve struct {
	Step    time.Duration `yaml:"step"` // 0 is an hour
	Factors []float64     `yaml:"factors"`
}

func (c Curve) step() time.Duration {
	if c.Step == 0 {
		return time.Hour
	}
	return c.Step
}

// Class is one kind of calls.
type Class struct {
	Name  string  `yaml:"name"`
	Share float64 `yaml:"share"` // of the calls, in proportion to the other classes; all 0 is equal shares

	Input  Lengths `yaml:"input"`
	Output Lengths `yaml:"output"`

	MaxTokens int     `yaml:"max_tokens"` // limit that the clients set; 0 is none
	Stream    float64 `yaml:"stream"`     // share of calls that read a stream
	// CanStream is the share of the synchronous calls whose client would.
	CanStream float64 `yaml:"can_stream"`
}

// Lengths is a distribution of numbers of tokens: of a built-in table, of
// points, lognormal, or uniform. Exactly one.
type Lengths struct {
	// Table names a built-in distribution: azure-conv, azure-code,
	// mooncake-conversation, deepseek-r1, m-large or m-mid. Its input or its
	// output, by where it is used.
	Table string `yaml:"table"`
	// CDF has points [share, tokens], rising in both, from share 0 to 1: that
	// share of the lengths is at most so many tokens. Between them it is
	// straight.
	CDF [][]float64 `yaml:"cdf"`
	// Median and Sigma are those of a lognormal distribution.
	Median float64 `yaml:"median"`
	Sigma  float64 `yaml:"sigma"`
	// Min and Max bound the lengths; alone they are a uniform distribution.
	// Max 0 is no bound.
	Min int `yaml:"min"`
	Max int `yaml:"max"`
}

// Check returns all that is wrong with s.
func (s *Spec) Check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	want(s.Rate > 0 && s.Rate <= maxRate, "rate: must be positive and at most %[2]d calls per second, got %[1]v", s.Rate, maxRate)
	want(s.Duration > 0 && s.Duration <= maxOffset, "duration: must be positive and at most a hundred years, got %v", s.Duration)
	want(s.Clients >= 0 && s.Clients <= maxSpecClients, "clients: must be from 0 to %[2]d, got %[1]d", s.Clients, maxSpecClients)
	want(s.Zipf >= 0 && s.Zipf <= 10, "zipf: must be from 0 to 10, got %v", s.Zipf)
	want(slices.Contains(processes[:], s.Arrivals.Process), "arrivals.process: must be poisson, gamma or weibull, got %q", s.Arrivals.Process)
	want(s.Arrivals.CV == 0 || s.Arrivals.CV >= 0.05 && s.Arrivals.CV <= 20, "arrivals.cv: must be from 0.05 to 20, got %v", s.Arrivals.CV)
	want(s.Arrivals.Process != "poisson" || s.Arrivals.CV == 0 || s.Arrivals.CV == 1, "arrivals.cv: must be 1 for a poisson process, got %v", s.Arrivals.CV)
	if b := s.Bursts; b != (Bursts{}) {
		want(b.Factor > 0 && b.Factor <= 1000, "bursts.factor: must be positive and at most 1000, got %v", b.Factor)
		want(b.Otherwise >= 0 && b.Otherwise <= 1000, "bursts.otherwise: must be from 0 to 1000, got %v", b.Otherwise)
		want(b.Length > 0 && b.Length < b.Period, "bursts.length: must be positive and less than the period of %[2]v, got %[1]v", b.Length, b.Period)
	}
	want(s.Curve.Step >= 0, "curve.step: must not be negative, got %v", s.Curve.Step)
	sum := 0.0
	for i, f := range s.Curve.Factors {
		want(f >= 0 && f <= 1e9, "curve.factors[%d]: must be from 0 to 1e9, got %v", i, f)
		sum += f
	}
	want(len(s.Curve.Factors) == 0 || sum > 0, "curve.factors: at least one must be positive")
	want(len(s.Classes) > 0, "classes: at least one is required")
	for i := range s.Classes {
		if err := s.Classes[i].check(); err != nil {
			errs = append(errs, fmt.Errorf("classes[%d]%w", i, err))
		}
	}
	return errors.Join(errs...)
}

// Bounds of a specification.
const (
	maxRate        = 10_000_000
	maxSpecClients = 1_000_000
)

// processes are the names of the arrival processes.
var processes = [...]string{"", "poisson", "gamma", "weibull"}

func (c *Class) check() error {
	switch {
	case !(c.Share >= 0 && c.Share <= 1e9):
		return fmt.Errorf(".share: must not be negative, got %v", c.Share)
	case c.MaxTokens < 0 || c.MaxTokens > maxTokens:
		return fmt.Errorf(".max_tokens: must be from 0 to %[2]d, got %[1]d", c.MaxTokens, maxTokens)
	case !(c.Stream >= 0 && c.Stream <= 1):
		return fmt.Errorf(".stream: must be from 0 to 1, got %v", c.Stream)
	case !(c.CanStream >= 0 && c.CanStream <= 1):
		return fmt.Errorf(".can_stream: must be from 0 to 1, got %v", c.CanStream)
	}
	if err := c.Input.check(); err != nil {
		return fmt.Errorf(".input: %w", err)
	}
	if err := c.Output.check(); err != nil {
		return fmt.Errorf(".output: %w", err)
	}
	return nil
}

func (l *Lengths) check() error {
	forms := count(l.Table != "") + count(len(l.CDF) > 0) + count(l.Median != 0 || l.Sigma != 0)
	switch {
	case forms > 1:
		return errors.New("set only one of table, cdf and median with sigma")
	case forms == 0 && l.Max == 0:
		return errors.New("one of table, cdf, median with sigma, or min with max is required")
	case l.Min < 0 || l.Max < 0 || l.Max > maxTokens || l.Max != 0 && l.Max < l.Min:
		return fmt.Errorf("min %d and max %d are not valid bounds", l.Min, l.Max)
	case l.Median != 0 || l.Sigma != 0:
		if !(l.Median > 0 && l.Median <= maxTokens && l.Sigma >= 0 && l.Sigma <= 5) {
			return fmt.Errorf("median must be positive and sigma from 0 to 5, got %v and %v", l.Median, l.Sigma)
		}
	}
	for i, p := range l.CDF {
		if len(p) != 2 {
			return fmt.Errorf("cdf[%d]: must be [share, tokens]", i)
		}
		if !(p[0] >= 0 && p[0] <= 1 && p[1] >= 0 && p[1] <= maxTokens) || i > 0 && (p[0] <= l.CDF[i-1][0] || p[1] < l.CDF[i-1][1]) {
			return fmt.Errorf("cdf[%d]: [%v, %v] must be greater than the previous point", i, p[0], p[1])
		}
	}
	if n := len(l.CDF); n > 0 && (n < 2 || l.CDF[0][0] != 0 || l.CDF[n-1][0] != 1) {
		return errors.New("cdf: needs points from share 0 to share 1")
	}
	return nil
}
