package migrate

import (
	"unsafe"

	"wasmill/internal/host"
)

// answer is what migrate-field returns: whether it failed; whether there is a field and where it lies, or where the error's text
// lies.
var answer struct {
	failed uint32
	words  [3]uint32
}

// kept is what the answer's addresses lead to, for the collector does not see them.
var kept []byte

//go:wasmexport wasmill:plugin/migrate@0.1.0#migrate-field
func exportMigrateField(from, fromLength, name, nameLength, value, valueLength uint32) uint32 {
	version, field := host.String(from, fromLength), host.String(name, nameLength)
	data := host.Bytes(value, valueLength)
	if data == nil {
		// Of a field that is there and empty; nil says that there is none.
		data = []byte{}
	}
	host.Taken()
	host.Enter()
	changed, err := handler.Call(version, field, data)
	host.Leave()
	answer.failed, answer.words = 0, [3]uint32{}
	if err != nil {
		kept = []byte(err.Error())
		answer.failed = 1
		answer.words = [3]uint32{address(kept), uint32(len(kept))}
	} else if changed != nil {
		kept = changed
		answer.words = [3]uint32{1, address(kept), uint32(len(kept))}
	}
	return uint32(uintptr(unsafe.Pointer(&answer)))
}

//go:wasmexport cabi_post_wasmill:plugin/migrate@0.1.0#migrate-field
func afterMigrateField(uint32) {
	kept = nil
}

func address(data []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(data))))
}
