package tests

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"wasmill"
	"wasmill/wasmilltest"
)

type limitError struct{}

func (*limitError) Error() string { return "too much" }

func TestErrorsBecomeFailures(t *testing.T) {
	engine := wasmilltest.New(t)
	_, number := strconv.Atoi("x")
	for _, c := range []struct{ returned, wanted error }{
		{wasmill.Retry("busy"), &wasmill.RetryError{Reason: "busy"}},
		{wasmill.RetryAfter(time.Second, "busy"), &wasmill.RetryError{After: time.Second, Reason: "busy"}},
		{fmt.Errorf("rates: %w", wasmill.Retry("busy")), &wasmill.RetryError{Reason: "rates: busy"}},
		{fmt.Errorf("rates: %w", wasmill.Reject("bad")), &wasmill.RejectError{Reason: "rates: bad"}},
		{errors.New("plain"), &wasmill.ExceptionError{Message: "plain", Trace: "returned by the handler"}},
		{&limitError{}, &wasmill.ExceptionError{Message: "tests.limitError: too much", Trace: "returned by the handler"}},
		{number, &wasmill.ExceptionError{
			Message: "strconv.NumError: strconv.Atoi: parsing \"x\": invalid syntax", Trace: "returned by the handler",
		}},
	} {
		handler := func(*wasmill.Event) ([]wasmill.Output, error) {
			return []wasmill.Output{wasmill.Text("a", "never seen")}, c.returned
		}
		outputs, err := engine.Deliver(handler, wasmilltest.Event(nil))
		if outputs != nil || !reflect.DeepEqual(err, c.wanted) {
			t.Errorf("%#v became %#v", c.returned, err)
		}
	}
}

func explode(value any) {
	if number, ok := value.(int); ok {
		fmt.Println([]int{1}[number])
	}
	panic(value)
}

func TestPanicsBecomeExceptionsWithATrace(t *testing.T) {
	for _, c := range []struct {
		value  any
		wanted string
	}{
		{"boom", "panic: boom"},
		{&limitError{}, "panic: tests.limitError: too much"},
		{5, "panic: runtime error: index out of range [5] with length 1"},
	} {
		handler := func(*wasmill.Event) ([]wasmill.Output, error) {
			explode(c.value)
			return nil, nil
		}
		_, err := wasmill.Handler(handler).Call(wasmilltest.Event(nil))
		var exception *wasmill.ExceptionError
		if !errors.As(err, &exception) || exception.Message != c.wanted {
			t.Fatal(err)
		}
		lines := strings.Split(exception.Trace, "\n")
		for i, wanted := range []string{"tests.explode (", "tests.TestPanicsBecomeExceptionsWithATrace.func"} {
			if len(lines) != 2 || !strings.Contains(lines[i], wanted) || !strings.Contains(lines[i], "failure_test.go:") {
				t.Errorf("the trace is %q", lines)
			}
		}
	}
}

func deep(n int) {
	if n == 0 {
		panic("deep")
	}
	deep(n - 1)
}

func TestTracesAreShort(t *testing.T) {
	handler := func(*wasmill.Event) ([]wasmill.Output, error) {
		deep(1_000)
		return nil, nil
	}
	_, err := wasmill.Handler(handler).Call(wasmilltest.Event(nil))
	var exception *wasmill.ExceptionError
	if !errors.As(err, &exception) || strings.Count(exception.Trace, "\n") != 15 {
		t.Error(err)
	}
}
