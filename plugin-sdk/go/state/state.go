// Package state is what is stored for the key of the event that is being handled. No other key can be reached. What a call
// changes takes effect together with its outputs, or not at all.
//
// The manifest of the plugin sets its key. Functions that are refused return an [*Error], which a handler can return as it is.
package state

import (
	"fmt"

	"wasmill"
	"wasmill/internal/host"
)

// Kind says which of the contract's errors an [Error] is.
type Kind string

// The errors of the contract.
const (
	// NoKey: the manifest gives the plugin no key, so it has no state.
	NoKey Kind = "no-key"
	// TooLarge: the key's record would pass its limit.
	TooLarge Kind = "too-large"
	// BadName: the name is empty or over 256 bytes.
	BadName Kind = "bad-name"
)

// Error says why a field was refused. Returned from a handler it is a retry where the manifest is to be corrected, and else
// a reject.
type Error struct {
	// Kind is which error it is.
	Kind Kind
	// Limit is how large a record may be, in bytes, if it is [TooLarge].
	Limit uint64
}

// Error says it for people.
func (e *Error) Error() string {
	switch e.Kind {
	case NoKey:
		return "state: the plugin has no key; set `key` in its manifest"
	case TooLarge:
		return fmt.Sprintf("state: the key's record would be larger than its limit of %d bytes", e.Limit)
	default:
		return "state: the name of a field has 1 to 256 bytes"
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
	kinds := [...]Kind{host.NoKey: NoKey, host.TooMuch: TooLarge, host.BadName: BadName}
	return &Error{Kind: kinds[refusal.Case], Limit: refusal.Limit}
}

// Get returns one field, and whether there is one.
func Get(name string) ([]byte, bool, error) {
	value, there, refusal := host.StateGet(name)
	return value, there, errorOf(refusal)
}

// Set sets one field.
func Set(name string, value []byte) error {
	return errorOf(host.StateSet(name, value))
}

// Delete removes one field; one that is not there is no error.
func Delete(name string) error {
	return errorOf(host.StateDelete(name))
}

// Names returns the names of the fields that begin with a prefix, sorted.
func Names(prefix string) ([]string, error) {
	names, refusal := host.StateNames(prefix)
	return names, errorOf(refusal)
}
