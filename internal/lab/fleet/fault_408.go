package fleet

import "time"

// status408 lets the request run into the completion window, whatever it asks.
type status408 struct{}

func (status408) strike(f *Fault, d *Deployment, v *Verdict) {
	v.Status, v.Delay = 408, f.After
	if v.Delay == 0 {
		v.Delay = d.CompletionWindow
	}
	if v.Delay < 0 {
		v.Delay = time.Minute
	}
}
