package wire

// readReasoning reads the value of reasoning_effort, or of reasoning, where Responses
// keep the effort. The effort "none" turns hidden tokens off; any other setting means
// that there may be some. What else an effort may be is for the service to decide.
func (r *reader) readReasoning() bool {
	r.effortNone = false
	var ok bool
	switch null := r.isNull(); {
	case r.at('{'):
		ok = r.object(r.readEffortMember)
	case r.at('"'):
		ok = r.readEffort()
	case null:
		return r.value()
	default:
		ok = r.value()
	}
	if r.effortNone {
		r.ask.NoReasoning = true
	} else {
		r.ask.Reasoning = true
	}
	return ok
}

// readEffortMember reads one member of reasoning.
func (r *reader) readEffortMember(int) bool {
	if string(r.name()) == "effort" && r.at('"') {
		return r.readEffort()
	}
	return r.value()
}

// readEffort reads the effort, a string of any length.
func (r *reader) readEffort() bool {
	start := r.pos
	escaped, ok := r.str()
	if !ok {
		return false
	}
	text := r.src[start+1 : r.pos-1]
	if escaped && len(text) <= len(`\u006e\u006f\u006e\u0065`) {
		text = unquote(r.src[start:r.pos])
	}
	r.effortNone = string(text) == "none"
	return true
}
