package bench

import (
	"fmt"
	"testing"
	"time"
)

// startRounds is how often the gateway is started.
const startRounds = 9

// BenchmarkStart holds the time from exec to the first answer of /readyz, and
// the memory of a gateway that has nothing to do.
func BenchmarkStart(b *testing.B) {
	binary(b) // builds it before the clock runs
	for b.Loop() {
		var took, idle sample
		for range startRounds {
			c := startSpillway(b, &deployment{base: "http://127.0.0.1:9"}, "stream")
			took = append(took, millis(c.startup))
			<-time.After(200 * time.Millisecond)
			idle = append(idle, float64(c.memory(b).resident)/(1<<20))
		}
		board.add(b, score{
			name: "start: exec to ready", value: took.median(), limit: 100, unit: "ms",
			detail: fmt.Sprintf("%v ms", took),
		})
		board.add(b, score{
			name: "start: idle memory", value: idle.median(), limit: 30, unit: "MiB",
			detail: fmt.Sprintf("%v MiB resident", idle),
		})
	}
}
