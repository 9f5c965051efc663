;; Takes messages as a later version of the interface hands them out.
(component
  (instance $handler)
  (export "wasmcloud:messaging/handler@0.3.0" (instance $handler)))
