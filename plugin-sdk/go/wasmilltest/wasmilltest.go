//go:build !wasm

// Package wasmilltest is the engine in native unit tests.
//
//	func TestLargePaymentsRaiseAnAlert(t *testing.T) {
//		wasmilltest.New(t).Config(map[string]any{"limit": 220})
//		outputs, err := handle(wasmilltest.JSON(map[string]any{"amount": 221}))
//		if err != nil || outputs[0].Subject != "alerts.large" {
//			t.Fatal(outputs, err)
//		}
//	}
package wasmilltest

import (
	"encoding/json"
	"sync"
	"testing"

	"wasmill"
	"wasmill/internal/host"
)

// defaultNow is the time of a test that sets none: 2026-01-01T00:00:00Z.
const defaultNow = 1_767_225_600_000_000_000

// Line is one line that was logged: its level, its text, and names and values that belong to it.
type Line struct {
	Level   string
	Message string
	Fields  [][2]string
}

// Engine is what the functions of package wasmill ask during a test.
type Engine struct {
	t     testing.TB
	world *host.World
}

// inUse is held by the test that has an engine.
var inUse sync.Mutex

// New starts an engine with an empty config, a fixed time and a fixed seed. It ends with the test, and there is one at a time:
// a test that has one cannot run in parallel with another. What is logged appears among the test's own lines.
func New(t testing.TB) *Engine {
	t.Helper()
	if !inUse.TryLock() {
		t.Fatal("another test has the engine\nhint: tests with an engine cannot be parallel, and a test has one engine")
	}
	engine := &Engine{t: t, world: &host.World{Now: defaultNow}}
	engine.world.OnLine = func(line host.Line) {
		t.Logf("%s: %s %v", line.Level, line.Message, line.Fields)
	}
	host.Current = engine.world
	t.Cleanup(func() {
		host.Current = &host.World{}
		inUse.Unlock()
	})
	return engine
}

// Config sets the [config] table.
func (e *Engine) Config(table map[string]any) *Engine {
	e.world.Config = table
	return e
}

// Now sets the plugin clock, nanoseconds since the Unix epoch.
func (e *Engine) Now(ns uint64) *Engine {
	e.world.Now = ns
	return e
}

// Seed sets where the random numbers begin.
func (e *Engine) Seed(seed uint64) *Engine {
	e.world.Random = seed
	return e
}

// Lines returns the lines logged so far.
func (e *Engine) Lines() []Line {
	lines := make([]Line, len(e.world.Lines))
	for i, line := range e.world.Lines {
		lines[i] = Line{Level: line.Level.String(), Message: line.Message, Fields: line.Fields}
	}
	return lines
}

// Deliver calls a handler as the engine does: with a key, a call that fails changes no state and sets no timer. The error is nil,
// a [*wasmill.RetryError], a [*wasmill.RejectError], or a [*wasmill.ExceptionError] if the handler panics or returns any other
// error.
func (e *Engine) Deliver(handler wasmill.Handler, event *wasmill.Event) ([]wasmill.Output, error) {
	e.t.Helper()
	if e.world.Keyed != nil && event.Key == "" {
		event.Key = e.world.Keyed.Key
	}
	return e.step(handler, event)
}

func (e *Engine) step(handler wasmill.Handler, event *wasmill.Event) ([]wasmill.Output, error) {
	before := e.world.Keyed.Copy()
	outputs, err := handler.Call(event)
	if err != nil {
		e.world.Keyed = before
	}
	return outputs, err
}

// Event returns an event with this payload. Its attributes are plausible, and there to be set.
func Event(data []byte) *wasmill.Event {
	return &wasmill.Event{
		ID:      "test-1",
		Source:  "nats:TEST",
		Type:    "nats.message",
		Subject: "test.subject",
		TimeNS:  host.Current.Now,
		Data:    data,
		Attempt: 1,
	}
}

// JSON returns an event with this value as its payload. It panics if the value has no JSON form.
func JSON(value any) *wasmill.Event {
	data, err := json.Marshal(value)
	if err != nil {
		panic("the test's event has no JSON form: " + err.Error())
	}
	return Event(data)
}
