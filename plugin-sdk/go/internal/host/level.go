// Package host is what the engine offers a plugin: in a component by the imports of the contract, in native tests by a world
// that the test sets up.
package host

// Level is how much a line of the log matters, numbered as in the contract.
type Level uint32

// The levels of the contract.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// String names the level as the contract does.
func (l Level) String() string {
	return [...]string{"trace", "debug", "info", "warn", "error"}[l]
}
