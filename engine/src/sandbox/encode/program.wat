;; Of a program: its name is `program`, its environment is WASMILL_CONFIG, and it reads lines.
  (func $run (export "wasi:cli/run@0.2.12#run") (result i32)
    (call $start)
    (i32.const 0))

  (global $stdin (mut i32) (i32.const -1))
  ;; Where the host is to put what it hands over next, and how much may be there.
  (global $room (mut i32) (i32.const 0))
  (global $room_bytes (mut i32) (i32.const 0))
  (global $handed_bytes (mut i32) (i32.const 0))
  (func $cabi_import_realloc (export "cabi_import_realloc") (param i32 i32 i32) (param $bytes i32) (result i32)
    (if (i32.gt_u (local.get $bytes) (global.get $room_bytes)) (then (unreachable)))
    (global.set $handed_bytes (local.get $bytes))
    (global.get $room))

  (func $args_sizes_get (export "args_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 1))
    (i32.store (local.get $bytes) (i32.const 8))
    (i32.const 0))
  (func $args_get (export "args_get") (param $pointers i32) (param $to i32) (result i32)
    (i32.store (local.get $pointers) (local.get $to))
    ;; `program` and a NUL.
    (i64.store (local.get $to) (i64.const 0x006d6172676f7270))
    (i32.const 0))

  ;; How large the configuration is, is known when it is there. So the program is asked for as much as it may take; the
  ;; engine refuses a longer one when it loads the program.
  (func $environ_sizes_get (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 1))
    (i32.store (local.get $bytes) (i32.const 65536))
    (i32.const 0))
  (func $environ_get (export "environ_get") (param $pointers i32) (param $to i32) (result i32)
    (i32.store (local.get $pointers) (local.get $to))
    ;; `WASMILL_CONFIG=`, and at first a NUL.
    (i64.store (local.get $to) (i64.const 0x5f4c4c494d534157))
    (i64.store offset=8 (local.get $to) (i64.const 0x003d4749464e4f43))
    (global.set $room (i32.add (local.get $to) (i32.const 15)))
    (global.set $room_bytes (i32.const 65520))
    (global.set $handed_bytes (i32.const 0))
    (call $lend)
    (call $config_json (i32.const 0))
    (call $give_back)
    (i32.store8 (i32.add (global.get $room) (global.get $handed_bytes)) (i32.const 0))
    (i32.const 0))

  (func $fd_read (export "fd_read")
    (param $fd i32) (param $parts i32) (param $count i32) (param $read i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $read) (i32.const 0))
    ;; Reading less than there is room for is allowed: one part is filled, the first that is not empty.
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (if (i32.load offset=4 (local.get $parts))
          (then
            (i32.store (local.get $read)
              (call $read_into (i32.load (local.get $parts)) (i32.load offset=4 (local.get $parts))))
            (br $done)))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.const 0))
  ;; How much was read; nothing at the end of the input.
  (func $read_into (param $to i32) (param $bytes i32) (result i32)
    (local $failed i32)
    (if (i32.eq (global.get $stdin) (i32.const -1)) (then (global.set $stdin (call $get_stdin))))
    (global.set $room (local.get $to))
    (global.set $room_bytes (local.get $bytes))
    (global.set $handed_bytes (i32.const 0))
    (call $lend)
    (call $blocking_read (global.get $stdin) (i64.extend_i32_u (local.get $bytes)) (i32.const 0))
    (local.set $failed (i32.load8_u (i32.const 0)))
    (call $give_back)
    (select (i32.const 0) (global.get $handed_bytes) (local.get $failed)))
