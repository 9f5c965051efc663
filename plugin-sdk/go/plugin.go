// Package wasmill is for plugins of the Wasmill engine: a function that handles events, and what the engine offers it.
//
//	func init() {
//		wasmill.Handle(handle)
//	}
//
//	func handle(event *wasmill.Event) ([]wasmill.Output, error) {
//		var payment struct{ Amount float64 }
//		if err := event.JSON(&payment); err != nil || payment.Amount <= 220 {
//			return nil, err
//		}
//		return []wasmill.Output{wasmill.Bytes("alerts.large", event.Data)}, nil
//	}
//
//	func main() {}
//
// A plugin is a library: the engine calls its functions, and main is never run. What it sets up stands in init functions.
package wasmill

import "path"

// Handler handles one event. All outputs take effect together, or none does.
//
// An error made by [Retry] or [Reject], or one that wraps it, says what becomes of the event; any other error, and a panic, is
// the handler's fault and reported with its trace.
type Handler func(event *Event) ([]Output, error)

// About is what a plugin says about itself.
type About struct {
	// Name is the plugin's name; the last part of the module's path, if it is empty.
	Name string
	// Version is its version, as semantic versioning has it.
	Version string
	// Summary is one sentence for people.
	Summary string
	// Subjects are the subject patterns it is made for.
	Subjects []string
	// Emits are the subject patterns it emits to.
	Emits []string
}

var plugin struct {
	handler Handler
	about   About
}

// Handle makes a function the plugin's handler. Call it in an init function.
func Handle(handler Handler) {
	plugin.handler = handler
}

// Describe sets what the plugin says about itself. Call it in an init function, or not at all.
func Describe(about About) {
	plugin.about = about
}

// Call calls the handler as the engine does. The error is nil, a [*RetryError], a [*RejectError] or an [*ExceptionError].
func (h Handler) Call(event *Event) (outputs []Output, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			outputs, err = nil, exceptionOf(recovered)
		}
	}()
	if outputs, err = h(event); err != nil {
		return nil, classify(err)
	}
	return outputs, nil
}

// described is what the plugin says about itself, with what can be known of it.
func described() About {
	about := plugin.about
	if about.Name == "" {
		about.Name = path.Base(modulePath())
	}
	return about
}
