// Package migrate is for plugins whose stored state has changed its shape from one version to the next.
//
//	func init() {
//		migrate.Handle(func(from, name string, value []byte) ([]byte, error) {
//			if name == "total" && from == "1.0.0" {
//				return append(value, "00"...), nil // It was euros, and is cents.
//			}
//			return value, nil
//		})
//	}
package migrate

import "fmt"

// Handler turns one state field from the shape that a version wrote into the present one; nil deletes the field. An error keeps
// the old version in service.
type Handler func(fromVersion, name string, value []byte) ([]byte, error)

var handler Handler

// Handle makes a function the plugin's handler of old state. Call it in an init function.
func Handle(migrate Handler) {
	handler = migrate
}

// Call calls the handler as the engine does: a panic becomes an error.
func (h Handler) Call(fromVersion, name string, value []byte) (changed []byte, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			changed, err = nil, fmt.Errorf("panic: %v", recovered)
		}
	}()
	return h(fromVersion, name, value)
}
