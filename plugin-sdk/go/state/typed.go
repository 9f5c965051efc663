package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Value is a field that holds a T as JSON:
//
//	var last = state.Value[Reading]{Name: "last"}
type Value[T any] struct {
	// Name is the field's name.
	Name string
}

// Get returns the value, and whether there is one. A field that holds something else is an error.
func (v Value[T]) Get() (T, bool, error) {
	var value T
	data, there, err := Get(v.Name)
	if err != nil || !there {
		return value, false, err
	}
	if err := json.Unmarshal(data, &value); err != nil {
		return value, false, fmt.Errorf("state: the field %q does not hold a %T: %w", v.Name, value, err)
	}
	return value, true, nil
}

// Set sets the value. One without a JSON form is an error.
func (v Value[T]) Set(value T) error {
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("state: the field %q cannot hold it: %w", v.Name, err)
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

// Get returns the count. A field that holds something else is an error.
func (c Counter) Get() (int64, error) {
	count, _, err := Value[int64](c).Get()
	return count, err
}

// Add adds to the count and returns it. It stays at the largest or smallest number there is.
func (c Counter) Add(more int64) (int64, error) {
	count, err := c.Get()
	if err != nil {
		return 0, err
	}
	switch sum := count + more; {
	case more > 0 && sum < count:
		count = math.MaxInt64
	case more < 0 && sum > count:
		count = math.MinInt64
	default:
		count = sum
	}
	return count, Set(c.Name, strconv.AppendInt(nil, count, 10))
}

// Reset sets the count to zero.
func (c Counter) Reset() error {
	return Delete(c.Name)
}
