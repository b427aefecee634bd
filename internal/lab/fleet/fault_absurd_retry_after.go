package fleet

import "time"

// absurdRetryAfter refuses with an absurd wait, as Azure has been
// seen to do with 86,400 s.
type absurdRetryAfter struct{}

func (absurdRetryAfter) strike(f *Fault, _ *Deployment, v *Verdict) {
	v.Status, v.RetryAfter = 429, f.RetryAfter
	if v.RetryAfter == 0 {
		v.RetryAfter = 24 * time.Hour
	}
}
