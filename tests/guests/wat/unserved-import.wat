;; Wants a part of the contract that is not served.
(component
  (import "wasmill:plugin/state@0.1.0" (instance (export "get" (func (param "name" string) (result u32)))))
  (instance $handler)
  (export "wasmill:plugin/handler@0.1.0" (instance $handler)))
