package bench

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A stream's parts, framed for transfer-encoding chunked. The first event is
// Azure's filter report, and the second sets the role; neither is a token.
const (
	streamHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n" + azureHeaders +
		"transfer-encoding: chunked\r\n\r\n"
	eventStart = `data: {"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx","object":"chat.completion.chunk","created":1741000000,` +
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

	// stampMark is a token's text: the instant of its writing is put in its
	// place, in microseconds since the pacer's start.
	stampMark = "        "
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
	started  time.Time
	quit     chan struct{}

	written atomic.Int64 // tokens

	mu     sync.Mutex
	slots  [][]*paced // streams by the turn at which they are due
	next   int        // slot of the next stream
	begun  int        // streams in slots whose head was written
	ending bool       // streams end at their next turn
}

// paced is one stream under way.
type paced struct {
	conn  net.Conn
	asked time.Time
	begun bool
	end   chan error // gets one value
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
		slots: make([][]*paced, max(int(interval/turn), 1)),
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
	s := &paced{conn: conn, asked: time.Now(), end: make(chan error, 1)}
	p.mu.Lock()
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
		_, err := io.WriteString(s.conn, streamStart)
		return err
	}
	_, err := s.conn.Write(token.at(time.Since(p.started)))
	p.written.Add(1)
	return err
}

// finish writes the end of s. Whoever left before it began gets it too.
func (p *pacer) finish(s *paced) error {
	end := streamEnd
	if !s.begun {
		end = streamStart + end
	}
	_, err := io.WriteString(s.conn, end)
	return err
}

// awaitStreams waits until count streams are under way, or have failed.
func (p *pacer) awaitStreams(tb testing.TB, count int, failed *atomic.Int64) {
	tb.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); p.live()+int(failed.Load()) < count; <-poll.C {
		if time.Now().After(deadline) {
			tb.Errorf("%d of %d streams have begun", p.live(), count)
			return
		}
	}
}

// live returns how many streams are under way.
func (p *pacer) live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun
}

// setEnding says whether streams end at their next turn, or run on.
func (p *pacer) setEnding(ending bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending = ending
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
	live := p.slots[i][:0]
	for _, s := range p.slots[i] {
		var err error
		if p.ending {
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
}

// stamped is a framed event with room for a stamp.
type stamped struct {
	raw []byte
	off int // of the stamp
}

func newStamped(event string) *stamped {
	raw := []byte(frame(event))
	return &stamped{raw, bytes.Index(raw, []byte(stampMark))}
}

// at returns the event with its stamp, valid until the next call.
func (s *stamped) at(since time.Duration) []byte {
	us := uint32(since.Microseconds())
	hex.Encode(s.raw[s.off:], []byte{byte(us >> 24), byte(us >> 16), byte(us >> 8), byte(us)})
	return s.raw
}
