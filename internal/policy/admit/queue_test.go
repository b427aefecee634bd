package admit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// item reads "name priority deadline caller", the deadline in seconds or "-".
func item(t *testing.T, s string) admit.Item[string] {
	t.Helper()
	f := strings.Fields(s)
	it := admit.Item[string]{Value: f[0], Caller: f[3]}
	switch f[1] {
	case "low":
		it.Priority = spillway.PriorityLow
	case "high":
		it.Priority = spillway.PriorityHigh
	}
	if f[2] != "-" {
		d, err := time.ParseDuration(f[2] + "s")
		if err != nil {
			t.Fatal(err)
		}
		it.Deadline = epoch.Add(d)
	}
	return it
}

// contents lists a queue in the order in which it is served.
func contents[T comparable](q *admit.Queue[T]) string {
	var names []string
	for i := range q.Len() {
		names = append(names, fmt.Sprint(q.At(i)))
	}
	return strings.Join(names, " ")
}

func TestPush(t *testing.T) {
	tests := []struct {
		name    string
		cfg     admit.Config
		waiting []string // pushed first
		push    string
		evicted string
		refused bool
		want    string
	}{
		{"empty", admit.Config{}, nil, "a normal 9 x", "", false, "a"},
		{"by deadline", admit.Config{}, []string{"a normal 9 x", "b normal 3 x"}, "c normal 5 x", "", false, "b c a"},
		{"without deadline last", admit.Config{}, []string{"a normal - x", "b normal 3 x"}, "c normal - x", "", false, "b a c"},
		{"by priority first", admit.Config{}, []string{"a low 1 x", "b normal 3 x"}, "c high 9 x", "", false, "c b a"},
		{"by arrival at last", admit.Config{}, []string{"a normal 5 x", "b normal 5 x"}, "c normal 5 x", "", false, "a b c"},
		{"too late already", admit.Config{}, []string{"a normal 5 x"}, "c normal 0 x", "", true, "a"},
		{"nobody may wait", admit.Config{MaxLength: -1}, nil, "a normal 5 x", "", true, ""},
		{"full sheds the last", admit.Config{MaxLength: 2}, []string{"a normal 5 x", "b normal 7 y"}, "c normal 6 z", "b", false, "a c"},
		{"full refuses who is last", admit.Config{MaxLength: 2}, []string{"a normal 5 x", "b normal 7 y"}, "c normal 8 z", "", true, "a b"},
		{"full refuses an equal", admit.Config{MaxLength: 2}, []string{"a normal 5 x", "b normal 7 y"}, "c normal 7 z", "", true, "a b"},
		{"alone a caller may fill it", admit.Config{MaxLength: 3}, []string{"a normal 5 x", "b normal 6 x"}, "c normal 7 x", "", false, "a b c"},
		{"a caller at its share", admit.Config{MaxLength: 4}, []string{"a normal 5 x", "b normal 6 x", "o normal 9 y"}, "c normal 7 x", "", true, "a b o"},
		{"a caller at its share replaces its own", admit.Config{MaxLength: 4}, []string{"a normal 5 x", "b low 6 x", "o low 9 y"}, "c normal 7 x", "b", false, "a c o"},
		{"a larger share", admit.Config{MaxLength: 4, MaxShare: 0.75}, []string{"a normal 5 x", "b normal 6 x", "o normal 9 y"}, "c normal 7 x", "", false, "a b c o"},
		{"one place at least", admit.Config{MaxLength: 2, MaxShare: 0.01}, []string{"o normal 9 y"}, "c normal 7 x", "", false, "c o"},
		{"the greedy make room", admit.Config{MaxLength: 4}, []string{"a normal 5 x", "b normal 6 x", "c normal 7 x", "d normal 8 x"}, "o normal 9 y", "d", false, "a b c o"},
		{"nor do they make room for themselves", admit.Config{MaxLength: 2}, []string{"a normal 5 x", "b normal 6 x"}, "c normal 7 x", "", true, "a b"},
		{"but not the more important", admit.Config{MaxLength: 4}, []string{"a high 5 x", "b high 6 x", "c high 7 x", "d high 8 x"}, "o normal 9 y", "", true, "a b c d"},
		{"nor the modest", admit.Config{MaxLength: 4}, []string{"a normal 5 x", "b normal 6 x", "c normal 7 y", "d normal 8 y"}, "o normal 9 z", "", true, "a b c d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := admit.NewQueue[string](tt.cfg)
			for _, w := range tt.waiting {
				if _, _, ok := q.Push(epoch, item(t, w)); !ok {
					t.Fatalf("%s was refused", w)
				}
			}
			evicted, hasEvicted, ok := q.Push(epoch, item(t, tt.push))
			if evicted != tt.evicted || hasEvicted != (tt.evicted != "") || ok == tt.refused {
				t.Errorf("evicted %q %v, accepted %v; want %q, refused %v", evicted, hasEvicted, ok, tt.evicted, tt.refused)
			}
			if got := contents(q); got != tt.want {
				t.Errorf("waiting %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTakeOut(t *testing.T) {
	q := admit.NewQueue[string](admit.Config{})
	if _, ok := q.Peek(); ok {
		t.Error("peek of nothing")
	}
	if _, ok := q.Pop(); ok {
		t.Error("pop of nothing")
	}
	for _, s := range []string{"a normal 5 x", "b normal 6 y", "c low 1 x"} {
		q.Push(epoch, item(t, s))
	}
	if got, ok := q.Peek(); got != "a" || !ok {
		t.Errorf("peek: %q", got)
	}
	if !q.Remove("b") || q.Remove("b") || q.Remove("") {
		t.Error("remove is wrong about what waits")
	}
	if got, ok := q.Pop(); got != "a" || !ok {
		t.Errorf("pop: %q", got)
	}
	if got := contents(q); got != "c" {
		t.Errorf("left %q, want c", got)
	}
}

func TestFeasible(t *testing.T) {
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	tests := []struct {
		deadline, ready time.Time
		need            time.Duration
		want            bool
	}{
		{time.Time{}, at(999), time.Hour, true},
		{at(10), time.Time{}, 10 * time.Second, true},
		{at(10), at(4), 6 * time.Second, true},
		{at(10), at(5), 6 * time.Second, false},
		{at(10), at(-5), 11 * time.Second, false}, // ready long ago starts now
	}
	for _, tt := range tests {
		if got := admit.Feasible(at(0), tt.deadline, tt.ready, tt.need); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// model is the queue as a plain list.
type model []admit.Item[int]

func (m model) sort() {
	slices.SortStableFunc(m, func(a, b admit.Item[int]) int {
		if a.Priority != b.Priority {
			return int(b.Priority) - int(a.Priority)
		}
		never := epoch.Add(1000 * time.Hour)
		for _, d := range []*time.Time{&a.Deadline, &b.Deadline} {
			if d.IsZero() {
				*d = never
			}
		}
		return a.Deadline.Compare(b.Deadline)
	})
}

func (m *model) remove(value int) {
	*m = slices.DeleteFunc(*m, func(it admit.Item[int]) bool { return it.Value == value })
}

func (m model) held(caller string) (n int) {
	for _, it := range m {
		if it.Caller == caller {
			n++
		}
	}
	return n
}

func TestQueueAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const length, share = 8, 4
		q := admit.NewQueue[int](admit.Config{MaxLength: length})
		var m model
		next := 0
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				got, ok := q.Pop()
				if ok != (len(m) > 0) || ok && got != m[0].Value {
					t.Fatalf("popped %d %v of %v", got, ok, m)
				}
				m.remove(got)
			case 1:
				value := rapid.IntRange(0, next).Draw(t, "remove")
				had := slices.ContainsFunc(m, func(it admit.Item[int]) bool { return it.Value == value })
				if q.Remove(value) != had {
					t.Fatalf("remove %d: had it %v", value, had)
				}
				m.remove(value)
			default:
				it := admit.Item[int]{
					Value:    next,
					Priority: spillway.Priority(rapid.IntRange(-1, 1).Draw(t, "priority")),
					Caller:   rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "caller"),
				}
				if d := rapid.IntRange(0, 5).Draw(t, "deadline"); d > 0 {
					it.Deadline = epoch.Add(time.Duration(d) * time.Second)
				}
				next++
				before, others := len(m), len(m)-m.held(it.Caller)
				held := m.held(it.Caller)
				evicted, hasEvicted, accepted := q.Push(epoch, it)
				if hasEvicted {
					at := slices.IndexFunc(m, func(o admit.Item[int]) bool { return o.Value == evicted })
					if at < 0 || !accepted || m[at].Priority > it.Priority {
						t.Fatalf("evicted %d for %+v from %v", evicted, it, m)
					}
					m.remove(evicted)
				}
				if accepted {
					m = append(m, it)
					m.sort()
				}
				if free := before < length && (held < share || others == 0); free && (!accepted || hasEvicted) {
					t.Fatalf("%+v had a place: accepted %v, evicted %v", it, accepted, hasEvicted)
				}
				if now := m.held(it.Caller); now > max(held, share) && others > 0 {
					t.Fatalf("%s holds %d while others wait", it.Caller, now)
				}
			}
			if q.Len() != len(m) || q.Len() > length {
				t.Fatalf("length %d, want %d", q.Len(), len(m))
			}
			for i, it := range m {
				if q.At(i) != it.Value {
					t.Fatalf("place %d holds %d, want %d of %v", i, q.At(i), it.Value, m)
				}
			}
		}
	})
}

// churn returns a step that keeps a queue of n waiting items in motion.
func churn(n int) func() {
	type flight struct{ id int }
	q := admit.NewQueue[*flight](admit.Config{})
	flights := make([]*flight, n)
	callers := []string{"search", "chat", "batch", "review"}
	push := func(i int) {
		deadline := epoch.Add(time.Duration(1+i*7919%n) * time.Millisecond)
		q.Push(epoch, admit.Item[*flight]{Value: flights[i%n], Deadline: deadline, Caller: callers[i%4]})
	}
	for i := range flights {
		flights[i] = &flight{i}
		push(i)
	}
	i := 0
	return func() {
		i++
		q.Remove(flights[i%n])
		push(i)
	}
}

func TestQueueAllocatesNothing(t *testing.T) {
	step := churn(100)
	for range 10_000 {
		step()
	}
	if got := testing.AllocsPerRun(1000, step); got != 0 {
		t.Errorf("%v allocations per removal and push, want 0", got)
	}
}

func BenchmarkQueue(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			step := churn(n)
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
		})
	}
}

func BenchmarkPushWhenFull(b *testing.B) {
	q := admit.NewQueue[int](admit.Config{})
	for i := range 1024 {
		q.Push(epoch, admit.Item[int]{Value: i, Caller: "greedy", Priority: spillway.PriorityHigh})
	}
	late := admit.Item[int]{Value: -1, Caller: "other"}
	b.ReportAllocs()
	for b.Loop() {
		q.Push(epoch, late)
	}
}
