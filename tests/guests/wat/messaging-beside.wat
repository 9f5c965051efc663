;; Has the contract's handler, and wants to publish past it.
(component
  (import "wasmcloud:messaging/consumer@0.2.0" (instance))
  (core module $guest
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
    (func (export "handle")))
  (core instance $guest (instantiate $guest))
  (func $handle (canon lift (core func $guest "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasmill:plugin/handler@0.1.0" (instance $handler)))
