package fleet

import "time"

// stallAfterHeaders pauses a stream after its headers or in the midst of it.
type stallAfterHeaders struct{}

func (stallAfterHeaders) strike(f *Fault, _ *Deployment, v *Verdict) {
	v.Plan.Stall = Stall{AtToken: f.AtToken, For: stallTime(f)}
}

// stallTime is how long a stall lasts.
func stallTime(f *Fault) time.Duration {
	if f.After == 0 {
		return Forever
	}
	return f.After
}
