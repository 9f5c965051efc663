;; A program for WASI preview 1, as any compiler of old makes them: for each line it reads it writes one fixed output.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  ;; An entry of 4,096 bytes at 1,024 to read into, the number read at 16, the output at 32.
  (data (i32.const 0) "\00\04\00\00\00\10\00\00")
  (data (i32.const 8) "\20\00\00\00\29\00\00\00")
  (data (i32.const 32) "{\"subject\":\"alerts.said\",\"text\":\"a line\"}\n")
  (func (export "_start")
    (loop $next
      (if (i32.ne (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)) (i32.const 0))
        (then (unreachable)))
      (if (i32.eqz (i32.load (i32.const 16))) (then (return)))
      ;; A line longer than the entry comes in parts; only its end is answered.
      (if (i32.eq
            (i32.load8_u (i32.add (i32.const 1023) (i32.load (i32.const 16))))
            (i32.const 10))
        (then
          (if (i32.ne (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)) (i32.const 0))
            (then (unreachable)))))
      (br $next))))
