;; A component that is no plugin: it exports a function, but not the handler.
(component
  (core module $guest (func (export "run")))
  (core instance $guest (instantiate $guest))
  (func $run (canon lift (core func $guest "run")))
  (export "run" (func $run)))
