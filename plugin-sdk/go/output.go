package wasmill

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Output is an event that a handler emits. The engine gives it its id, source and time.
type Output struct {
	// Subject is where to publish it: no wildcards, and within the emit grants of the manifest.
	Subject string
	// Type is CloudEvents type; empty means the type of the event that caused it.
	Type string
	// Headers are further headers. Nats-*, Wasmill-* and CloudEvents attributes are the engine's to set.
	Headers []Header
	// Data is the payload. The engine reads it when the handler has returned.
	Data []byte
}

// Bytes is an output of these bytes.
func Bytes(subject string, data []byte) Output {
	return Output{Subject: subject, Data: data}
}

// Text is an output of this text.
func Text(subject, text string) Output {
	return Output{Subject: subject, Data: []byte(text)}
}

// JSON is an output of this value as JSON, with the header content-type: application/json. The error, a [RejectError],
// says that the value has no JSON form.
func JSON(subject string, value any) (Output, error) {
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return Output{}, Reject("an output has no JSON form: " + err.Error())
	}
	headers := []Header{{Name: "content-type", Value: "application/json"}}
	return Output{Subject: subject, Headers: headers, Data: bytes.TrimSuffix(data.Bytes(), []byte("\n"))}, nil
}

// WithType is the output with this CloudEvents type.
func (o Output) WithType(name string) Output {
	o.Type = name
	return o
}

// WithHeader is the output with one more header.
func (o Output) WithHeader(name, value string) Output {
	o.Headers = append(slices.Clip(o.Headers), Header{Name: name, Value: value})
	return o
}

// One returns a single output from a handler: return wasmill.One(wasmill.JSON("alerts.large", alert)).
func One(output Output, err error) ([]Output, error) {
	if err != nil {
		return nil, err
	}
	return []Output{output}, nil
}
