package wasmill

import "wasmill/internal/host"

// The shapes here and in lower_wasm.go are those that the canonical ABI of the component model gives the records of the
// contract in memory: every field at its own alignment, an address and a length for text and lists, a byte that tells whether
// an option is there.

// wireList is a text or a list.
type wireList struct {
	address uint32
	length  uint32
}

func (l wireList) text() string {
	return host.String(l.address, l.length)
}

// wireOption is a text or list that need not be there.
type wireOption struct {
	there uint32 // Only the lowest byte counts.
	value wireList
}

func (o wireOption) text() string {
	if o.there&0xff == 0 {
		return ""
	}
	return o.value.text()
}

// wireHeader is a name and a value.
type wireHeader struct {
	name  wireList
	value wireList
}

// wireEvent is the contract's event.
type wireEvent struct {
	id      wireList
	source  wireList
	kind    wireList
	subject wireList
	time    uint64
	key     wireOption
	headers wireList
	data    wireList
	attempt uint32
	replyTo wireOption
}

// lift makes an event of what the engine wrote at an address. Texts and payload stay where they are.
func lift(address uint32) *Event {
	wire := host.At[wireEvent](address)
	event := &Event{
		ID:      wire.id.text(),
		Source:  wire.source.text(),
		Type:    wire.kind.text(),
		Subject: wire.subject.text(),
		TimeNS:  wire.time,
		Key:     wire.key.text(),
		Data:    host.Bytes(wire.data.address, wire.data.length),
		Attempt: wire.attempt,
		ReplyTo: wire.replyTo.text(),
	}
	if count := wire.headers.length; count > 0 {
		event.Headers = make([]Header, count)
		const size = 16 // Of one wireHeader, in bytes.
		for i := range event.Headers {
			header := host.At[wireHeader](wire.headers.address + uint32(i)*size)
			event.Headers[i] = Header{Name: header.name.text(), Value: header.value.text()}
		}
	}
	host.Taken()
	return event
}
