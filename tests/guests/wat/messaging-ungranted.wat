;; Made for a host that gives its components more than messages.
(component
  (import "wasi:keyvalue/store@0.2.0-draft" (instance (export "list" (func (param "bucket" string) (result u32)))))
  (import "wasi:http/outgoing-handler@0.2.0" (instance (export "handle" (func (result u32)))))
  (instance $handler)
  (export "wasmcloud:messaging/handler@0.2.0" (instance $handler)))
