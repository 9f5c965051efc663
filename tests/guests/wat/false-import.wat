;; Wants a function of the contract with another type.
(component
  (import "wasmill:plugin/clock@0.1.0" (instance (export "now" (func (param "zone" string) (result string)))))
  (instance $handler)
  (export "wasmill:plugin/handler@0.1.0" (instance $handler)))
