package otlp

import (
	"strings"

	spillway "github.com/spillway-ai/spillway"
)

// maxTextBytes bounds the strings that come from clients and deployments.
const maxTextBytes = 256

// item is a deep copy of a record: records are valid
// only while they are handed over, and some of their strings are parts of
// requests. Items are used again, and with them their buffers.
type item struct {
	rec      spillway.Record
	attempts []spillway.Attempt
	text     []byte // the model and the tenant
	model    int    // bytes of the model
}

// copyRecord makes the item a deep copy of r.
func (it *item) copyRecord(r *spillway.Record) {
	model, tenant := short(r.Model), short(r.Tenant)
	it.text = append(append(it.text[:0], model...), tenant...)
	it.model = len(model)
	it.attempts = append(it.attempts[:0], r.Attempts...)
	for i := range it.attempts {
		if a := &it.attempts[i]; len(a.ServedBy) > maxTextBytes {
			a.ServedBy = strings.Clone(short(a.ServedBy))
		}
	}
	it.rec = *r
	it.rec.Model, it.rec.Tenant, it.rec.Attempts = "", "", it.attempts
}

// record is the record that was kept.
func (it *item) record() *spillway.Record {
	text := string(it.text)
	it.rec.Model, it.rec.Tenant = text[:it.model], text[it.model:]
	return &it.rec
}

func short(s string) string { return s[:min(len(s), maxTextBytes)] }
