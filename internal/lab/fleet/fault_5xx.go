package fleet

// status5xx responds with a server error.
type status5xx struct{}

func (status5xx) strike(f *Fault, _ *Deployment, v *Verdict) {
	v.Status, v.Delay = f.Status, f.After
	if v.Status == 0 {
		v.Status = 500
	}
}
