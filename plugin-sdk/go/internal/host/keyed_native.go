//go:build !wasm

package host

import (
	"maps"
	"slices"
	"strings"
)

const (
	// maxName is the longest name of a field or a timer, in bytes, as the contract has it.
	maxName = 256
	// fieldCost and timerCost are what an engine counts for each beside its name and content, in bytes.
	fieldCost, timerCost = 8, 32
)

// Timer is a timer that is set.
type Timer struct {
	Name string
	Due  uint64
	Data []byte
	// Setting counts the settings: of two timers that are due together the one that was set first fires first.
	Setting uint64
}

// Keyed is the record of the test's key.
type Keyed struct {
	Key         string
	RecordBytes uint64
	MaxTimers   uint32
	Fields      map[string][]byte
	Timers      map[string]Timer
	Settings    uint64
}

// Copy is the record as it is now.
func (k *Keyed) Copy() *Keyed {
	if k == nil {
		return nil
	}
	other := *k
	other.Fields, other.Timers = maps.Clone(k.Fields), maps.Clone(k.Timers)
	return &other
}

// size is what the fields and timers take, in bytes.
func (k *Keyed) size() uint64 {
	size := 0
	for name, value := range k.Fields {
		size += len(name) + len(value) + fieldCost
	}
	for name, timer := range k.Timers {
		size += len(name) + len(timer.Data) + timerCost
	}
	return uint64(size)
}

func refused(name string) *Refusal {
	if Current.Keyed == nil {
		return &Refusal{Case: NoKey}
	}
	if name == "" || len(name) > maxName || !isText(name) {
		return badName
	}
	return nil
}

// StateGet returns one field, and whether there is one.
func StateGet(name string) ([]byte, bool, *Refusal) {
	if refusal := refused(name); refusal != nil {
		return nil, false, refusal
	}
	value, there := Current.Keyed.Fields[name]
	return slices.Clone(value), there, nil
}

// StateSet sets one field.
func StateSet(name string, value []byte) *Refusal {
	if refusal := refused(name); refusal != nil {
		return refusal
	}
	changed := Current.Keyed.Copy()
	changed.Fields[name] = slices.Clone(value)
	if changed.size() > changed.RecordBytes {
		return &Refusal{Case: TooMuch, Limit: changed.RecordBytes}
	}
	Current.Keyed = changed
	return nil
}

// StateDelete removes one field.
func StateDelete(name string) *Refusal {
	refusal := refused(name)
	if refusal == nil {
		delete(Current.Keyed.Fields, name)
	}
	return refusal
}

// StateNames returns the names of the fields that begin with a prefix, sorted.
func StateNames(prefix string) ([]string, *Refusal) {
	if Current.Keyed == nil {
		return nil, &Refusal{Case: NoKey}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(Current.Keyed.Fields)) {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, nil
}

// TimerSet sets a timer.
func TimerSet(name string, due uint64, data []byte) *Refusal {
	if refusal := refused(name); refusal != nil {
		return refusal
	}
	keyed := Current.Keyed
	if _, there := keyed.Timers[name]; !there && len(keyed.Timers) >= int(keyed.MaxTimers) {
		return &Refusal{Case: TooMuch, Limit: uint64(keyed.MaxTimers)}
	}
	keyed.Settings++
	keyed.Timers[name] = Timer{Name: name, Due: due, Data: slices.Clone(data), Setting: keyed.Settings}
	return nil
}

// TimerCancel removes a timer.
func TimerCancel(name string) *Refusal {
	refusal := refused(name)
	if refusal == nil {
		delete(Current.Keyed.Timers, name)
	}
	return refusal
}

// LookupGet returns one row of a table, and whether there is one.
func LookupGet(table, key string) ([]byte, bool, *Refusal) {
	rows, granted := Current.Tables[lossy(table)]
	if !granted {
		return nil, false, &Refusal{Case: NotGranted}
	}
	if rows == nil {
		return nil, false, &Refusal{Case: NotReady}
	}
	row, there := rows[lossy(key)]
	return slices.Clone(row), there, nil
}
