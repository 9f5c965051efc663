package tests

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"wasmill"
	"wasmill/wasmilltest"
)

func TestConfigIsReadOneByOneOrWhole(t *testing.T) {
	wasmilltest.New(t).Config(map[string]any{"limit": 3, "name": "x"})
	for key, wanted := range map[string]string{"limit": "3", "name": "x"} {
		if value, set := wasmill.Config(key); value != wanted || !set {
			t.Error(key, value, set)
		}
	}
	if _, set := wasmill.Config("none"); set || wasmill.ConfigJSON() != `{"limit":3,"name":"x"}` {
		t.Error(wasmill.ConfigJSON())
	}
}

func TestABadConfigIsARetryThatNamesTheSetting(t *testing.T) {
	type settings struct {
		Limit  uint8  `json:"limit"`
		Output string `json:"output,omitempty"`
		cached int
	}
	engine := wasmilltest.New(t)
	for _, c := range []struct {
		wanted string
		table  map[string]any
	}{
		{"", map[string]any{"limit": 3}},
		{"", map[string]any{"LIMIT": 3, "output": "a"}},
		{"config: `limit`: a JSON number 300 does not fit uint8", map[string]any{"limit": 300}},
		{"config: `limit` is not set", nil},
		{"config: `limti` is no setting of this plugin", map[string]any{"limit": 3, "limti": 1}},
	} {
		engine.Config(c.table)
		var read settings
		err := wasmill.LoadConfig(&read)
		if c.wanted == "" && err == nil && read.Limit == 3 {
			continue
		}
		var retry *wasmill.RetryError
		if !errors.As(err, &retry) || !strings.HasPrefix(retry.Reason, c.wanted) ||
			!strings.HasSuffix(retry.Reason, "; correct the [config] table of the plugin's manifest") {
			t.Errorf("%v gave %v", c.table, err)
		}
	}
}

func TestAFreshEngineAnswersTheSame(t *testing.T) {
	draw := func() string {
		return fmt.Sprint(wasmill.Random(), wasmill.RandomBytes(70_000), rand.New(wasmill.RandomSource{}).IntN(100))
	}
	engine := wasmilltest.New(t).Now(7).Seed(1)
	first := draw()
	if wasmill.NowNS() != 7 || !wasmill.Now().Equal(time.Unix(0, 7)) {
		t.Error(wasmill.Now())
	}
	if engine.Seed(1); draw() != first {
		t.Error("another sequence from the same seed")
	}
	buffer := make([]byte, 13)
	if n, err := io.ReadFull(wasmill.RandomSource{}, buffer); n != 13 || err != nil || buffer[12] == 0 {
		t.Error(buffer, err)
	}
}

func TestLines(t *testing.T) {
	engine := wasmilltest.New(t)
	wasmill.Trace("plain")
	wasmill.Warn("over", "amount", 3, "rule", "x", "last")
	logger := slog.New(wasmill.LogHandler{}).With("a", 1).WithGroup("g").With("b", 2)
	logger.Log(t.Context(), wasmill.LevelTrace, "t")
	logger.Error("e", "c", true, slog.Group("h", "d", time.Second))
	wanted := "[{trace plain []} {warn over [[amount 3] [rule x] [last ]]} {trace t [[a 1] [g.b 2]]} " +
		"{error e [[a 1] [g.b 2] [g.c true] [g.h.d 1s]]}]"
	if lines := fmt.Sprint(engine.Lines()); lines != wanted {
		t.Error(lines)
	}
}
