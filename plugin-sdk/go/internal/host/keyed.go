package host

import (
	"strings"
	"unicode/utf8"
)

// Refusal says why a host function of plugins with a key did not do what it was asked, by the number of the case in the
// contract; Limit is what the case holds, if it holds a number.
type Refusal struct {
	Case  uint32
	Limit uint64
}

// The cases of the errors of state and timer-control.
const (
	NoKey uint32 = iota
	TooMuch
	BadName
)

// The cases of the error of lookup.
const (
	NotGranted uint32 = iota
	NotReady
)

// isText says whether the engine takes a name as a string. It ends the instance for one that is no UTF-8.
func isText(name string) bool {
	return utf8.ValidString(name)
}

// badName is what is said of a name that the engine would not take.
var badName = &Refusal{Case: BadName}

// lossy is a text that the engine takes: bytes that are no UTF-8 become U+FFFD.
func lossy(text string) string {
	return strings.ToValidUTF8(text, "\uFFFD")
}
