package fleet

// reset ends the connection abruptly.
type reset struct{}

func (reset) strike(f *Fault, _ *Deployment, v *Verdict) {
	v.Plan.Break = Break{Kind: BreakReset, AtToken: f.AtToken}
}
