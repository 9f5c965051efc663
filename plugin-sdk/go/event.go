package wasmill

import (
	"iter"
	"strings"
	"time"
)

// Header is the name and the value of a header.
type Header struct {
	Name  string
	Value string
}

// Event is one message on the bus with its CloudEvents attributes.
type Event struct {
	// ID identifies the event within its source.
	ID string
	// Source is CloudEvents source, else "nats:" and the stream or subject the message came from.
	Source string
	// Type is CloudEvents type, else "nats.message".
	Type string
	// Subject is the subject the message was published to.
	Subject string
	// TimeNS is when it happened, in nanoseconds since the Unix epoch.
	TimeNS uint64
	// Key is the event's key, where the manifest names one, else empty.
	Key string
	// Headers are all headers that are not attributes above, in order; a name may stand more than once.
	Headers []Header
	// Data is the payload, untouched.
	Data []byte
	// Attempt says which delivery this is, from 1.
	Attempt uint32
	// ReplyTo is where the publisher waits for an answer, if it does, else empty.
	ReplyTo string
}

// Time is when the event happened, in UTC.
func (e *Event) Time() time.Time {
	return fromNanoseconds(e.TimeNS)
}

// Header returns the first value of a header, and whether there is one. Names compare without regard to case.
func (e *Event) Header(name string) (string, bool) {
	for value := range e.HeaderValues(name) {
		return value, true
	}
	return "", false
}

// HeaderValues goes through all values of a header in order. Names compare without regard to case.
func (e *Event) HeaderValues(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, header := range e.Headers {
			if strings.EqualFold(header.Name, name) && !yield(header.Value) {
				return
			}
		}
	}
}

// JSON decodes the payload into what target points at, as [encoding/json.Unmarshal] does. A payload that does not fit is a
// [RejectError] that says what is wrong and where.
//
// A field that is missing leaves its place in target as it was. Where it must not be missing, decode into a pointer.
func (e *Event) JSON(target any) error {
	err := decode("payload", e.Data, target)
	if fault, ok := err.(errFault); ok {
		return Reject(string(fault))
	}
	return err
}

// fromNanoseconds reads a time of the contract, which reaches further than an int64 of nanoseconds does.
func fromNanoseconds(ns uint64) time.Time {
	const second = uint64(time.Second)
	return time.Unix(int64(ns/second), int64(ns%second)).UTC()
}
