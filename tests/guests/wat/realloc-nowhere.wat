;; Offers the engine memory that it does not have.
(core module $guest
  (memory (export "memory") 1)
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0xffff0000))
  ;; Zeros at 16: ok, with an empty list.
  (func (export "handle") (param i32) (result i32) (i32.const 16)))
