package archtest

import "testing"

func TestGlobals(t *testing.T) {
	tests := []struct {
		name string
		src  string
		want string
	}{
		{"guard", "var _ = f\nfunc f() {}", ""},
		{"sentinel", "import \"errors\"\n// ErrX is.\nvar ErrX = errors.New(`x`)", ""},
		{"false sentinel", "// ErrX is.\nvar ErrX = f()\nfunc f() error { return nil }", "globals: is none"},
		{"exported table", "// X is.\nvar X = []int{1}", "globals: is exported"},
		{"table", "var x = [...]string{`a`}\nfunc f(i int) string { return x[i] }", ""},
		{"map of functions", "var x = map[string]func(){`a`: func() { y := 1; _ = &y }}", ""},
		{"conversion", "var x = []byte(`data: `)", ""},
		{"built table", "var x = f()\nfunc f() map[string]int { return nil }", ""},
		{"built pointer", "var x = f()\nfunc f() *int { return nil }", "globals: not known to be constant"},
		{"pattern", "import \"regexp\"\nvar x = regexp.MustCompile(`a`)", ""},
		{"embedded", "import _ \"embed\"\n//go:embed a.txt\nvar x string", ""},
		{"embedded and written", "import _ \"embed\"\n//go:embed a.txt\nvar x string\nfunc f() { x = `` }", "globals: assigned to"},
		{"no value", "var x int", "globals: no value"},
		{"number", "var x = 3", "globals: should be a constant"},
		{"pointer", "type t struct{ n int }\nvar x = &t{}", "globals: neither a table"},
		{"pointer in a table", "type t struct{ n int }\nvar x = []*t{&t{}}", "globals: holds a pointer"},
		{"lock", "import \"sync\"\nvar x = sync.Mutex{}", "globals: holds sync.Mutex"},
		{"pool", "import \"sync\"\nvar x = sync.Pool{New: func() any { return nil }}", "globals: holds sync.Pool"},
		{"function value", "import \"strings\"\nvar x = strings.ToUpper", "globals: neither a table"},
		{"foreign call", "import \"net/http\"\nvar x = http.NewServeMux()", "globals: not known to be constant"},
		{"assigned", "var x = []int{1}\nfunc f() { x = nil }", "globals: assigned to"},
		{"element assigned", "var x = map[string]int{}\nfunc f() { x[`a`] = 1 }", "globals: assigned to"},
		{"field assigned", "var x = struct{ n int }{}\nfunc f() { x.n = 1 }", "globals: assigned to"},
		{"counted", "var x = [2]int{}\nfunc f() { x[0]++ }", "globals: counted up"},
		{"address taken", "var x = [2]int{}\nfunc f() *int { return &x[0] }", "globals: address is taken"},
		{"deleted from", "var x = map[int]int{}\nfunc f() { delete(x, 1) }", "globals: delete changes"},
		{"copied into", "var x = [2]int{}\nfunc f() { copy(x[:], nil) }", "globals: copy changes"},
		{"loop variable", "var x = [2]int{}\nfunc f() { for x[0] = range 3 {} }", "globals: a loop assigns"},
		{"changed by a method", "type t struct{ n int }\nfunc (t *t) inc() { t.n++ }\nvar x = t{}\nfunc f() { x.inc() }", "globals: method inc"},
		{"read by a method", "type t struct{ n int }\nfunc (t t) get() int { return t.n }\nvar x = t{}\nfunc f() { x.get() }", ""},
		{"shadowed", "var x = []int{1}\nfunc f() { x := []int{}; x[0] = 1 }", ""},
		{"local", "func f() { var x int; x++ }", ""},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) { expect(t, "internal/app/a.go", c.src, c.want) })
	}
	t.Run("variable of a test", func(t *testing.T) { expect(t, "internal/app/a_test.go", "var x int", "") })
}
