package imports

import (
	"context"
	"slices"
	"sort"
)

// Divisions by correlation id are as many as keep one of them small with
// hundreds of millions of rows; those by time hold about so many requests.
const (
	keyDivisions  = 256
	perDivision   = 1 << 16
	sampledOneIn  = 509
	maxByTime     = 1024
	divisionParts = perDivision / sampledOneIn
)

// joined counts rows and requests while they are joined.
type joined struct {
	pieces     [kindCount]int // rows
	requests   int
	duplicates int            // further rows of the same request
	unmatched  [kindCount]int // requests that are not in the first log
	other      int            // requests that are not an LLM's
	limited    int            // refused by the gateway's own limits
	answered   int            // with 2xx
	counted    int            // of those: with tokens
	known      [factCount]int // requests of which a fact is known
	first      kind           // whose rows count as requests
}

// splitter divides the time so that each part has about as many requests.
type splitter struct {
	seen  int
	times []uint64
}

func (s *splitter) see(p *piece) {
	if s.seen%sampledOneIn == 0 {
		s.times = append(s.times, p.values[factTime])
	}
	s.seen++
}

// cut returns the times at which parts begin, but for the first.
func (s *splitter) cut() []uint64 {
	slices.Sort(s.times)
	step := max(divisionParts, len(s.times)/maxByTime+1)
	var cuts []uint64
	for i := step; i < len(s.times); i += step {
		cuts = append(cuts, s.times[i])
	}
	return slices.Compact(cuts)
}

// part is the one that a time lies in.
func part(cuts []uint64, at uint64) int {
	return sort.Search(len(cuts), func(i int) bool { return cuts[i] > at })
}

// join joins the pieces of each request and divides the requests by time.
func (im *Import) join(ctx context.Context, rows *spill, progress func(float64)) error {
	var err error
	if im.requests, err = newSpill(im.dir, len(im.cuts)+1); err != nil {
		return err
	}
	im.joined.first = kindLLM
	for k := range kindCount {
		if im.joined.pieces[k] > 0 {
			im.joined.first = k
			break
		}
	}
	var all []piece
	var sorted []*piece
	for i := range keyDivisions {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		progress(float64(i) / keyDivisions)
		if all, err = rows.read(i, all); err != nil {
			return err
		}
		sorted = sorted[:0]
		for i := range all {
			sorted = append(sorted, &all[i])
		}
		slices.SortFunc(sorted, byKey)
		for begin := 0; begin < len(sorted); {
			end := begin + 1
			for end < len(sorted) && sorted[end].key == sorted[begin].key {
				end++
			}
			if err := im.request(sorted[begin:end]); err != nil {
				return err
			}
			begin = end
		}
	}
	return nil
}

// request joins the pieces of one request.
func (im *Import) request(group []*piece) error {
	p := im.fold(group)
	n := &im.joined
	first := p.has(n.first) || n.first >= kindUsage
	if !first {
		for k := range kindCount {
			if p.has(k) {
				n.unmatched[k]++
			}
		}
		return nil
	}
	if p.get(factAbout) == 0 && !p.has(kindLLM) && !p.has(kindService) && !p.has(kindUsage) {
		n.other++
		return nil
	}
	n.requests++
	if s := p.get(factStatus); s >= 200 && s < 300 {
		n.answered++
		if p.knows(factCompletion) || p.knows(factPrompt) {
			n.counted++
		}
	}
	if p.limited() {
		n.limited++
	}
	for f, v := range p.values {
		if v > 0 {
			n.known[f]++
		}
	}
	im.fleet.count(&p)
	return im.requests.add(part(im.cuts, p.values[factTime]), &p)
}

// fold joins a request's pieces. Where two have the same fact, the lower kind's is
// used; of tokens the largest, since logs with several rows per request count
// in one of them.
func (im *Import) fold(group []*piece) piece {
	out := *group[0]
	kinds := int64(1) << out.kind
	for i, p := range group[1:] {
		kinds |= 1 << p.kind
		if p.kind == group[i].kind && p.kind <= kindService {
			im.joined.duplicates++
		}
		for f := range p.values {
			switch {
			case out.values[f] == 0:
				out.values[f] = p.values[f]
			case fact(f) == factPrompt, fact(f) == factCompletion, fact(f) == factCached, fact(f) == factAbout:
				out.values[f] = max(out.values[f], p.values[f])
			}
		}
	}
	out.know(factKinds, kinds)
	return out
}
