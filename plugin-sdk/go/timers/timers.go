// Package timers is for plugins that want to be called later: a timer is set for the key of the event that is being handled,
// is kept with the key's state, and fires once, even if no engine ran when it was due.
//
//	func init() {
//		wasmill.Handle(handle)
//		timers.Handle(silent)
//	}
//
//	func handle(event *wasmill.Event) ([]wasmill.Output, error) {
//		// A reading that comes late must not bring the alarm forward.
//		last := state.Value[uint64]{Name: "last"}
//		if at, _, err := last.Get(); err != nil || event.TimeNS <= at {
//			return nil, err
//		}
//		if err := last.Set(event.TimeNS); err != nil {
//			return nil, err
//		}
//		return nil, timers.After("silent", 10*time.Minute, nil)
//	}
//
//	func silent(timer *timers.Timer) ([]wasmill.Output, error) {
//		return []wasmill.Output{wasmill.Text("alerts.silent", timer.Key)}, nil
//	}
//
// A plugin that imports this package has a handler for timers. Functions that are refused return an [*Error], which a handler
// can return as it is.
package timers

import (
	"fmt"
	"math"
	"time"

	"wasmill"
	"wasmill/internal/host"
)

// Timer is a timer that has come due. While it is handled, [wasmill.Now] is the time it was due.
type Timer struct {
	// Name is the name under which it was set.
	Name string
	// Key is the key it was set for.
	Key string
	// DueNS is when it was due, in nanoseconds since the Unix epoch.
	DueNS uint64
	// Data is what was stored with it.
	Data []byte
}

// Handler handles one due timer, with the same effects and failures as a [wasmill.Handler] has.
type Handler func(timer *Timer) ([]wasmill.Output, error)

var handler Handler

// Handle makes a function the plugin's handler of timers. Call it in an init function.
func Handle(onTimer Handler) {
	handler = onTimer
}

// Call calls the handler as the engine does, with the errors of [wasmill.Handler.Call].
func (h Handler) Call(timer *Timer) ([]wasmill.Output, error) {
	return h.of(timer).Call(nil)
}

func (h Handler) of(timer *Timer) wasmill.Handler {
	return func(*wasmill.Event) ([]wasmill.Output, error) {
		return h(timer)
	}
}

// Kind says which of the contract's errors an [Error] is.
type Kind string

// The errors of the contract.
const (
	// NoKey: the manifest gives the plugin no key, so it has no timers.
	NoKey Kind = "no-key"
	// TooMany: the key has as many timers as it may have.
	TooMany Kind = "too-many"
	// BadName: the name is empty or over 256 bytes.
	BadName Kind = "bad-name"
)

// Error says why a timer was refused. Returned from a handler it is a retry where the manifest is to be corrected, and else
// a reject.
type Error struct {
	// Kind is which error it is.
	Kind Kind
	// Limit is how many timers a key may have, if there are [TooMany].
	Limit uint32
}

// Error says it for people.
func (e *Error) Error() string {
	switch e.Kind {
	case NoKey:
		return "timers: the plugin has no key; set `key` in its manifest"
	case TooMany:
		return fmt.Sprintf("timers: the key has as many timers as it may have, %d", e.Limit)
	default:
		return "timers: the name of a timer has 1 to 256 bytes"
	}
}

// Unwrap is what becomes of the event.
func (e *Error) Unwrap() error {
	switch e.Kind {
	case NoKey:
		return wasmill.Retry(e.Error())
	default:
		return wasmill.Reject(e.Error())
	}
}

func errorOf(refusal *host.Refusal) error {
	if refusal == nil {
		return nil
	}
	kinds := [...]Kind{host.NoKey: NoKey, host.TooMuch: TooMany, host.BadName: BadName}
	return &Error{Kind: kinds[refusal.Case], Limit: uint32(refusal.Limit)}
}

// Set sets a timer, in place of one of the same name. It fires once, when the plugin clock reaches dueNS, nanoseconds since the
// Unix epoch, or as soon after as an engine runs.
func Set(name string, dueNS uint64, data []byte) error {
	return errorOf(host.TimerSet(name, dueNS, data))
}

// After sets a timer that is due when this time has passed on the plugin clock. In the handler of events that clock is the event's
// own time, so an event that comes late sets it earlier than the one before did.
func After(name string, wait time.Duration, data []byte) error {
	due := host.Now()
	if more := uint64(max(wait, 0)); more <= math.MaxUint64-due {
		due += more
	} else {
		due = math.MaxUint64
	}
	return Set(name, due, data)
}

// Cancel removes a timer; one that is not set is no error.
func Cancel(name string) error {
	return errorOf(host.TimerCancel(name))
}
