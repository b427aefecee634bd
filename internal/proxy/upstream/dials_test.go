package upstream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestDialLimiterWait uses all slots: the next request waits for one, until
// dialWait is over or the request is canceled.
func TestDialLimiterWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newDialLimiter("https", time.Minute)
		first := dialSlot{limiter: l}
		for range maxDials {
			if !l.acquire(t.Context()) {
				t.Fatal("no slot in an unused limiter")
			}
		}
		began := time.Now()
		if l.acquire(t.Context()) || time.Since(began) != dialWait {
			t.Errorf("gave up after %v, want %v", time.Since(began), dialWait)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		began = time.Now()
		if l.acquire(ctx) || time.Since(began) != time.Millisecond {
			t.Errorf("gave up %v after the request, want at once", time.Since(began)-time.Millisecond)
		}
		time.AfterFunc(time.Millisecond, func() {
			first.release()
			first.release() // counts once
		})
		if !l.acquire(t.Context()) {
			t.Error("the slot that was released is not free")
		}
		if n := len(l.slots); n != maxDials {
			t.Errorf("%d slots taken, want %d", n, maxDials)
		}
	})
}
