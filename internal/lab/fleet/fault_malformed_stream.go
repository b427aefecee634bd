package fleet

// malformedStream puts bytes into the response that do not parse.
type malformedStream struct{}

func (malformedStream) strike(f *Fault, _ *Deployment, v *Verdict) {
	v.Plan.Break = Break{Kind: BreakMalformed, AtToken: f.AtToken}
}
