package fleet

import "time"

// status429 refuses as a full deployment would.
type status429 struct{}

func (status429) strike(f *Fault, _ *Deployment, v *Verdict) {
	v.Status, v.RetryAfter = 429, f.RetryAfter
	if v.RetryAfter == 0 {
		v.RetryAfter = time.Second
	}
}
