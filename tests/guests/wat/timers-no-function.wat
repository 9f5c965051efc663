;; Says that it handles timers, and has nothing to do it with.
(component
  (instance $none)
  (export "wasmill:plugin/timers@0.1.0" (instance $none))
  (export "wasmill:plugin/handler@0.1.0" (instance $none)))
