package fleet

// stallBeforeHeaders lets the client wait for the response headers.
type stallBeforeHeaders struct{}

func (stallBeforeHeaders) strike(f *Fault, _ *Deployment, v *Verdict) {
	v.Plan.Stall = Stall{Headers: true, For: stallTime(f)}
}
