//go:build !wasm

package wasmilltest

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"wasmill"
	"wasmill/internal/host"
	"wasmill/timers"
)

const (
	// defaultRecordBytes and defaultTimers are what a manifest allows a key that does not say.
	defaultRecordBytes = 262_144
	defaultTimers      = 1_000
)

// Key gives the plugin a key, with empty state and no timers.
func (e *Engine) Key(key string) *Engine {
	e.world.Keyed = &host.Keyed{
		Key:         key,
		RecordBytes: defaultRecordBytes,
		MaxTimers:   defaultTimers,
		Fields:      map[string][]byte{},
		Timers:      map[string]host.Timer{},
	}
	return e
}

// Limits sets how large the key's record may be, in bytes, and how many timers it may have.
func (e *Engine) Limits(recordBytes uint64, maxTimers uint32) *Engine {
	e.keyed().RecordBytes, e.keyed().MaxTimers = recordBytes, maxTimers
	return e
}

// Table grants a lookup table with these rows. One of nil is not loaded yet.
func (e *Engine) Table(name string, rows map[string][]byte) *Engine {
	if e.world.Tables == nil {
		e.world.Tables = map[string]map[string][]byte{}
	}
	e.world.Tables[name] = rows
	return e
}

// State returns the fields of the key.
func (e *Engine) State() map[string][]byte {
	return maps.Clone(e.keyed().Fields)
}

// SetState sets one field, as if an earlier event had.
func (e *Engine) SetState(name string, value []byte) *Engine {
	e.keyed().Fields[name] = value
	return e
}

// Timers returns the timers that are set, in the order in which they will fire.
func (e *Engine) Timers() []timers.Timer {
	set := e.inOrder()
	all := make([]timers.Timer, len(set))
	for i, timer := range set {
		all[i] = e.timer(timer)
	}
	return all
}

// Advance moves the plugin clock, and calls the handler with each timer that comes due meanwhile, in order. It returns all that
// they emit. A failure ends it, with the clock at the time of the timer, which is then not set any more and has changed nothing.
func (e *Engine) Advance(by time.Duration, handler timers.Handler) ([]wasmill.Output, error) {
	e.t.Helper()
	until := e.world.Now + uint64(by)
	var outputs []wasmill.Output
	for {
		set := e.inOrder()
		if len(set) == 0 || set[0].Due > until {
			e.world.Now = until
			return outputs, nil
		}
		due := e.timer(set[0])
		delete(e.keyed().Timers, due.Name)
		e.world.Now = due.DueNS
		more, err := e.step(func(*wasmill.Event) ([]wasmill.Output, error) { return handler(&due) }, nil)
		if err != nil {
			return outputs, err
		}
		outputs = append(outputs, more...)
	}
}

func (e *Engine) keyed() *host.Keyed {
	if e.world.Keyed == nil {
		e.t.Fatal("the plugin has no key\nhint: call Key first")
	}
	return e.world.Keyed
}

func (e *Engine) inOrder() []host.Timer {
	return slices.SortedFunc(maps.Values(e.keyed().Timers), func(a, b host.Timer) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Setting, b.Setting))
	})
}

func (e *Engine) timer(set host.Timer) timers.Timer {
	return timers.Timer{Name: set.Name, Key: e.world.Keyed.Key, DueNS: set.Due, Data: set.Data}
}
