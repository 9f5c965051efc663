package host

import (
	"runtime"
	"unsafe"
)

//go:wasmimport wasmill:plugin/log@0.1.0 log
func importLog(level uint32, message string, fields unsafe.Pointer, count uint32)

//go:wasmimport wasmill:plugin/config@0.1.0 get
func importConfigGet(key string, answer unsafe.Pointer)

//go:wasmimport wasmill:plugin/config@0.1.0 json
func importConfigJSON(answer unsafe.Pointer)

//go:wasmimport wasmill:plugin/clock@0.1.0 now
func importNow() uint64

//go:wasmimport wasmill:plugin/random@0.1.0 next
func importRandomNext() uint64

//go:wasmimport wasmill:plugin/random@0.1.0 bytes
func importRandomBytes(length uint32, answer unsafe.Pointer)

// open says that calling out is allowed: an init function or a handler runs, and no import is under way.
//
// A component must not call out while the engine allocates in it, yet an allocation may have to wait for the collector, and
// other goroutines run meanwhile. Those that want to call out wait until it is over. So does the handler that wants to return:
// Go can leave the calls into it only in the reverse order in which they were made.
var open = true

// Enter begins a handler's call.
func Enter() {
	open = true
}

// Leave ends a handler's call.
func Leave() {
	begin()
}

func begin() {
	for !open {
		runtime.Gosched()
	}
	open = false
}

func end() {
	open = true
}

// answer is where imports put what does not fit a single value. Only one import at a time is under way.
var answer [3]uint32

// Log writes one line.
func Log(level Level, message string, fields [][2]string) {
	flat := make([]uint32, 0, 4*len(fields))
	for _, field := range fields {
		flat = append(flat, Address(field[0]), uint32(len(field[0])), Address(field[1]), uint32(len(field[1])))
	}
	begin()
	importLog(uint32(level), message, unsafe.Pointer(unsafe.SliceData(flat)), uint32(len(fields)))
	end()
	runtime.KeepAlive(fields)
}

// ConfigGet returns one value of the config.
func ConfigGet(key string) (string, bool) {
	begin()
	defer end()
	importConfigGet(key, unsafe.Pointer(&answer))
	if answer[0]&0xff == 0 {
		return "", false
	}
	return takeString(answer[1], answer[2]), true
}

// ConfigJSON returns the whole config as one JSON object.
func ConfigJSON() string {
	begin()
	defer end()
	importConfigJSON(unsafe.Pointer(&answer))
	return takeString(answer[0], answer[1])
}

// Now returns the plugin clock, nanoseconds since the Unix epoch.
func Now() uint64 {
	begin()
	defer end()
	return importNow()
}

// RandomNext returns the next 64 random bits.
func RandomNext() uint64 {
	begin()
	defer end()
	return importRandomNext()
}

// RandomBytes returns the next random bytes.
func RandomBytes(length uint32) []byte {
	begin()
	defer end()
	importRandomBytes(length, unsafe.Pointer(&answer))
	bytes := Bytes(answer[0], answer[1])
	Taken()
	return bytes
}

func takeString(address, length uint32) string {
	text := String(address, length)
	Taken()
	return text
}
