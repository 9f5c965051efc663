// Package lookup reads tables of reference data, such as a block list, which the manifest grants by name.
package lookup

import (
	"wasmill"
	"wasmill/internal/host"
)

// Kind says which of the contract's errors an [Error] is.
type Kind string

// The errors of the contract.
const (
	// NotGranted: the manifest grants no table of this name.
	NotGranted Kind = "not-granted"
	// NotReady: it is not loaded yet.
	NotReady Kind = "not-ready"
)

// Error says why a table cannot be read. Returned from a handler it is a retry.
type Error struct {
	// Kind is which error it is.
	Kind Kind
	// Table is the table's name.
	Table string
}

// Error says it for people.
func (e *Error) Error() string {
	if e.Kind == NotReady {
		return "lookup: the table `" + e.Table + "` is not loaded yet"
	}
	return "lookup: the table `" + e.Table + "` is not granted; name it in [lookup] of the plugin's manifest"
}

// Unwrap is what becomes of the event.
func (e *Error) Unwrap() error {
	return wasmill.Retry(e.Error())
}

// Get returns one row of a table, and whether there is one.
func Get(table, key string) ([]byte, bool, error) {
	row, there, refusal := host.LookupGet(table, key)
	if refusal == nil {
		return row, there, nil
	}
	kinds := [...]Kind{host.NotGranted: NotGranted, host.NotReady: NotReady}
	return nil, false, &Error{Kind: kinds[refusal.Case], Table: table}
}
