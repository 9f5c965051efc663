;; Sets timers, and handles none.
(component
  (import "wasmill:plugin/timer-control@0.1.0" (instance))
  (instance $handler)
  (export "wasmill:plugin/handler@0.1.0" (instance $handler)))
