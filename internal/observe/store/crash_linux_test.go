package store

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// crashDir tells the test binary that it is the child of TestKill, and where
// to write.
const crashDir = "SPILLWAY_STORE_CRASH_DIR"

// TestKillChild records until it is killed, and tells of every record after it
// was given to the writer.
func TestKillChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("TestKill runs it")
	}
	w := newTestWriter(t, Config{Dir: dir, SealRecords: 300, SealAfter: 200 * time.Millisecond})
	life := os.Getpid()
	for i := 0; ; i++ {
		now := time.Now()
		w.Record(&spillway.Record{
			ID: fmt.Sprintf("%d-%d", life, i), Time: now, Caller: strings.Repeat("c", i%200),
			Attempts: make([]spillway.Attempt, i%3), E2E: time.Duration(i) * time.Millisecond,
		})
		fmt.Println(now.UnixMicro())
		time.Sleep(time.Millisecond)
		if w.Dropped() > 0 {
			t.Fatal("dropped records")
		}
	}
}

// life is one child that was killed.
type life struct {
	told []int64 // the times of the records that it told of, in microseconds
	seen int     // how many of its records a reader saw before the end
}

// live runs a child and kills it a while after a reader has seen records of it.
// How old a record may be that no reader sees is a matter of TestWriterKeepsTime.
func live(t *testing.T, dir string, while time.Duration) (pid string, l life) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillChild$")
	child.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid = fmt.Sprint(child.Process.Pid)
	var listening sync.WaitGroup
	listening.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var us int64
			if _, err := fmt.Sscan(lines.Text(), &us); err != nil {
				t.Errorf("the child says %q", lines.Text())
			}
			l.told = append(l.told, us)
		}
	})
	for l.seen == 0 {
		time.Sleep(10 * time.Millisecond)
		l.seen = recordsOf(read(t, dir, Query{From: began}), pid)
	}
	time.Sleep(while)
	l.seen = recordsOf(read(t, dir, Query{From: began}), pid)
	if err := child.Process.Kill(); err != nil {
		t.Fatalf("the child ended by itself: %v", err)
	}
	listening.Wait()
	_ = child.Wait() // killed
	return pid, l
}

// recordsOf counts the records of one child.
func recordsOf(records []spillway.Record, pid string) (n int) {
	for i := range records {
		if strings.HasPrefix(records[i].ID, pid+"-") {
			n++
		}
	}
	return n
}

// A process that is killed at any moment, again and again in one directory,
// loses nothing that a reader has seen, tears nothing and doubles nothing.
func TestKill(t *testing.T) {
	const rounds = 8
	dir := t.TempDir()
	lives := map[string]life{}
	for range rounds {
		pid, l := live(t, dir, time.Duration(rand.IntN(600))*time.Millisecond)
		lives[pid] = l
	}
	if err := newTestWriter(t, Config{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{} // records of each life, which must be its first ones
	seen := map[string]bool{}
	records := read(t, dir, Query{})
	for _, r := range records {
		pid, index, _ := strings.Cut(r.ID, "-")
		var i int
		if _, err := fmt.Sscan(index, &i); err != nil || seen[r.ID] {
			t.Fatalf("%s is doubled or torn", r.ID)
		}
		seen[r.ID] = true
		found[pid]++
		if len(r.Caller) != i%200 || len(r.Attempts) != i%3 || r.E2E != time.Duration(i)*time.Millisecond {
			t.Fatalf("record %d is torn: %+v", i, r)
		}
		if told := lives[pid].told; i < len(told) && told[i] != r.Time.UnixMicro() {
			t.Fatalf("record %d is of %d, want %d", i, r.Time.UnixMicro(), told[i])
		}
	}
	for pid, l := range lives {
		for i := range found[pid] {
			if !seen[fmt.Sprint(pid, "-", i)] {
				t.Fatalf("%s lost record %d of %d in the middle", pid, i, found[pid])
			}
		}
		if found[pid] < l.seen {
			t.Errorf("%s has left %d records, and a reader has seen %d", pid, found[pid], l.seen)
		}
	}
	t.Logf("%d lives, %d records, %d files", len(lives), len(records), len(namesIn(t, dir)))
}

// stateDir tells the test binary that it is the child of TestKillWhileSaving.
const stateDir = "SPILLWAY_STORE_STATE_DIR"

// TestSaveChild saves states until it is killed, each of one byte that repeats.
func TestSaveChild(t *testing.T) {
	dir := os.Getenv(stateDir)
	if dir == "" {
		t.Skip("TestKillWhileSaving runs it")
	}
	for i := 0; ; i++ {
		if err := SaveState(dir, "x", bytes.Repeat([]byte{byte(i)}, 1+i%7*50_000)); err != nil {
			t.Fatal(err)
		}
		fmt.Println(i)
	}
}

// A process that is killed while it saves leaves the last state that it told
// of, or the one after that, whole; the next writer sweeps up.
func TestKillWhileSaving(t *testing.T) {
	dir := t.TempDir()
	for range 6 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSaveChild$")
		child.Env = append(os.Environ(), stateDir+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		told, lines := -1, bufio.NewScanner(out)
		for until := 3 + rand.IntN(20); told < until && lines.Scan(); {
			if _, err := fmt.Sscan(lines.Text(), &told); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
		}
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
		_ = child.Process.Kill()
		for lines.Scan() {
			_, _ = fmt.Sscan(lines.Text(), &told)
		}
		_ = child.Wait() // killed
		data, err := LoadState(dir, "x")
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{told, told + 1} {
			if bytes.Equal(data, bytes.Repeat([]byte{byte(i)}, 1+i%7*50_000)) {
				told = -1
			}
		}
		if told >= 0 {
			t.Errorf("after state %d there are %d bytes of %d", told, len(data), data[0])
		}
	}
	if err := newTestWriter(t, Config{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	if got := namesIn(t, dir); len(got) != 1 {
		t.Errorf("left are %v", got)
	}
}

// smallDisk is a file system of its own with little room.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", bytes)); err != nil {
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// A full disk costs counted records and nothing else: what was written stays,
// and when there is room it goes on by itself.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, 512<<10)
	w := newTestWriter(t, Config{Dir: dir, SealRecords: 400, Queue: 1000})
	sent := 0
	send := func() {
		t.Helper()
		for range 500 {
			w.Record(&spillway.Record{ID: fmt.Sprint(sent), Time: accepted.Add(time.Duration(sent) * time.Millisecond)})
			sent++
		}
		for len(read(t, dir, Query{}))+int(w.Dropped()) < sent { // neither written nor lost yet
			time.Sleep(time.Millisecond)
		}
	}
	send()
	if w.Dropped() > 0 {
		t.Fatal("dropped on an empty disk")
	}
	ballast := filepath.Join(dir, "ballast")
	fillUp(t, ballast)
	for w.Dropped() == 0 && sent < 100_000 {
		send()
	}
	if w.Dropped() == 0 {
		t.Fatal("the disk never ran full")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	send()
	full := w.Dropped()
	send()
	if got := w.Dropped(); got != full {
		t.Errorf("dropped %d with room, %d before", got, full)
	}
	if err := w.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	got := read(t, dir, Query{})
	seen := map[string]bool{}
	for _, r := range got {
		if seen[r.ID] {
			t.Fatalf("record %s is there twice", r.ID)
		}
		seen[r.ID] = true
	}
	if len(got)+int(w.Dropped()) != sent || !seen["0"] || !seen[fmt.Sprint(sent-1)] {
		t.Errorf("%d records and %d dropped of %d", len(got), w.Dropped(), sent)
	}
}

// A merge does not take the last room on the disk.
func TestMergeLeavesRoom(t *testing.T) {
	dir := smallDisk(t, 1<<20)
	for i := range mergeFiles {
		name, data := segmentOf(t, int64(i+1), at(i, "x"))
		put(t, dir, name, data)
	}
	ballast := filepath.Join(dir, "ballast")
	fillUp(t, ballast)
	info, err := os.Stat(ballast)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(ballast, info.Size()-64<<10); err != nil { // less than the segments take
		t.Fatal(err)
	}
	k := newKeeper(Config{Dir: dir}.withDefaults(), 1<<40)
	if err := k.work(accepted); err != nil {
		t.Error(err)
	}
	if n := len(namesIn(t, dir)); n != mergeFiles+1 {
		t.Errorf("%d files without room", n)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := k.work(accepted); err != nil {
		t.Error(err)
	}
	if n := len(namesIn(t, dir)); n != 1 {
		t.Errorf("%d files with room", n)
	}
}

// fillUp writes until there is no room.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}
