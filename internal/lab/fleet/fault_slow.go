package fleet

// slow multiplies TTFT and TBT.
type slow struct{}

func (slow) strike(f *Fault, _ *Deployment, v *Verdict) {
	v.Plan.Slow = f.Factor
	if v.Plan.Slow == 0 {
		v.Plan.Slow = 5
	}
}
