//! What a guest says: log lines, standard output and error. Bounded per call, then cut.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::limits::{Limits, MAX_BACKTRACE_FRAMES, MAX_FRAME_CHARS};
use crate::outcome::{Failure, cut, one_line};

/// A line longer than this is broken in two, in bytes.
const MAX_LINE_BYTES: usize = 4_096;
/// What a line or a field costs beside its text, in bytes: without it, empty ones would be free.
const LINE_COST_BYTES: usize = 32;

/// One line that a guest logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The id of the event being handled; empty while the component is loaded.
    pub event: String,
    /// How much it matters.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Names and values that belong to it.
    pub fields: Vec<(String, String)>,
}

/// Takes the lines of one plugin as they come, on the thread that runs the guest.
pub type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// The log of one call. Clones write into the same one: standard output and error outlive a borrow of the store.
#[derive(Clone)]
pub(crate) struct CallLog(Arc<Mutex<Inner>>);

struct Inner {
    sink: LogSink,
    limit: usize,
    used: usize,
    cut_told: bool,
    event: String,
    partial: [Vec<u8>; 2],
    /// The last lines of standard error, of which a guest that ends itself usually says why.
    errors: VecDeque<String>,
}

impl CallLog {
    pub fn new(sink: LogSink, limits: &Limits) -> Self {
        let limit = limits.log_bytes as usize;
        let inner = Inner {
            sink,
            limit,
            used: 0,
            cut_told: false,
            event: String::new(),
            partial: [Vec::new(), Vec::new()],
            errors: VecDeque::new(),
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Starts the count of a new call.
    pub fn begin(&self, event: &str) {
        let mut inner = self.lock();
        inner.event.clear();
        inner.event.push_str(event);
        inner.used = 0;
        inner.cut_told = false;
        inner.errors.clear();
    }

    /// The last lines of the call's standard error, the latest first; none if it wrote nothing there.
    pub fn last_words(&self) -> Option<String> {
        let inner = self.lock();
        let lines: Vec<_> = inner.errors.iter().rev().map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Writes one line.
    pub fn line(&self, level: Level, message: String, fields: Vec<(String, String)>) -> Result<(), Failure> {
        self.lock().line(level, message, fields)
    }

    /// Writes out what a stream holds of an unfinished line.
    pub fn finish(&self) {
        let mut inner = self.lock();
        for stream in [Stream::Out, Stream::Err] {
            let rest = std::mem::take(inner.partial_of(stream));
            if !rest.is_empty() {
                // The limit has no one left to stop: the call is over.
                let _over = inner.stream_line(stream, &rest);
            }
        }
    }

    /// A handle for one of the two streams.
    pub fn stream(&self, stream: Stream) -> LogStream {
        LogStream { log: self.clone(), stream }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn line(
        &mut self,
        level: Level,
        mut message: String,
        fields: Vec<(String, String)>,
    ) -> Result<(), Failure> {
        let of_field = |(name, value): &(String, String)| name.len() + value.len() + LINE_COST_BYTES;
        let bytes = message.len() + fields.iter().map(of_field).sum::<usize>();
        let before = self.used;
        self.used = self.used.saturating_add(bytes + LINE_COST_BYTES);
        if self.used <= self.limit {
            self.say(level, message, fields);
            return Ok(());
        }
        if !self.cut_told {
            self.cut_told = true;
            cut(&mut message, self.limit.saturating_sub(before));
            self.say(level, message, Vec::new());
            let told = format!("log cut: the call logged more than limits.log_bytes = {}", self.limit);
            self.say(Level::WARN, told, Vec::new());
        }
        if self.used > self.limit.saturating_mul(2) {
            return Err(Failure::Log { limit: u32::try_from(self.limit).unwrap_or(u32::MAX) });
        }
        Ok(())
    }

    fn say(&self, level: Level, message: String, fields: Vec<(String, String)>) {
        let fields = fields.into_iter().map(|(name, value)| (one_line(name), one_line(value))).collect();
        (self.sink)(LogLine { event: self.event.clone(), level, message: one_line(message), fields });
    }

    fn partial_of(&mut self, stream: Stream) -> &mut Vec<u8> {
        let [out, err] = &mut self.partial;
        match stream {
            Stream::Out => out,
            Stream::Err => err,
        }
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Failure> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let held = self.partial_of(stream);
            held.extend_from_slice(piece);
            if piece.ends_with(b"\n") || held.len() >= MAX_LINE_BYTES {
                let line = std::mem::take(held);
                self.stream_line(stream, &line)?;
            }
        }
        Ok(())
    }

    fn stream_line(&mut self, stream: Stream, line: &[u8]) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        let (level, name) = match stream {
            Stream::Out => (Level::INFO, "stdout"),
            Stream::Err => (Level::WARN, "stderr"),
        };
        if stream == Stream::Err {
            if self.errors.len() == MAX_BACKTRACE_FRAMES {
                self.errors.pop_front();
            }
            self.errors.push_back(one_line(text.chars().take(MAX_FRAME_CHARS).collect()));
        }
        self.line(level, text, vec![("stream".to_owned(), name.to_owned())])
    }
}

/// Which of the two standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// A standard stream that ends in the log, line by line.
#[derive(Clone)]
pub(crate) struct LogStream {
    log: CallLog,
    stream: Stream,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only WASI 0.3 would ask for it, and 0.3 is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log
            .lock()
            .write(self.stream, &bytes)
            .map_err(|failure| StreamError::Trap(super::host::refuse(failure)))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_LINE_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(limit: u32) -> (CallLog, Arc<Mutex<Vec<LogLine>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let sink: LogSink = Arc::new(move |line| kept.lock().unwrap().push(line));
        (CallLog::new(sink, &Limits { log_bytes: limit, ..Limits::default() }), lines)
    }

    #[test]
    fn a_stream_becomes_lines() {
        let (log, lines) = log(1_000);
        log.stream(Stream::Out).write(Bytes::from_static(b"one\ntw")).unwrap();
        log.stream(Stream::Out).write(Bytes::from_static(b"o\nthree")).unwrap();
        log.finish();
        let texts: Vec<_> = lines.lock().unwrap().iter().map(|line| line.message.clone()).collect();
        assert_eq!(texts, ["one", "two", "three"]);
    }

    #[test]
    fn a_flood_is_cut_and_then_refused() {
        let (log, lines) = log(100);
        let say = |text: &str| log.line(Level::INFO, text.repeat(10), Vec::new());
        assert_eq!(say("aaaaa"), Ok(()));
        assert_eq!(say("bbbbb"), Ok(()));
        assert_eq!(say("ccccc"), Err(Failure::Log { limit: 100 }));
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 3, "the whole line, the cut one, the notice");
        assert!(lines[2].message.starts_with("log cut"));
        drop(lines);
        log.begin("e2");
        assert_eq!(say("d"), Ok(()));
    }

    #[test]
    fn a_line_cannot_forge_another() {
        let (log, lines) = log(1_000);
        log.line(Level::INFO, "a\nERROR b\u{1b}[0m é".into(), Vec::new()).unwrap();
        assert_eq!(lines.lock().unwrap()[0].message, "a\\nERROR b\\u{1b}[0m é");
    }
}
