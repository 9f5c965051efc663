package wasmill

import (
	"unsafe"

	"wasmill/internal/host"
)

// wireOutput is the contract's output.
type wireOutput struct {
	subject wireList
	kind    wireOption
	headers wireList
	data    wireList
}

// wireAnswer is what handle returns: a list of outputs, or a failure.
type wireAnswer struct {
	failed  uint64 // Only the lowest byte counts.
	failure uint64 // The case of the failure in the lowest byte; or the list of outputs.
	// What the case holds.
	content [3]uint64
}

// The cases of the contract's failure.
const (
	caseRetry = iota
	caseReject
	caseException
)

// wireRetry is what the failure of that name holds.
type wireRetry struct {
	timed   uint64 // Only the lowest byte counts.
	afterMS uint64
	reason  wireList
}

// wireException is what the failure of that name holds.
type wireException struct {
	message wireList
	trace   wireList
}

// wireAbout is the contract's about.
type wireAbout struct {
	name     wireList
	version  wireList
	summary  wireList
	subjects wireList
	emits    wireList
}

// lowering is an answer on its way to the engine. It keeps all that the answer's addresses lead to, for the collector does not
// see them, until the engine has read it and says so.
type lowering struct {
	answer  wireAnswer
	about   wireAbout
	outputs []Output
	texts   []string
	lists   []unsafe.Pointer
}

var lowered lowering

func (l *lowering) text(text string) wireList {
	l.texts = append(l.texts, text)
	return wireList{address: host.Address(text), length: uint32(len(text))}
}

func (l *lowering) list(memory unsafe.Pointer, length int) wireList {
	l.lists = append(l.lists, memory)
	return wireList{address: uint32(uintptr(memory)), length: uint32(length)}
}

func (l *lowering) textList(texts []string) wireList {
	wires := make([]wireList, len(texts))
	for i, text := range texts {
		wires[i] = l.text(text)
	}
	return l.list(unsafe.Pointer(unsafe.SliceData(wires)), len(wires))
}

// lowerOutputs writes outputs. Their own texts, headers and payloads are kept by the outputs themselves.
func (l *lowering) lowerOutputs(outputs []Output) wireList {
	l.outputs = outputs
	wires := make([]wireOutput, len(outputs))
	for i := range outputs {
		output := &outputs[i]
		wires[i] = wireOutput{
			subject: of(output.Subject),
			headers: l.headers(output.Headers),
			data:    of(unsafe.String(unsafe.SliceData(output.Data), len(output.Data))),
		}
		if output.Type != "" {
			wires[i].kind = wireOption{there: 1, value: of(output.Type)}
		}
	}
	return l.list(unsafe.Pointer(unsafe.SliceData(wires)), len(wires))
}

func (l *lowering) headers(headers []Header) wireList {
	wires := make([]wireHeader, len(headers))
	for i, header := range headers {
		wires[i] = wireHeader{name: of(header.Name), value: of(header.Value)}
	}
	return l.list(unsafe.Pointer(unsafe.SliceData(wires)), len(wires))
}

// of is where a text lies that is kept elsewhere.
func of(text string) wireList {
	return wireList{address: host.Address(text), length: uint32(len(text))}
}

// lowerFailure writes one of the errors that [Handler.Call] returns.
func (l *lowering) lowerFailure(err error) {
	l.answer.failed = 1
	content := unsafe.Pointer(&l.answer.content)
	switch failure := err.(type) {
	case *RetryError:
		l.answer.failure = caseRetry
		retry := wireRetry{reason: l.text(failure.Reason)}
		if ms := failure.After.Milliseconds(); ms > 0 {
			retry.timed, retry.afterMS = 1, uint64(ms)
		}
		*(*wireRetry)(content) = retry
	case *RejectError:
		l.answer.failure = caseReject
		*(*wireList)(content) = l.text(failure.Reason)
	case *ExceptionError:
		l.answer.failure = caseException
		*(*wireException)(content) = wireException{message: l.text(failure.Message), trace: l.text(failure.Trace)}
	}
}

// release forgets an answer that the engine has read. The lists are used again, unless they have become large.
func (l *lowering) release() {
	const large = 1_024
	clear(l.texts)
	clear(l.lists)
	*l = lowering{texts: l.texts[:0], lists: l.lists[:0]}
	if cap(l.texts) > large {
		l.texts = nil
	}
	if cap(l.lists) > large {
		l.lists = nil
	}
}
