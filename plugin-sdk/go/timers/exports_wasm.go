package timers

import (
	"wasmill"
	"wasmill/internal/host"
)

//go:wasmexport wasmill:plugin/timers@0.1.0#on-timer
func exportOnTimer(name, nameLength, key, keyLength uint32, due uint64, data, dataLength uint32) uint32 {
	timer := &Timer{
		Name:  host.String(name, nameLength),
		Key:   host.String(key, keyLength),
		DueNS: due,
		Data:  host.Bytes(data, dataLength),
	}
	host.Taken()
	return host.Answer(handler.of(timer), (*wasmill.Event)(nil))
}

//go:wasmexport cabi_post_wasmill:plugin/timers@0.1.0#on-timer
func afterOnTimer(uint32) {
	host.Release()
}
