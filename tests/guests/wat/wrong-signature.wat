;; Has a handler, which takes and gives something else.
(component
  (core module $guest (func (export "handle") (param i32) (result i32) (local.get 0)))
  (core instance $guest (instantiate $guest))
  (func $handle (param "event" u32) (result u32) (canon lift (core func $guest "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasmill:plugin/handler@0.1.0" (instance $handler)))
