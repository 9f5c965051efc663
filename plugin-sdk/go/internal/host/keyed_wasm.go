package host

import (
	"runtime"
	"unsafe"
)

//go:wasmimport wasmill:plugin/state@0.1.0 get
func importStateGet(name string, answer unsafe.Pointer)

//go:wasmimport wasmill:plugin/state@0.1.0 set
func importStateSet(name string, value unsafe.Pointer, length uint32, answer unsafe.Pointer)

//go:wasmimport wasmill:plugin/state@0.1.0 delete
func importStateDelete(name string, answer unsafe.Pointer)

//go:wasmimport wasmill:plugin/state@0.1.0 names
func importStateNames(prefix string, answer unsafe.Pointer)

//go:wasmimport wasmill:plugin/timer-control@0.1.0 set
func importTimerSet(name string, due uint64, data unsafe.Pointer, length uint32, answer unsafe.Pointer)

//go:wasmimport wasmill:plugin/timer-control@0.1.0 cancel
func importTimerCancel(name string, answer unsafe.Pointer)

//go:wasmimport wasmill:plugin/lookup@0.1.0 get
func importLookupGet(table, key string, answer unsafe.Pointer)

// stateAnswer is where the functions of state put their results: whether one failed, then what there is, or the error's case
// and its number.
var stateAnswer struct {
	failed uint64 // Only the lowest byte counts, here and in the first words below.
	words  [2]uint32
	more   uint64
}

// timerAnswer is the same for timer-control, whose error holds a number of 32 bits.
var timerAnswer struct {
	failed  uint32
	refused uint32
	limit   uint32
}

// lookupAnswer is the same for lookup, whose error holds none.
var lookupAnswer struct {
	failed uint32
	words  [3]uint32
}

func stateRefusal() *Refusal {
	if stateAnswer.failed&0xff == 0 {
		return nil
	}
	return &Refusal{Case: stateAnswer.words[0] & 0xff, Limit: stateAnswer.more}
}

func timerRefusal() *Refusal {
	if timerAnswer.failed&0xff == 0 {
		return nil
	}
	return &Refusal{Case: timerAnswer.refused & 0xff, Limit: uint64(timerAnswer.limit)}
}

// dataOf is where bytes lie. Of none, it is an address all the same.
func dataOf(data []byte) unsafe.Pointer {
	if len(data) == 0 {
		return unsafe.Pointer(&stateAnswer)
	}
	return unsafe.Pointer(unsafe.SliceData(data))
}

// StateGet returns one field, and whether there is one.
func StateGet(name string) ([]byte, bool, *Refusal) {
	if !isText(name) {
		return nil, false, badName
	}
	begin()
	defer end()
	importStateGet(name, unsafe.Pointer(&stateAnswer))
	if refusal := stateRefusal(); refusal != nil || stateAnswer.words[0]&0xff == 0 {
		return nil, false, refusal
	}
	value := Bytes(stateAnswer.words[1], uint32(stateAnswer.more))
	Taken()
	return value, true, nil
}

// StateSet sets one field.
func StateSet(name string, value []byte) *Refusal {
	if !isText(name) {
		return badName
	}
	begin()
	defer end()
	importStateSet(name, dataOf(value), uint32(len(value)), unsafe.Pointer(&stateAnswer))
	runtime.KeepAlive(value)
	return stateRefusal()
}

// StateDelete removes one field.
func StateDelete(name string) *Refusal {
	if !isText(name) {
		return badName
	}
	begin()
	defer end()
	importStateDelete(name, unsafe.Pointer(&stateAnswer))
	return stateRefusal()
}

// StateNames returns the names of the fields that begin with a prefix, sorted.
func StateNames(prefix string) ([]string, *Refusal) {
	if !isText(prefix) {
		return nil, badName
	}
	begin()
	defer end()
	importStateNames(prefix, unsafe.Pointer(&stateAnswer))
	if refusal := stateRefusal(); refusal != nil {
		return nil, refusal
	}
	const size = 8 // Of an address and a length, in bytes.
	names := make([]string, stateAnswer.words[1])
	for i := range names {
		text := At[[2]uint32](stateAnswer.words[0] + uint32(i)*size)
		names[i] = String(text[0], text[1])
	}
	Taken()
	return names, nil
}

// TimerSet sets a timer.
func TimerSet(name string, due uint64, data []byte) *Refusal {
	if !isText(name) {
		return badName
	}
	begin()
	defer end()
	importTimerSet(name, due, dataOf(data), uint32(len(data)), unsafe.Pointer(&timerAnswer))
	runtime.KeepAlive(data)
	return timerRefusal()
}

// TimerCancel removes a timer.
func TimerCancel(name string) *Refusal {
	if !isText(name) {
		return badName
	}
	begin()
	defer end()
	importTimerCancel(name, unsafe.Pointer(&timerAnswer))
	return timerRefusal()
}

// LookupGet returns one row of a table, and whether there is one.
func LookupGet(table, key string) ([]byte, bool, *Refusal) {
	begin()
	defer end()
	importLookupGet(lossy(table), lossy(key), unsafe.Pointer(&lookupAnswer))
	first := lookupAnswer.words[0] & 0xff
	if lookupAnswer.failed&0xff != 0 {
		return nil, false, &Refusal{Case: first}
	}
	if first == 0 {
		return nil, false, nil
	}
	row := Bytes(lookupAnswer.words[1], lookupAnswer.words[2])
	Taken()
	return row, true, nil
}

// Answer calls a handler, which is a wasmill.Handler, with an event, which is a *wasmill.Event, and writes its answer down for
// the engine. Package wasmill sets it, for the packages of the exports that not every plugin has.
var Answer func(handler, event any) uint32

// Release forgets an answer that the engine has read. Package wasmill sets it.
var Release func()
