;; Does nothing wrong: proof that the frame fits the contract.
(core module $guest
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 4096))
  (func (export "realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  ;; Zeros at 16: ok, with an empty list. The event's memory is free again, so that the instance may be used for ever.
  (func (export "handle") (param i32) (result i32)
    (global.set $free (i32.const 4096))
    (i32.const 16)))
