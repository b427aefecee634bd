package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/store"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/gateway"
)

const (
	// learnedName is the state's name in the store.
	learnedName = "learned"
	// saveEvery is how much of what was learned a crash may lose.
	saveEvery = time.Minute
	// storedName is the name of the state that says which deployment holds which stored
	// object of a client. It is a state of its own because it can be large, and is
	// saved only when it has changed.
	storedName = "stored_objects"
)

// storedFile is what is kept of stored objects.
type storedFile struct {
	Objects []gateway.StoredObject `json:"objects"`
}

// learnedFile is what is kept of what all pools have learned.
type learnedFile struct {
	Pools map[string]*policy.Learned `json:"pools"`
}

// learner keeps what the gateway learns in the store: every minute, and at the
// end. The nil learner keeps nothing.
type learner struct {
	gateway *gateway.Gateway
	dir     string
	log     *slog.Logger
	failed  bool   // the last save; owned by the goroutine
	version uint64 // of the stored objects that were saved last; likewise
	end     chan struct{}
	done    chan struct{}
}

// startLearner has the gateway take up what was learned before, and keeps what
// it learns until stop. State that cannot be restored is logged and ignored.
func startLearner(g *gateway.Gateway, dir string, log *slog.Logger) *learner {
	l := &learner{gateway: g, dir: dir, log: log, end: make(chan struct{}), done: make(chan struct{})}
	l.restore()
	l.restoreObjects()
	go l.run()
	return l
}

// restore restores the last saved state.
func (l *learner) restore() {
	data, err := store.LoadState(l.dir, learnedName)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var restored policy.Restored
	if err == nil {
		restored, err = learn(l.gateway, data)
	}
	if err != nil {
		l.log.Warn("ignoring unreadable learned state, starting from defaults", "error", err)
	}
	if restored != (policy.Restored{}) {
		l.log.Info("learned state restored", "age", restored.Age.Round(time.Second).String(), "deployments", restored.Deployments,
			"measured", restored.Measured, "callers_and_routes", restored.Keys, "skipped", restored.Left)
	}
}

// restoreObjects restores where stored objects are.
func (l *learner) restoreObjects() {
	data, err := store.LoadState(l.dir, storedName)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var f storedFile
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		l.log.Warn("ignoring unreadable state of stored objects: requests for them go to any deployment", "error", err)
		return
	}
	n := l.gateway.RestoreStoredObjects(f.Objects)
	_, l.version = l.gateway.StoredObjects(0)
	if len(f.Objects) > 0 {
		l.log.Info("deployments of stored objects restored", "objects", n, "skipped", len(f.Objects)-n)
	}
}

// saveObjects saves where stored objects are, if that has changed.
func (l *learner) saveObjects() error {
	list, version := l.gateway.StoredObjects(l.version)
	if version == l.version {
		return nil
	}
	data, err := json.Marshal(storedFile{list})
	if err == nil {
		err = store.SaveState(l.dir, storedName, data)
	}
	if err == nil {
		l.version = version
	}
	return err
}

// learn restores into g the state that encodeLearned wrote.
func learn(g *gateway.Gateway, data []byte) (policy.Restored, error) {
	var f learnedFile
	if err := json.Unmarshal(data, &f); err != nil {
		return policy.Restored{}, fmt.Errorf("decoding: %w", err)
	}
	return g.Learn(f.Pools)
}

// encodeLearned is what g has learned, as bytes.
func encodeLearned(g *gateway.Gateway) ([]byte, error) {
	return json.Marshal(learnedFile{g.Learned()})
}

// run saves until stop, and once more then.
func (l *learner) run() {
	defer close(l.done)
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.save()
		case <-l.end:
			l.save()
			return
		}
	}
}

// save saves the learned state. A failure is logged when it begins and when it
// ends.
func (l *learner) save() {
	data, err := encodeLearned(l.gateway)
	if err == nil {
		err = store.SaveState(l.dir, learnedName, data)
	}
	err = errors.Join(err, l.saveObjects())
	switch {
	case err != nil && !l.failed:
		l.log.Error("saving learned state failed, will retry", "error", err)
	case err == nil && l.failed:
		l.log.Info("saving learned state recovered")
	}
	l.failed = err != nil
}

// stop saves for the last time and waits for that. It may be called once.
func (l *learner) stop() {
	if l == nil {
		return
	}
	close(l.end)
	<-l.done
}
