;; Has the handler's interface with nothing in it.
(component
  (instance $handler)
  (export "wasmill:plugin/handler@0.1.0" (instance $handler)))
