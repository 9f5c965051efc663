package tests

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"wasmill"
	"wasmill/wasmilltest"
)

func TestHeadersCompareWithoutCase(t *testing.T) {
	event := wasmilltest.Event(nil)
	event.Headers = []wasmill.Header{{Name: "Trace", Value: "1"}, {Name: "other", Value: "2"}, {Name: "TRACE", Value: "3"}}
	if value, there := event.Header("trace"); value != "1" || !there {
		t.Error(value, there)
	}
	if _, there := event.Header("none"); there {
		t.Error("a header that is not there")
	}
	if values := slices.Collect(event.HeaderValues("tRACE")); !slices.Equal(values, []string{"1", "3"}) {
		t.Error(values)
	}
}

func TestTimesReachBeyondTheYear2262(t *testing.T) {
	event := wasmill.Event{TimeNS: 1<<64 - 1}
	if text := event.Time().Format(time.RFC3339Nano); text != "2554-07-21T23:34:33.709551615Z" {
		t.Error(text)
	}
}

func TestBadJSONIsRejectedWithItsPlace(t *testing.T) {
	type order struct {
		ID    string `json:"id"`
		Items []struct {
			Amount float64 `json:"amount"`
		} `json:"items"`
		When time.Time `json:"when"`
	}
	for _, c := range []struct{ text, wanted string }{
		{"", "payload: it is empty, not JSON"},
		{"nope", "at line 1 column"},
		{"{\"id\":\n\"a\"", "payload: unexpected end of JSON input at line 2 column"},
		{"{\"id\":7}", "payload: `id`: a JSON number does not fit string at line 1 column"},
		{
			"{\"id\":\"\",\n \"items\":[{\"amount\":1},{\"amount\":\"x\"}]}",
			"`items.1.amount`: a JSON string does not fit float64 at line 2",
		},
		{"{\"items\":[{\"amount\":1e999}]}", "`items.0.amount`: a JSON number 1e999 does not fit float64"},
		{"{\"when\":\"x\"}", "payload: "},
		{"{} x", "after top-level value at line 1 column"},
		{strings.Repeat("[", 129), "payload: nested deeper than 128 at line 1 column 129"},
		{"{\"" + strings.Repeat("é", 5_000) + "\":", "unexpected end"},
	} {
		var into order
		err := wasmilltest.Event([]byte(c.text)).JSON(&into)
		var reject *wasmill.RejectError
		if !errors.As(err, &reject) || !strings.Contains(reject.Reason, c.wanted) || len(reject.Reason) > 600 {
			t.Errorf("%.40q gave %v", c.text, err)
		}
	}
}

func TestBracketsInTextsAreNotNesting(t *testing.T) {
	texts := strings.Repeat("\"[{\\\"\",", 200)
	var into []string
	if err := wasmilltest.Event([]byte("[" + texts + "\"\"]")).JSON(&into); err != nil || len(into) != 201 {
		t.Error(err)
	}
	wide := "[" + strings.Repeat("[],", 200) + "[]]"
	var lists [][]int
	if err := wasmilltest.Event([]byte(wide)).JSON(&lists); err != nil || len(lists) != 201 {
		t.Error(err)
	}
}

func TestATargetThatIsNoPointerIsAMistakeOfTheProgram(t *testing.T) {
	var reject *wasmill.RejectError
	if err := wasmilltest.Event([]byte("{}")).JSON(struct{}{}); err == nil || errors.As(err, &reject) {
		t.Error(err)
	}
}

func TestOutputs(t *testing.T) {
	output, err := wasmill.JSON("a.b", map[string]any{"z": "<é>", "a": []int{1, 2}})
	if err != nil || string(output.Data) != `{"a":[1,2],"z":"<é>"}` {
		t.Error(string(output.Data), err)
	}
	one, other := output.WithType("t").WithHeader("x", "1"), output.WithHeader("x", "2")
	if one.Type != "t" || one.Headers[1].Value != "1" || other.Headers[1].Value != "2" || len(output.Headers) != 1 {
		t.Error(one.Headers, other.Headers, output.Headers)
	}
	if _, err := wasmill.One(wasmill.JSON("a", func() {})); err == nil || !strings.Contains(err.Error(), "no JSON form") {
		t.Error(err)
	}
}
