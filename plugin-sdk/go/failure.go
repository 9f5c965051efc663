package wasmill

import (
	"errors"
	"time"
)

// RetryError asks for the event to be delivered again: it may work later.
type RetryError struct {
	// After is the wait before the next delivery, in whole milliseconds; zero means the backoff of the manifest. The engine
	// holds it within the manifest's bounds.
	After time.Duration
	// Reason says why, for people.
	Reason string
}

// Error returns the reason.
func (e *RetryError) Error() string {
	return e.Reason
}

// RejectError sets the event aside as a dead letter: it will never work.
type RejectError struct {
	// Reason says why, for people.
	Reason string
}

// Error returns the reason.
func (e *RejectError) Error() string {
	return e.Reason
}

// ExceptionError is what becomes of a panic in a handler, and of an error that is neither a [RetryError] nor a
// [RejectError]: the handler is at fault.
type ExceptionError struct {
	// Message says what went wrong.
	Message string
	// Trace holds the author's functions, innermost first, one a line, with file and line.
	Trace string
}

// Error returns the message.
func (e *ExceptionError) Error() string {
	return e.Message
}

// Retry asks for another delivery after the backoff of the manifest.
func Retry(reason string) error {
	return &RetryError{Reason: reason}
}

// RetryAfter asks for another delivery, not before this time has passed.
func RetryAfter(after time.Duration, reason string) error {
	return &RetryError{After: after, Reason: reason}
}

// Reject sets the event aside as a dead letter.
func Reject(reason string) error {
	return &RejectError{Reason: reason}
}

// classify makes of a handler's error one of the three that the engine knows. An error that wraps one of them keeps its kind
// and gives the reason in its own words.
func classify(err error) error {
	if retry, ok := errors.AsType[*RetryError](err); ok {
		return &RetryError{After: retry.After, Reason: err.Error()}
	}
	if _, ok := errors.AsType[*RejectError](err); ok {
		return &RejectError{Reason: err.Error()}
	}
	if exception, ok := errors.AsType[*ExceptionError](err); ok {
		return exception
	}
	return &ExceptionError{Message: describeError(err), Trace: "returned by the handler"}
}
