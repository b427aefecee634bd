package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestGolden(t *testing.T) {
	several := sample(t, 3)
	one := NewComparison("One policy", sample(t, 1).Policies[0])
	for _, tc := range []struct {
		file  string
		c     Comparison
		write func(io.Writer, Comparison) error
	}{
		{"sample.txt", several, WriteText},
		{"sample.json", several, WriteJSON},
		{"sample.html", several, WriteHTML},
		{"one.txt", one, WriteText},
		{"one.html", one, WriteHTML},
		{"empty.txt", Comparison{}, WriteText},
		{"empty.json", Comparison{}, WriteJSON},
		{"empty.html", Comparison{}, WriteHTML},
	} {
		var got bytes.Buffer
		if err := tc.write(&got, tc.c); err != nil {
			t.Fatalf("%s: %v", tc.file, err)
		}
		golden(t, tc.file, got.Bytes())
	}
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; rewrite it with -update and look at the difference. got:\n%s", file, got)
	}
}

func TestTextIsAtMost120Columns(t *testing.T) {
	c := sample(t, 3)
	for i := range 8 { // more policies than fit side by side, and long names
		s := c.Policies[i%6]
		s.Name = strings.Repeat("long-name-", i)
		c.Policies = append(c.Policies, s)
	}
	var out bytes.Buffer
	if err := WriteText(&out, c); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 120 {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.HasSuffix(line, " \n") {
			t.Errorf("blank at the end: %q", line)
		}
	}
	for _, s := range c.Policies {
		if !strings.Contains(out.String(), clip(s.Name, 12)) {
			t.Errorf("%s is missing", s.Name)
		}
	}
}
