;; Handles timers as a later contract has it.
(component
  (instance $none)
  (export "wasmill:plugin/timers@0.2.0" (instance $none))
  (export "wasmill:plugin/handler@0.1.0" (instance $none)))
