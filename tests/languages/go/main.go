// Does what tests/languages/README.md says.
package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"wasmill"
)

const out = "conformance.out"

func init() {
	wasmill.Handle(handle)
	wasmill.Describe(wasmill.About{
		Name:     "conformance",
		Version:  "1.2.3",
		Summary:  "Does what every language must",
		Subjects: []string{"conformance.in.>"},
		Emits:    []string{"conformance.out.>"},
	})
}

func main() {}

func handle(event *wasmill.Event) ([]wasmill.Output, error) {
	token := event.Subject[strings.LastIndexByte(event.Subject, '.')+1:]
	switch token {
	case "echo":
		return one(echo(event))
	case "plain":
		return one(wasmill.Text(out, "plain"))
	case "transform":
		return transform(event)
	case "many":
		return many(event)
	case "none":
		return nil, nil
	case "config":
		return one(config())
	case "log":
		logLines()
		return nil, nil
	case "print":
		fmt.Println("printed ü")
		return nil, nil
	case "clock":
		return one(wasmill.Text(out, strconv.FormatUint(wasmill.NowNS(), 10)))
	case "random":
		return one(random())
	case "count":
		return one(count())
	case "script":
		answers, err := script(event.Data)
		return wasmill.One(wasmill.Bytes(out, answers), err)
	case "swap":
		return swap(event.Data)
	default:
		return nil, fail(token)
	}
}

func one(output wasmill.Output) ([]wasmill.Output, error) {
	return []wasmill.Output{output}, nil
}

func echo(event *wasmill.Event) wasmill.Output {
	output := wasmill.Bytes(out, event.Data).WithType(event.Type).
		WithHeader("x-id", event.ID).
		WithHeader("x-source", event.Source).
		WithHeader("x-type", event.Type).
		WithHeader("x-subject", event.Subject).
		WithHeader("x-time", strconv.FormatUint(event.TimeNS, 10))
	if event.Key != "" {
		output = output.WithHeader("x-key", event.Key)
	}
	output = output.WithHeader("x-attempt", strconv.FormatUint(uint64(event.Attempt), 10))
	if event.ReplyTo != "" {
		output = output.WithHeader("x-reply-to", event.ReplyTo)
	}
	for _, header := range event.Headers {
		output = output.WithHeader("x-h-"+header.Name, header.Value)
	}
	return output
}

func transform(event *wasmill.Event) ([]wasmill.Output, error) {
	var in struct {
		ID     *string
		Amount *float64
		Name   *string
		Tags   *[]string
	}
	if err := event.JSON(&in); err != nil {
		return nil, err
	}
	for name, missing := range map[string]bool{
		"id": in.ID == nil, "amount": in.Amount == nil, "name": in.Name == nil, "tags": in.Tags == nil,
	} {
		if missing {
			return nil, wasmill.Reject("payload: missing field `" + name + "`")
		}
	}
	slices.Reverse(*in.Tags)
	return wasmill.One(wasmill.JSON(out, struct {
		ID      string   `json:"id"`
		Doubled float64  `json:"doubled"`
		Name    string   `json:"name"`
		Tags    []string `json:"tags"`
		Count   int      `json:"count"`
	}{*in.ID, *in.Amount * 2, *in.Name, *in.Tags, len(*in.Tags)}))
}

func many(event *wasmill.Event) ([]wasmill.Output, error) {
	var in struct{ Count int }
	if err := event.JSON(&in); err != nil {
		return nil, err
	}
	outputs := make([]wasmill.Output, in.Count)
	for i := range outputs {
		number := strconv.Itoa(i)
		outputs[i] = wasmill.Text(out+"."+number, number)
	}
	return outputs, nil
}

func config() wasmill.Output {
	limit, _ := wasmill.Config("limit")
	missing, set := wasmill.Config("missing")
	if !set {
		missing = "none"
	}
	return wasmill.Text(out, wasmill.ConfigJSON()).WithHeader("x-limit", limit).WithHeader("x-missing", missing)
}

func logLines() {
	for i, write := range []func(string, ...any){
		wasmill.Trace, wasmill.Debug, wasmill.Info, wasmill.Warn, wasmill.Error,
	} {
		write("line ü", "n", i+1, "lang", "go")
	}
}

func random() wasmill.Output {
	return wasmill.Text(out, fmt.Sprintf("%016x %016x %s",
		wasmill.Random(), wasmill.Random(), hex.EncodeToString(wasmill.RandomBytes(8))))
}

var counted int

func count() wasmill.Output {
	counted++
	return wasmill.Text(out, strconv.Itoa(counted))
}

// fail does what ends in no output at all.
func fail(token string) error {
	switch token {
	case "retry":
		return wasmill.RetryAfter(1_500*time.Millisecond, "not yet: ü")
	case "retry-default":
		return wasmill.Retry("whenever")
	case "reject":
		return wasmill.Reject("never: ü")
	case "raise":
		explode()
	case "trap":
		trap()
	case "loop":
		for {
		}
	case "hog":
		hog()
	case "deep":
		fmt.Println(deep(1))
	}
	return wasmill.Reject("unknown token " + token)
}
