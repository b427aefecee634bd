package imports

import (
	"math/rand/v2"
	"testing"
)

func randomPiece(rng *rand.Rand) piece {
	var p piece
	for i := range p.key {
		p.key[i] = byte(rng.Uint32())
	}
	p.kind = kind(rng.IntN(int(kindCount)))
	for f := range factCount {
		if rng.IntN(2) == 0 {
			p.know(f, rng.Int64())
		}
	}
	return p
}

// Pieces come out of a spill as they went in, whatever had to be written out.
func TestSpill(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const divisions = 3
	s, err := newSpill(t.TempDir(), divisions)
	if err != nil {
		t.Fatal(err)
	}
	var want [divisions][]piece
	for range 5000 {
		p := randomPiece(rng)
		i := p.key.division(divisions)
		want[i] = append(want[i], p)
		if err := s.add(i, &p); err != nil {
			t.Fatal(err)
		}
	}
	if s.end == 0 {
		t.Error("nothing was written out")
	}
	var got []piece
	for range 2 { // as often as one likes
		for i := range divisions {
			if got, err = s.read(i, got); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want[i]) {
				t.Fatalf("%d pieces, want %d", len(got), len(want[i]))
			}
			for j := range got {
				if got[j] != want[i][j] {
					t.Fatalf("piece %d of %d: %v, want %v", j, i, got[j], want[i][j])
				}
			}
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func FuzzPiece(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 4 {
		p := randomPiece(rng)
		f.Add(p.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p, q piece
		rest, err := p.decode(b)
		if err != nil {
			return
		}
		if len(rest) >= len(b) {
			t.Fatal("nothing was consumed")
		}
		if _, err := q.decode(p.append(nil)); err == nil && q != p {
			t.Errorf("%v, want %v", q, p)
		}
	})
}
