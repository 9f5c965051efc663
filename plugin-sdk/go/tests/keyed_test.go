package tests

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"wasmill"
	"wasmill/lookup"
	"wasmill/migrate"
	"wasmill/state"
	"wasmill/timers"
	"wasmill/wasmilltest"
)

type total struct {
	Sum  float64 `json:"sum"`
	Note string  `json:"note"`
}

func TestFieldsAreReadAsTheyWereSet(t *testing.T) {
	engine := wasmilltest.New(t).Key("k").SetState("b/2", nil).SetState("b/1", []byte{0xff})
	for _, name := range []string{"none", "b/1", "b/2"} {
		value, there, err := state.Get(name)
		if fmt.Sprint(value, there, err) != map[string]string{
			"none": "[] false <nil>", "b/1": "[255] true <nil>", "b/2": "[] true <nil>",
		}[name] {
			t.Error(name, value, there, err)
		}
	}
	if names, err := state.Names("b/"); err != nil || fmt.Sprint(names) != "[b/1 b/2]" {
		t.Error(names, err)
	}
	held := state.Value[total]{Name: "total"}
	if err := errors.Join(held.Set(total{1.5, "<ü>"}), state.Delete("b/1"), state.Delete("none")); err != nil {
		t.Error(err)
	}
	if value, there, err := held.Get(); value.Sum != 1.5 || !there || err != nil {
		t.Error(value, there, err)
	}
	if kept := engine.State(); string(kept["total"]) != `{"sum":1.5,"note":"<ü>"}` || len(kept) != 2 {
		t.Error(kept)
	}
}

func TestTypedFieldsAreStoredAsInEveryLanguage(t *testing.T) {
	engine := wasmilltest.New(t).Key("k")
	counter := state.Counter{Name: "n"}
	for _, c := range []struct{ more, wanted int64 }{{3, 3}, {-5, -2}, {0, -2}, {math.MaxInt64, math.MaxInt64 - 2}} {
		if count, err := counter.Add(c.more); count != c.wanted || err != nil {
			t.Error(c, count, err)
		}
	}
	var reject *wasmill.RejectError
	if _, err := counter.Add(3); !errors.As(err, &reject) {
		t.Error(err)
	}
	last := state.List[string]{Name: "l", Bound: 2}
	for _, value := range []string{"a", "b", "c d"} {
		if _, err := last.Push(value); err != nil {
			t.Error(err)
		}
	}
	held, members := state.Map[string]{Name: "m"}, state.Members{Name: "s"}
	first, err1 := members.Add("x")
	second, err2 := members.Add("x")
	if err := errors.Join(held.Entry("k").Set("<v>"), err1, err2); err != nil || !first || second {
		t.Error(first, second, err)
	}
	keys, err1 := held.Keys()
	all, err2 := members.All()
	if stored := fmt.Sprintf("%s %v %v", engine.State(), keys, all); errors.Join(err1, err2) != nil ||
		stored != `map[l:["b","c d"] m/k:"<v>" n:9223372036854775805 s/x:true] [k] [x]` {
		t.Error(stored)
	}
	engine.SetState("n", []byte("{}"))
	var retry *wasmill.RetryError
	if _, err := counter.Get(); !errors.As(err, &retry) || !strings.Contains(err.Error(), `"n"`) {
		t.Error(err)
	}
	if err := errors.Join(counter.Delete(), members.Remove("x"), last.Delete()); err != nil || len(engine.State()) != 1 {
		t.Error(engine.State(), err)
	}
}

func TestRefusalsBecomeFailures(t *testing.T) {
	engine := wasmilltest.New(t)
	long := strings.Repeat("n", 257)
	var retry *wasmill.RetryError
	var reject *wasmill.RejectError
	if err := state.Set("a", nil); !errors.As(err, &retry) || !strings.Contains(retry.Reason, "no key") {
		t.Error(err)
	}
	engine.Key("k").Limits(60, 1)
	var refused *state.Error
	err := state.Set("name", make([]byte, 49))
	if !errors.As(err, &refused) || refused.Limit != 60 || refused.Kind != state.TooLarge || !errors.As(err, &reject) {
		t.Error(err)
	}
	if err := state.Set(long, nil); !errors.As(err, &refused) || refused.Kind != state.BadName || !errors.As(err, &reject) {
		t.Error(err)
	}
	if _, _, err := state.Get("\xff"); !errors.As(err, &refused) || refused.Kind != state.BadName {
		t.Error(err)
	}
	var many *timers.Error
	first, second := timers.Set("a", 1, nil), timers.Set("b", 1, nil)
	if first != nil || !errors.As(second, &many) || many.Limit != 1 || !errors.As(second, &reject) {
		t.Error(first, second)
	}
	if err := timers.Cancel(""); !errors.As(err, &many) || many.Kind != timers.BadName {
		t.Error(err)
	}
	engine.Table("blocked", map[string][]byte{"7": []byte("x")}).Table("late", nil)
	if row, there, err := lookup.Get("blocked", "7"); string(row) != "x" || !there || err != nil {
		t.Error(row, there, err)
	}
	if _, there, err := lookup.Get("blocked", "8"); there || err != nil {
		t.Error(there, err)
	}
	for table, kind := range map[string]lookup.Kind{"late": lookup.NotReady, "other": lookup.NotGranted} {
		var refused *lookup.Error
		if _, _, err := lookup.Get(table, "7"); !errors.As(err, &refused) || refused.Kind != kind || !errors.As(err, &retry) {
			t.Error(err)
		}
	}
}

func TestACallThatFailsLeavesNothing(t *testing.T) {
	engine := wasmilltest.New(t).Key("k")
	failing := func(event *wasmill.Event) ([]wasmill.Output, error) {
		err := errors.Join(state.Set("a", []byte(event.Key)), timers.After("t", time.Second, nil))
		if event.Attempt == 1 {
			panic("after it")
		}
		return nil, err
	}
	_, err := engine.Deliver(failing, wasmilltest.Event(nil))
	if err == nil || len(engine.State()) != 0 || len(engine.Timers()) != 0 {
		t.Error(err, engine.State(), engine.Timers())
	}
	again := wasmilltest.Event(nil)
	again.Attempt = 2
	if _, err = engine.Deliver(failing, again); err != nil || string(engine.State()["a"]) != "k" || len(engine.Timers()) != 1 {
		t.Error(err, engine.State(), engine.Timers())
	}
}

func TestTimersFireInOrderAtTheirTime(t *testing.T) {
	engine := wasmilltest.New(t).Now(1_000).Key("k")
	err := errors.Join(timers.After("late", 500, nil), timers.Set("b", 1_100, []byte("x")), timers.Set("a", 1_100, nil),
		timers.After("never", math.MaxInt64, nil), timers.Set("gone", 1, nil), timers.Cancel("gone"))
	if err != nil {
		t.Error(err)
	}
	fired := ""
	onTimer := func(timer *timers.Timer) ([]wasmill.Output, error) {
		fired += fmt.Sprintf("%s %s %s at %d, ", timer.Key, timer.Name, timer.Data, wasmill.NowNS())
		return wasmill.One(wasmill.Text("out", timer.Name), timers.Set("again-"+timer.Name, timer.DueNS+300, nil))
	}
	outputs, err := engine.Advance(400, onTimer)
	wanted := "k b x at 1100, k a  at 1100, k again-b  at 1400, k again-a  at 1400, "
	if err != nil || fired != wanted || len(outputs) != 4 || wasmill.NowNS() != 1_400 {
		t.Error(fired, err, outputs)
	}
	if set := engine.Timers(); set[0].Name != "late" || len(set) != 4 {
		t.Error(set)
	}
	if _, err := timers.Handler(func(*timers.Timer) ([]wasmill.Output, error) { panic("boom") }).Call(nil); err == nil {
		t.Error("a panic is no failure")
	}
}

func TestAPanicInAMigrationIsItsError(t *testing.T) {
	double := migrate.Handler(func(from, name string, value []byte) ([]byte, error) {
		return append(value, value[0]), nil
	})
	if value, err := double.Call("1.0.0", "a", []byte("x")); string(value) != "xx" || err != nil {
		t.Error(value, err)
	}
	if value, err := double.Call("1.0.0", "a", nil); value != nil || err == nil {
		t.Error(value, err)
	}
}
