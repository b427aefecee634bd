package bench

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A stream's parts, framed for transfer-encoding chunked. The first event is
// Azure's filter report, and the second sets the role; neither is a token.
const (
	streamHeaders = "content-type: text/event-stream; charset=utf-8\r\n" + azureHeaders
	streamHead    = "HTTP/1.1 200 OK\r\n" + streamHeaders + "transfer-encoding: chunked\r\n\r\n"
	eventStart    = `data: {"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx","object":"chat.completion.chunk","created":1741000000,` +
		`"model":"gpt-4o-mini-2024-07-18","system_fingerprint":"fp_0123456789",`
	filterEvent = `data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,` +
		`"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}]}` + "\n\n"
	roleEvent = eventStart + `"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},` +
		`"logprobs":null,"finish_reason":null,"content_filter_results":{}}]}` + "\n\n"
	tokenEvent = eventStart + `"choices":[{"index":0,"delta":{"content":"` + stampMark + `"},` +
		`"logprobs":null,"finish_reason":null,"content_filter_results":{}}]}` + "\n\n"
	finishEvent = eventStart + `"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop","content_filter_results":{}}]}` + "\n\n"
	usageEvent  = eventStart + `"choices":[],"usage":{"prompt_tokens":220,"completion_tokens":64,"total_tokens":284}}` + "\n\n"
	doneEvent   = "data: [DONE]\n\n"

	// stampMark is a token's text: a stamp is put in its place.
	stampMark = "            "
)

// A stream's start and end as they are sent, in one write each.
var (
	streamStart = streamHead + frame(filterEvent) + frame(roleEvent)
	streamEnd   = frame(finishEvent) + frame(usageEvent) + frame(doneEvent) + "0\r\n\r\n"
)

// frame wraps an event as one chunk of the transfer encoding.
func frame(event string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(event), event) }

// pacer writes streams of tokens at a fixed interval, all from one goroutine,
// spread evenly over the interval. The gateway sees what many busy deployments
// would send: a small chunk here, a small chunk there.
type pacer struct {
	interval time.Duration
	single   bool // a stream gets a token only once the client has the one before
	started  time.Time
	quit     chan struct{}
	sweep    sweep // of clients, at its turns

	written atomic.Int64             // tokens
	awaited [mostSingles]atomic.Bool // by stream: a token, where they come singly

	mu    sync.Mutex
	count int        // of streams so far
	slots [][]*paced // streams by the turn at which they are due
	next  int        // slot of the next stream
	begun int        // streams in slots whose head was written
	does  stage      // to the streams
	turns int        // so far
}

// mostSingles is the number of streams that may get their tokens singly.
const mostSingles = 1 << 10

// stage is what the streams of a pacer get at their turns.
type stage uint8

const (
	pouring stage = iota // their beginning, and then a token
	paused               // their beginning, and then nothing
	ending               // their end
)

// outlet is where one stream goes, in the framing of its protocol.
type outlet interface {
	begin() error
	token(*stamped) error
	finish() error
}

// plainOutlet speaks HTTP/1.1. It writes tokens to the socket without the
// runtime's help, which would take what the contestant needs.
type plainOutlet struct {
	conn   net.Conn
	socket int // of conn
}

func (o *plainOutlet) begin() error {
	_, err := io.WriteString(o.conn, streamStart)
	return err
}

func (o *plainOutlet) token(t *stamped) error {
	n, err := syscall.Write(o.socket, t.raw)
	if err == nil && n == len(t.raw) {
		return nil
	}
	_, err = o.conn.Write(t.raw[max(n, 0):]) // waits, or tells what is wrong
	return err
}

func (o *plainOutlet) finish() error {
	_, err := io.WriteString(o.conn, streamEnd)
	return err
}

// sharedOutlet is one answer of net/http's server, which has its connection in
// common with others over HTTP/2.
type sharedOutlet struct {
	w       io.Writer
	control *http.ResponseController
}

func (o sharedOutlet) send(event string) error {
	if _, err := io.WriteString(o.w, event); err != nil {
		return err
	}
	return o.control.Flush()
}

func (o sharedOutlet) begin() error { return o.send(filterEvent + roleEvent) }

func (o sharedOutlet) token(t *stamped) error {
	if _, err := o.w.Write(t.event); err != nil {
		return err
	}
	return o.control.Flush()
}

func (o sharedOutlet) finish() error { return o.send(finishEvent + usageEvent + doneEvent) }

// paced is one stream under way.
type paced struct {
	to     outlet
	number int
	asked  time.Time
	begun  bool
	end    chan error // gets one value
}

// firstWait is the least time from a request to its answer's head. A head that
// comes while ReverseProxy has not yet looked for the end of the request's body
// makes it break the connection off.
const firstWait = 2 * time.Millisecond

// turn is how often the pacer wakes up.
const turn = time.Millisecond

// newPacer returns a pacer that runs until tb ends.
func newPacer(tb testing.TB, interval time.Duration) *pacer {
	p := &pacer{
		interval: interval, started: time.Now(), quit: make(chan struct{}),
		slots: make([][]*paced, max(int(interval/turn), 1)), sweep: sweep{room: make([]byte, 64<<10)},
	}
	var wg sync.WaitGroup
	wg.Go(p.run)
	tb.Cleanup(func() {
		close(p.quit)
		wg.Wait()
	})
	return p
}

// stream has one stream written to conn and returns when it has ended.
func (p *pacer) stream(conn net.Conn) error {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	to := &plainOutlet{conn: conn}
	if err := raw.Control(func(fd uintptr) { to.socket = int(fd) }); err != nil {
		return err
	}
	return p.pour(to)
}

// ServeHTTP answers with one stream.
func (p *pacer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the contestant left; its client tells
	}
	setHeaders(w, streamHeaders)
	if p.pour(sharedOutlet{w, http.NewResponseController(w)}) != nil {
		panic(http.ErrAbortHandler)
	}
}

// pour has one stream written and returns when it has ended.
func (p *pacer) pour(to outlet) error {
	s := &paced{to: to, asked: time.Now(), end: make(chan error, 1)}
	p.mu.Lock()
	s.number = p.count
	p.count++
	p.slots[p.next] = append(p.slots[p.next], s)
	p.next = (p.next + 1) % len(p.slots)
	p.mu.Unlock()
	return <-s.end
}

// write writes what is due of s: its beginning, or a token.
func (p *pacer) write(s *paced, token *stamped) error {
	if !s.begun {
		if time.Since(s.asked) < firstWait {
			return nil
		}
		s.begun = true
		p.begun++
		return s.to.begin()
	}
	if p.does == paused || p.single && p.awaited[s.number].Swap(true) {
		return nil
	}
	token.put(stamp{time.Since(p.started), s.number})
	p.written.Add(1)
	return s.to.token(token)
}

// arrived says that the client has the token of that stamp, and returns how
// long it was on its way.
func (p *pacer) arrived(s stamp) time.Duration {
	if p.single {
		p.awaited[s.stream].Store(false)
	}
	return time.Since(p.started) - s.written
}

// finish writes the end of s. Whoever left before it began gets it too.
func (p *pacer) finish(s *paced) error {
	if !s.begun {
		if err := s.to.begin(); err != nil {
			return err
		}
	}
	return s.to.finish()
}

// awaitStreams waits until count streams are under way, or have failed.
func (p *pacer) awaitStreams(count int, failed *atomic.Int64) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); p.live()+int(failed.Load()) < count; <-poll.C {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d streams have begun", p.live(), count)
		}
	}
	return nil
}

// live returns how many streams are under way.
func (p *pacer) live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun
}

// set says what streams get from now on.
func (p *pacer) set(does stage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.does = does
}

// run takes turn after turn until quit is closed. A pacer that has fallen
// behind by more than an interval skips what it missed, instead of sending it
// at once.
func (p *pacer) run() {
	token := newStamped(tokenEvent)
	due := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ; i = (i + 1) % len(p.slots) {
		due = due.Add(turn)
		now := time.Now()
		if now.Sub(due) > p.interval {
			due = now
		}
		if wait := due.Sub(now); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-p.quit:
				p.abandon()
				return
			}
		}
		p.turn(i, token)
	}
}

// turn serves the streams of one slot.
func (p *pacer) turn(i int, token *stamped) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turns++; p.does != paused {
		p.sweep.turn(p.turns)
	}
	live := p.slots[i][:0]
	for _, s := range p.slots[i] {
		var err error
		if p.does == ending {
			err = p.finish(s)
		} else if err = p.write(s, token); err == nil {
			live = append(live, s)
			continue
		}
		if s.begun {
			p.begun--
		}
		s.end <- err
	}
	clear(p.slots[i][len(live):])
	p.slots[i] = live
}

// abandon ends the streams that are left.
func (p *pacer) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, slot := range p.slots {
		for _, s := range slot {
			s.end <- net.ErrClosed
		}
	}
	p.sweep.abandon()
}

// stamped is an event with room for a stamp.
type stamped struct {
	raw   []byte // framed
	event []byte // in raw
	mark  []byte // in event
}

func newStamped(event string) *stamped {
	raw := []byte(frame(event))
	at := bytes.Index(raw, []byte(stampMark))
	begin := bytes.Index(raw, []byte("data:"))
	return &stamped{raw, raw[begin : begin+len(event)], raw[at : at+len(stampMark)]}
}

// stamp tells a token's origin.
type stamp struct {
	written time.Duration // since the pacer's start, in whole microseconds
	stream  int
}

// put puts a stamp in the event.
func (s *stamped) put(what stamp) {
	us, n := uint32(what.written.Microseconds()), uint16(what.stream)
	hex.Encode(s.mark, []byte{byte(us >> 24), byte(us >> 16), byte(us >> 8), byte(us), byte(n >> 8), byte(n)})
}

// stampIn returns the stamp of a line of a stream, if it is a token.
func stampIn(line []byte) (s stamp, ok bool) {
	rest, ok := textIn(line)
	var raw [len(stampMark) / 2]byte
	if !ok || len(rest) < len(stampMark) {
		return s, false
	}
	if _, err := hex.Decode(raw[:], rest[:len(stampMark)]); err != nil {
		return s, false
	}
	us := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
	return stamp{time.Duration(us) * time.Microsecond, int(raw[4])<<8 | int(raw[5])}, true
}
