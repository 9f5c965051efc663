package host

import "unsafe"

// handed keeps what the engine has allocated and not yet handed over: nothing else points at it. The collector moves nothing,
// so an address stays valid for as long as something points at it.
var handed []unsafe.Pointer

// Allocate returns the address of new memory for the engine to write to.
func Allocate(size, align uint32) uint32 {
	open = false
	if size == 0 {
		// Never read or written, but it has to be an address, and an aligned one.
		return align
	}
	var memory unsafe.Pointer
	if align == 1 {
		memory = unsafe.Pointer(unsafe.SliceData(make([]byte, size)))
	} else {
		// Words of 8 bytes, for that is the largest alignment of the contract.
		memory = unsafe.Pointer(unsafe.SliceData(make([]uint64, (uint64(size)+7)/8)))
	}
	handed = append(handed, memory)
	return uint32(uintptr(memory))
}

// Taken forgets what the engine allocated: the values made of it keep what they need.
func Taken() {
	clear(handed)
	handed = handed[:0]
}

// At reads a value of the contract at an address that the engine gave.
func At[T any](address uint32) *T {
	return (*T)(unsafe.Pointer(uintptr(address)))
}

// String is the text that the engine wrote, without a copy.
func String(address, length uint32) string {
	if length == 0 {
		return ""
	}
	return unsafe.String(At[byte](address), length)
}

// Bytes are the bytes that the engine wrote, without a copy.
func Bytes(address, length uint32) []byte {
	if length == 0 {
		return nil
	}
	return unsafe.Slice(At[byte](address), length)
}

// Address is where a text lies.
func Address(text string) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.StringData(text))))
}
