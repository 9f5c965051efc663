package wasmill

import (
	"unsafe"

	"wasmill/internal/host"
)

//go:wasmexport cabi_realloc
func reallocate(old, oldSize, align, size uint32) uint32 {
	address := host.Allocate(size, align)
	copy(host.Bytes(address, size), host.Bytes(old, min(oldSize, size)))
	return address
}

//go:wasmexport wasmill:plugin/handler@0.1.0#handle
func exportHandle(address uint32) uint32 {
	return answer(plugin.handler, lift(address))
}

// answer calls a handler and writes its answer down for the engine.
func answer(handler Handler, event *Event) uint32 {
	host.Enter()
	outputs, err := handler.Call(event)
	host.Leave()
	if err != nil {
		lowered.lowerFailure(err)
	} else {
		*(*wireList)(unsafe.Pointer(&lowered.answer.failure)) = lowered.lowerOutputs(outputs)
	}
	return uint32(uintptr(unsafe.Pointer(&lowered.answer)))
}

func init() {
	host.Answer = func(handler, event any) uint32 {
		return answer(handler.(Handler), event.(*Event))
	}
	host.Release = func() {
		lowered.release()
	}
}

//go:wasmexport cabi_post_wasmill:plugin/handler@0.1.0#handle
func afterHandle(uint32) {
	lowered.release()
}

//go:wasmexport wasmill:plugin/description@0.1.0#describe
func exportDescribe() uint32 {
	if plugin.handler == nil {
		panic("the plugin has no handler: call wasmill.Handle in an init function")
	}
	about := described()
	lowered.about = wireAbout{
		name:     lowered.text(about.Name),
		version:  lowered.text(about.Version),
		summary:  lowered.text(about.Summary),
		subjects: lowered.textList(about.Subjects),
		emits:    lowered.textList(about.Emits),
	}
	return uint32(uintptr(unsafe.Pointer(&lowered.about)))
}

//go:wasmexport cabi_post_wasmill:plugin/description@0.1.0#describe
func afterDescribe(uint32) {
	lowered.release()
}
