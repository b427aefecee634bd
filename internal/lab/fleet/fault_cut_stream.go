package fleet

// cutStream ends a response early, without its finish.
type cutStream struct{}

func (cutStream) strike(f *Fault, _ *Deployment, v *Verdict) {
	v.Plan.Break = Break{Kind: BreakCut, AtToken: f.AtToken}
}
