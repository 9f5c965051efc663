;; Made for a contract that does not exist yet.
(component
  (instance $handler)
  (export "wasmill:plugin/handler@0.2.0" (instance $handler)))
