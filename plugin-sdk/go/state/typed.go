package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"wasmill"
)

// The typed fields are names only: each method reads or writes the store. The zero value of each is not usable; its Name is 1 to
// 256 bytes. They are stored as JSON, the same way in every language.

// Value is a field that holds a T:
//
//	var last = state.Value[Reading]{Name: "last"}
type Value[T any] struct {
	// Name is the field's name.
	Name string
}

// Get returns the value, and whether there is one. A field that holds something else is an error that asks for a retry: the event
// can be handled by a version of the plugin that reads the field, or migrates it.
func (v Value[T]) Get() (T, bool, error) {
	var value T
	data, there, err := Get(v.Name)
	if err != nil || !there {
		return value, false, err
	}
	if err := json.Unmarshal(data, &value); err != nil {
		return value, false, wasmill.Retry(fmt.Sprintf(
			"state field %q: %v; it was written in another shape: migrate it, or delete it", v.Name, err))
	}
	return value, true, nil
}

// Set sets the value. One without a JSON form is an error that rejects the event.
func (v Value[T]) Set(value T) error {
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return wasmill.Reject(fmt.Sprintf("the value for state field %q has no JSON form: %v", v.Name, err))
	}
	return Set(v.Name, bytes.TrimSuffix(data.Bytes(), []byte("\n")))
}

// Delete removes the value.
func (v Value[T]) Delete() error {
	return Delete(v.Name)
}

// Counter is a field that holds an integer, from zero: state.Counter{Name: "payments"}.
type Counter struct {
	// Name is the field's name.
	Name string
}

// Get returns the count, with the errors of [Value.Get].
func (c Counter) Get() (int64, error) {
	count, _, err := Value[int64](c).Get()
	return count, err
}

// Add adds to the count and returns it. A sum that does not fit is an error that rejects the event.
func (c Counter) Add(more int64) (int64, error) {
	count, err := c.Get()
	if err != nil {
		return 0, err
	}
	sum := count + more
	if (sum > count) != (more > 0) && more != 0 {
		return 0, wasmill.Reject(fmt.Sprintf("counter %q: adding %d overflows", c.Name, more))
	}
	return sum, Value[int64](c).Set(sum)
}

// Delete sets the count to zero.
func (c Counter) Delete() error {
	return Delete(c.Name)
}

// List is a field that holds the last values, at most so many. It is read and written as a whole: for hundreds of values, not for
// thousands.
type List[T any] struct {
	// Name is the field's name.
	Name string
	// Bound is how many values it keeps.
	Bound int
}

// Get returns the values, oldest first, with the errors of [Value.Get].
func (l List[T]) Get() ([]T, error) {
	values, _, err := Value[[]T]{Name: l.Name}.Get()
	return values, err
}

// Push appends a value and returns all, oldest first.
func (l List[T]) Push(value T) ([]T, error) {
	values, err := l.Get()
	if err != nil {
		return nil, err
	}
	values = append(values, value)
	values = values[max(len(values)-l.Bound, 0):]
	return values, Value[[]T]{Name: l.Name}.Set(values)
}

// Delete empties the list.
func (l List[T]) Delete() error {
	return Delete(l.Name)
}

// Map holds entries by key, each in a field of its own: for what grows. Name and key together have at most 255 bytes.
type Map[T any] struct {
	// Name is what its fields' names begin with, before a slash.
	Name string
}

// Entry is the field of one entry.
func (m Map[T]) Entry(key string) Value[T] {
	return Value[T]{Name: m.Name + "/" + key}
}

// Keys returns the keys, sorted.
func (m Map[T]) Keys() ([]string, error) {
	prefix := m.Name + "/"
	keys, err := Names(prefix)
	for i, name := range keys {
		keys[i] = strings.TrimPrefix(name, prefix)
	}
	return keys, err
}

// Members holds texts, each once and in a field of its own: a set. Name and member together have at most 255 bytes.
type Members struct {
	// Name is what its fields' names begin with, before a slash.
	Name string
}

// Add adds a member and returns whether it is new.
func (m Members) Add(member string) (bool, error) {
	if there, err := m.Has(member); there || err != nil {
		return false, err
	}
	return true, Map[bool](m).Entry(member).Set(true)
}

// Has says whether this is a member.
func (m Members) Has(member string) (bool, error) {
	_, there, err := Get(m.Name + "/" + member)
	return there, err
}

// Remove removes a member; one that is not there is no error.
func (m Members) Remove(member string) error {
	return Map[bool](m).Entry(member).Delete()
}

// All returns the members, sorted.
func (m Members) All() ([]string, error) {
	return Map[bool](m).Keys()
}
