package host

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
