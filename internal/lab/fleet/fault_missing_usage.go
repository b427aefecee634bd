package fleet

// missingUsage leaves the usage out of the response.
type missingUsage struct{}

func (missingUsage) strike(_ *Fault, _ *Deployment, v *Verdict) { v.Plan.NoUsage = true }
