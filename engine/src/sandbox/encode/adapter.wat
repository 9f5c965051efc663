;; WASI preview 1 for core modules that become components, in terms of what a component may import: no files, no sockets,
;; time and chance that come from the event. What differs between plugins and programs stands in files of their own, which
;; the build puts where the line PART is.
;;
;; The encoder keeps only what a module uses of this. It has no memory: it works on the module's, of which it takes none.
;; There are runtimes (Go's) that take what lies behind their heap for theirs, whoever asked the system for it.
;;
;; A component must not call out while its host is in `cabi_realloc` or after a return. Languages with a runtime read clocks
;; and draw numbers there all the same, so `$barred`, which the encoder adds to the module, tells when.
(module $preview1
  (import "env" "memory" (memory 0))
  (import "__main_module__" "wasmill_barred" (global $barred (mut i32)))
  (import "__main_module__" "_start" (func $start))
  (import "wasi:cli/stdout@0.2.12" "get-stdout" (func $get_stdout (result i32)))
  (import "wasi:cli/stderr@0.2.12" "get-stderr" (func $get_stderr (result i32)))
  (import "wasi:cli/stdin@0.2.12" "get-stdin" (func $get_stdin (result i32)))
  (import "wasi:io/streams@0.2.12" "[method]input-stream.blocking-read"
    (func $blocking_read (param i32 i64 i32)))
  (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
    (func $write_and_flush (param i32 i32 i32 i32)))
  (import "wasi:cli/exit@0.2.12" "exit-with-code" (func $exit_with_code (param i32)))
  (import "wasi:random/random@0.2.12" "get-random-u64" (func $get_random (result i64)))
  (import "wasmill:plugin/clock@0.1.0" "now" (func $plugin_now (result i64)))
  (import "wasmill:plugin/config@0.1.0" "json" (func $config_json (param i32)))

  (global $stdout (mut i32) (i32.const -1))
  (global $stderr (mut i32) (i32.const -1))
  ;; What stood in memory that is lent.
  (global $lent_low (mut i64) (i64.const 0))
  (global $lent_high (mut i32) (i32.const 0))
  ;; Nanoseconds. It moves with each reading and each sleep, so that whoever waits for it gets there.
  (global $monotonic (mut i64) (i64.const 0))
  ;; The plugin clock when it was last read: what is told while calling out is barred.
  (global $realtime (mut i64) (i64.const 0))
  ;; The state of the generator for that time.
  (global $chance (mut i64) (i64.const 0x9e3779b97f4a7c15))

  ;; Error numbers: 8 bad descriptor, 28 invalid, 52 not supported, 61 too large, 70 not seekable.

  ;; PART

  (func $clock_res_get (export "clock_res_get") (param $id i32) (param $result i32) (result i32)
    (i64.store (local.get $result) (i64.const 1000))
    (i32.const 0))
  (func $clock_time_get (export "clock_time_get")
    (param $id i32) (param $precision i64) (param $result i32) (result i32)
    (if (local.get $id)
      (then
        (global.set $monotonic (i64.add (global.get $monotonic) (i64.const 1000)))
        (i64.store (local.get $result) (global.get $monotonic)))
      (else
        (if (i32.eqz (global.get $barred))
          (then (global.set $realtime (call $plugin_now))))
        (i64.store (local.get $result) (global.get $realtime))))
    (i32.const 0))

  (func $random_get (export "random_get") (param $to i32) (param $length i32) (result i32)
    (local $bits i64)
    (local $at i32)
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $length)))
        (if (i32.eqz (i32.and (local.get $at) (i32.const 7)))
          (then (local.set $bits (if (result i64) (global.get $barred)
            (then (call $generate))
            (else (call $get_random))))))
        (i32.store8 (i32.add (local.get $to) (local.get $at)) (i32.wrap_i64 (local.get $bits)))
        (local.set $bits (i64.shr_u (local.get $bits) (i64.const 8)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.const 0))
  ;; The xorshift generator with shifts 13, 7 and 17 (Marsaglia 2003), always from the same start.
  (func $generate (result i64)
    (local $x i64)
    (local.set $x (global.get $chance))
    (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
    (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
    (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
    (global.set $chance (local.get $x))
    (local.get $x))

  (func $is_standard (param $fd i32) (result i32) (i32.le_u (local.get $fd) (i32.const 2)))
  ;; Success for a standard stream, else a bad descriptor.
  (func $if_standard (param $fd i32) (result i32)
    (select (i32.const 0) (i32.const 8) (call $is_standard (local.get $fd))))

  (func $fd_write (export "fd_write")
    (param $fd i32) (param $parts i32) (param $count i32) (param $written i32) (result i32)
    (local $total i32)
    (local $bytes i32)
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1))
      (then (return (i32.const 8))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $bytes (i32.load offset=4 (local.get $parts)))
        ;; What is written while calling out is barred is lost.
        (if (i32.eqz (global.get $barred))
          (then (call $say (local.get $fd) (i32.load (local.get $parts)) (local.get $bytes))))
        (local.set $total (i32.add (local.get $total) (local.get $bytes)))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $total))
    (i32.const 0))
  (func $say (param $fd i32) (param $from i32) (param $bytes i32)
    (local $stream i32)
    (local $piece i32)
    (local.set $stream (call $stream_of (local.get $fd)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $bytes)))
        ;; The most that the stream takes at once.
        (local.set $piece (select (local.get $bytes) (i32.const 4096)
          (i32.lt_u (local.get $bytes) (i32.const 4096))))
        (call $lend)
        (call $write_and_flush (local.get $stream) (local.get $from) (local.get $piece) (i32.const 0))
        (call $give_back)
        (local.set $from (i32.add (local.get $from) (local.get $piece)))
        (local.set $bytes (i32.sub (local.get $bytes) (local.get $piece)))
        (br $next))))
  ;; An answer needs up to 12 bytes of memory: the module's first ones are lent to it.
  (func $lend
    (global.set $lent_low (i64.load (i32.const 0)))
    (global.set $lent_high (i32.load (i32.const 8))))
  (func $give_back
    (i64.store (i32.const 0) (global.get $lent_low))
    (i32.store (i32.const 8) (global.get $lent_high)))
  (func $stream_of (param $fd i32) (result i32)
    (if (i32.eq (local.get $fd) (i32.const 1))
      (then
        (if (i32.eq (global.get $stdout) (i32.const -1)) (then (global.set $stdout (call $get_stdout))))
        (return (global.get $stdout))))
    (if (i32.eq (global.get $stderr) (i32.const -1)) (then (global.set $stderr (call $get_stderr))))
    (global.get $stderr))

  ;; A character device without rights to seek is a terminal to C's library, which then writes line by line; a buffer
  ;; that waits for the program's end would never be written.
  (func $fd_fdstat_get (export "fd_fdstat_get") (param $fd i32) (param $result i32) (result i32)
    (if (call $is_standard (local.get $fd))
      (then
        (memory.fill (local.get $result) (i32.const 0) (i32.const 24))
        (i32.store8 (local.get $result) (i32.const 2))
        (i64.store offset=8 (local.get $result)
          (select (i64.const 64) (i64.const 2) (local.get $fd)))))
    (call $if_standard (local.get $fd)))
  (func $fd_filestat_get (export "fd_filestat_get") (param $fd i32) (param $result i32) (result i32)
    (if (call $is_standard (local.get $fd))
      (then
        (memory.fill (local.get $result) (i32.const 0) (i32.const 64))
        (i32.store8 offset=16 (local.get $result) (i32.const 2))))
    (call $if_standard (local.get $fd)))
  (func $fd_seek (export "fd_seek") (param $fd i32) (param i64 i32 i32) (result i32)
    (select (i32.const 70) (i32.const 8) (call $is_standard (local.get $fd))))
  (func $fd_tell (export "fd_tell") (param $fd i32) (param i32) (result i32)
    (select (i32.const 70) (i32.const 8) (call $is_standard (local.get $fd))))
  (func (export "fd_close") (param i32) (result i32) (call $if_standard (local.get 0)))
  (func (export "fd_sync") (param i32) (result i32) (call $if_standard (local.get 0)))
  (func (export "fd_datasync") (param i32) (result i32) (call $if_standard (local.get 0)))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (call $if_standard (local.get 0)))

  ;; What needs a file or a socket finds no descriptor.
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))

  (func $proc_exit (export "proc_exit") (param $status i32)
    (if (global.get $barred) (then (call $proc_exit_while_allocating)))
    (call $exit_with_code (i32.and (local.get $status) (i32.const 255)))
    (unreachable))
  (func $proc_exit_while_allocating (unreachable))
  (func (export "proc_raise") (param i32) (result i32) (i32.const 52))
  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; Waits by moving the clock to the earliest of the moments waited for. Descriptors are ready: reading waits if it has to.
  (func $poll_oneoff (export "poll_oneoff")
    (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)
    (local $at i32)
    (local $end i32)
    (local $soonest i64)
    (local $before i64)
    (if (i32.eqz (local.get $count)) (then (return (i32.const 28))))
    (local.set $end (i32.add (local.get $in) (i32.mul (local.get $count) (i32.const 48))))
    (local.set $soonest (i64.const -1))
    (local.set $before (global.get $monotonic))
    (local.set $at (local.get $in))
    (loop $next
      (local.set $soonest (call $lesser (local.get $soonest)
        (call $wait_of (local.get $at) (local.get $before))))
      (br_if $next (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 48))) (local.get $end))))
    (global.set $monotonic (i64.add (local.get $before) (local.get $soonest)))
    (i32.store (local.get $events) (i32.const 0))
    (local.set $at (local.get $in))
    (loop $next
      (if (i64.le_u (call $wait_of (local.get $at) (local.get $before)) (local.get $soonest))
        (then
          (call $tell (local.get $at) (local.get $out))
          (local.set $out (i32.add (local.get $out) (i32.const 32)))
          (i32.store (local.get $events) (i32.add (i32.load (local.get $events)) (i32.const 1)))))
      (br_if $next (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 48))) (local.get $end))))
    (i32.const 0))
  (func $lesser (param i64 i64) (result i64)
    (select (local.get 0) (local.get 1) (i64.lt_u (local.get 0) (local.get 1))))
  ;; How long a subscription has to wait, in nanoseconds.
  (func $wait_of (param $subscription i32) (param $now i64) (result i64)
    (local $timeout i64)
    (if (i32.load8_u offset=8 (local.get $subscription)) (then (return (i64.const 0))))
    (local.set $timeout (i64.load offset=24 (local.get $subscription)))
    ;; A span, and not a moment.
    (if (i32.eqz (i32.and (i32.load16_u offset=40 (local.get $subscription)) (i32.const 1)))
      (then (return (local.get $timeout))))
    ;; A moment of the clock that stands still, or one that has passed, is due.
    (if (i32.or
          (i32.eqz (i32.load offset=16 (local.get $subscription)))
          (i64.lt_u (local.get $timeout) (local.get $now)))
      (then (return (i64.const 0))))
    (i64.sub (local.get $timeout) (local.get $now)))
  (func $tell (param $subscription i32) (param $event i32)
    (local $kind i32)
    (local $userdata i64)
    (local.set $kind (i32.load8_u offset=8 (local.get $subscription)))
    (local.set $userdata (i64.load (local.get $subscription)))
    (memory.fill (local.get $event) (i32.const 0) (i32.const 32))
    (i64.store (local.get $event) (local.get $userdata))
    (i32.store8 offset=10 (local.get $event) (local.get $kind))
    (i32.store16 offset=8 (local.get $event) 
      ;; A clock, or a descriptor.
      (if (result i32) (local.get $kind)
        (then (call $if_standard (i32.load offset=16 (local.get $subscription))))
        (else (i32.const 0))))))
