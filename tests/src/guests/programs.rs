//! Programs that read lines, made of a few instructions each.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

/// What a program does, in instructions of WebAssembly's text format. `$echo` puts out the whole line as data, `$answer`
/// writes the answer, `$complain` the complaint to standard error; `$lines` counts.
#[derive(Debug, Default)]
pub struct Program {
    /// Done first.
    pub start: &'static str,
    /// Done with each line.
    pub line: &'static str,
    /// What `$answer` writes.
    pub answer: &'static str,
    /// What `$complain` writes.
    pub complaint: &'static str,
}

/// A text as one in WebAssembly's text format.
fn quoted(text: &str) -> String {
    text.bytes().fold(String::new(), |mut quoted, byte| {
        let _ = write!(quoted, "\\{byte:02x}");
        quoted
    })
}

impl Program {
    /// The program, a core module for WASI preview 1.
    ///
    /// # Errors
    /// If the instructions are none.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let Self { start, line, answer, complaint } = self;
        let (head, tail) = ("{\"subject\":\"out\",\"data\":", "}\n");
        let text = format!(
            r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 4)
  (global $length (mut i32) (i32.const 0))
  (global $lines (mut i32) (i32.const 0))
  (data (i32.const 1024) "{head}")
  (data (i32.const 1088) "{tail}")
  (data (i32.const 2048) "{answer}")
  (data (i32.const 4096) "{complaint}")
  (func $say (param $fd i32) (param $from i32) (param $bytes i32)
    (i32.store (i32.const 16) (local.get $from))
    (i32.store (i32.const 20) (local.get $bytes))
    (drop (call $fd_write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 24))))
  ;; Byte by byte into 65536, without the line's end: an answer does not depend on how the input comes in pieces.
  (func $read_line (result i32)
    (global.set $length (i32.const 0))
    (loop $next
      (i32.store (i32.const 16) (i32.add (i32.const 65536) (global.get $length)))
      (i32.store (i32.const 20) (i32.const 1))
      (drop (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))
      (if (i32.eqz (i32.load (i32.const 24))) (then (return (i32.const 0))))
      (if (i32.eq (i32.load8_u offset=65536 (global.get $length)) (i32.const 10))
        (then
          (global.set $lines (i32.add (global.get $lines) (i32.const 1)))
          (return (i32.const 1))))
      (global.set $length (i32.add (global.get $length) (i32.const 1)))
      (br $next))
    (unreachable))
  (func $echo
    (call $say (i32.const 1) (i32.const 1024) (i32.const {head_bytes}))
    (call $say (i32.const 1) (i32.const 65536) (global.get $length))
    (call $say (i32.const 1) (i32.const 1088) (i32.const {tail_bytes})))
  (func $answer (call $say (i32.const 1) (i32.const 2048) (i32.const {answer_bytes})))
  (func $complain (call $say (i32.const 2) (i32.const 4096) (i32.const {complaint_bytes})))
  (func (export "_start")
    {start}
    (loop $next
      (if (i32.eqz (call $read_line)) (then (return)))
      {line}
      (br $next))))"#,
            head = quoted(head),
            tail = quoted(tail),
            answer = quoted(answer),
            complaint = quoted(complaint),
            head_bytes = head.len(),
            tail_bytes = tail.len(),
            answer_bytes = answer.len(),
            complaint_bytes = complaint.len(),
        );
        wat::parse_str(text).context("a program")
    }
}
