//! Programs as plugins: an event is a line of standard input, outputs are lines of standard output (`crate::lines`).
//!
//! A program runs on a stack of its own and is put aside where it would wait for the next line: everything that it has
//! written by then belongs to the line before. That keeps it on the thread that calls it, inside its plugin's share of the
//! cores. With `fresh` isolation its input ends after one line, and it runs to its end.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use super::entry::{shape, wrong_type};
use super::host::{CallState, refuse, thread_cpu_time};
use super::instance::{Cut, add_contract_to_linker, bounded, cut_short, new_store};
use super::logs::{CallLog, LogSink};
use super::shares::Share;
use super::{LoadError, Prepared, wasi};
use crate::effects::Proposed;
use crate::event::Event;
use crate::limits::{MAX_PROGRAM_CONFIG_BYTES, MIB};
use crate::lines::{self, Said};
use crate::manifest::Isolation;
use crate::outcome::Failure;

/// The variable that holds the `[config]` table as JSON.
const CONFIG_VARIABLE: &str = "WASMILL_CONFIG";
/// What a write may be large, in bytes; a program writes again.
const WRITE_BYTES: usize = MIB;
/// How much of a bad line is quoted, in characters.
const QUOTED_CHARS: usize = 120;

/// The exported `run` of a program.
pub(super) struct Run(ComponentExportIndex);

impl Run {
    /// Finds it; none if the component is no program.
    pub fn find(component: &Component) -> Option<Self> {
        let name = shape(component).exports.into_iter().find(|name| name.starts_with("wasi:cli/run@0.2."))?;
        let (_, interface) = component.get_export(None, &name)?;
        let (item, run) = component.get_export(Some(&interface), "run")?;
        matches!(item, ComponentItem::ComponentFunc(_)).then_some(Self(run))
    }
}

/// The linker of programs: WASI that may wait.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wasi::add_to_waiting_linker(&mut linker)?;
    add_contract_to_linker(&mut linker)?;
    Ok(linker)
}

/// A program's standard input and output, shared by the program and whoever feeds it.
#[derive(Clone)]
pub(crate) struct Pipes(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// The event whose line is being read, until the store has taken note of it.
    begun: Option<Begun>,
    /// What is left of the line.
    line: Bytes,
    /// Whether the input ends after this line.
    ends: bool,
    /// Whether the program waits for a line.
    waiting: bool,
    written: Vec<u8>,
    most_written: usize,
}

/// A call that began while the program held its store.
pub(crate) struct Begun {
    pub event_id: String,
    pub source: String,
    pub time_ns: u64,
    pub at: Instant,
}

impl Pipes {
    fn new(isolation: Isolation, most_written: usize) -> Self {
        let ends = isolation == Isolation::Fresh;
        Self(Arc::new(Mutex::new(Inner { ends, most_written, ..Inner::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn feed(&self, event: &Event, line: Vec<u8>) {
        let mut inner = self.lock();
        inner.begun = Some(Begun {
            event_id: event.id.clone(),
            source: event.source.clone(),
            time_ns: event.time_ns,
            at: Instant::now(),
        });
        inner.line = line.into();
        inner.waiting = false;
        inner.written.clear();
    }

    /// The event that has begun since this was last asked, if one has.
    pub fn begun(&self) -> Option<Begun> {
        self.lock().begun.take()
    }

    /// What a program's world holds beside what every guest's does.
    pub fn give(&self, builder: &mut WasiCtxBuilder, name: &str, config: &str) {
        builder.stdin(self.clone()).stdout(self.clone()).arg(name).env(CONFIG_VARIABLE, config);
    }
}

impl IsTerminal for Pipes {
    /// A C library writes lines as they end only to what it takes for a terminal; to a pipe it writes when a buffer is full,
    /// which may be an event too late.
    fn is_terminal(&self) -> bool {
        true
    }
}

impl StdinStream for Pipes {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        // Only WASI 0.3 would ask for it, and 0.3 is not linked.
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl InputStream for Pipes {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut inner = self.lock();
        if inner.line.is_empty() && inner.ends {
            return Err(StreamError::Closed);
        }
        let most = size.min(inner.line.len());
        Ok(inner.line.split_to(most))
    }
}

impl StdoutStream for Pipes {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Out(self.clone()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Pipes {
    async fn ready(&mut self) {
        std::future::poll_fn(|_| {
            let mut inner = self.lock();
            inner.waiting = inner.line.is_empty() && !inner.ends;
            if inner.waiting { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

/// The writing end.
struct Out(Pipes);

impl OutputStream for Out {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut inner = self.0.lock();
        let limit_bytes = inner.most_written;
        if inner.written.len() + bytes.len() > limit_bytes {
            return Err(StreamError::Trap(refuse(Failure::Answer { limit_bytes })));
        }
        inner.written.extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Out {
    async fn ready(&mut self) {}
}

type Life = Pin<Box<dyn Future<Output = (wasmtime::Result<Result<(), ()>>, Store<CallState>)> + Send>>;

/// A program that runs, or waits for a line.
pub(super) struct Process {
    life: Life,
    pipes: Pipes,
    log: CallLog,
    cpu: Option<Duration>,
}

impl Process {
    /// Makes a program ready to run; it starts with its first event.
    pub fn new(engine: &Engine, prepared: &Arc<Prepared>, sink: &LogSink, share: Option<Arc<Share>>) -> Self {
        let mut store = new_store(engine, prepared, sink, share);
        let most_written = store.data().shared.limits.event_bytes as usize;
        let pipes = Pipes::new(prepared.isolation, most_written);
        store.data_mut().pipes = Some(pipes.clone());
        // The first look at the clocks is due at once: it takes note of the event.
        store.set_epoch_deadline(0);
        let log = store.data().log.clone();
        let prepared = Arc::clone(prepared);
        let life = async move {
            let ended = live(&prepared, &mut store).await;
            (ended, store)
        };
        Self { life: Box::pin(life), pipes, log, cpu: None }
    }

    /// The CPU time of the last call.
    pub fn cpu_used(&self) -> Option<Duration> {
        self.cpu
    }

    /// Hands it one event. If the second value is false, it has ended or must not be used again.
    pub fn handle(&mut self, event: &Event) -> (Result<Vec<Proposed>, Cut>, bool) {
        match lines::event(event) {
            Ok(line) => self.pipes.feed(event, line),
            Err(err) => return (Err(Failure::Engine(err.to_string()).into()), true),
        }
        self.log.begin(&event.id);
        let cpu = thread_cpu_time();
        let polled = self.life.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.cpu = Some(thread_cpu_time().saturating_sub(cpu));
        self.log.finish();
        match polled {
            Poll::Pending if self.pipes.lock().waiting => {
                let answer = self.answer(event);
                // Whoever does not keep to the lines is out of step with its events.
                let intact = !matches!(&answer, Err(Cut { failure: Failure::InvalidValue(_), .. }));
                (answer, intact)
            }
            Poll::Pending => {
                (Err(Failure::Engine("the program waits for what never comes".into()).into()), false)
            }
            Poll::Ready((Ok(Ok(())), _)) => (self.answer(event), false),
            Poll::Ready((Ok(Err(())), _)) => (Err(self.exited(1)), false),
            Poll::Ready((Err(err), store)) => match err.downcast_ref::<I32Exit>() {
                Some(I32Exit(0)) => (self.answer(event), false),
                Some(I32Exit(status)) => (Err(self.exited(*status)), false),
                None => (Err(cut_short(&err, &store)), false),
            },
        }
    }

    fn exited(&self, status: i32) -> Cut {
        Cut { failure: Failure::Exit(status), backtrace: self.log.last_words() }
    }

    fn answer(&self, event: &Event) -> Result<Vec<Proposed>, Cut> {
        let written = std::mem::take(&mut self.pipes.lock().written);
        let mut outputs = Vec::new();
        for (number, line) in written.split(|byte| *byte == b'\n').enumerate() {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match lines::answer(line, &event.id) {
                Ok(Said::Output(output)) => outputs.push(output),
                Ok(Said::Retry { reason, after_ms }) => {
                    let after = after_ms.map(Duration::from_millis);
                    return Err(Failure::Retry { after, reason: bounded(reason) }.into());
                }
                Ok(Said::Reject(reason)) => return Err(Failure::Rejected(bounded(reason)).into()),
                Err(why) => {
                    let quoted: String = String::from_utf8_lossy(line).chars().take(QUOTED_CHARS).collect();
                    let text =
                        format!("line {} of standard output is no output: {why}: {quoted}", number + 1);
                    return Err(Failure::InvalidValue(text).into());
                }
            }
        }
        Ok(outputs)
    }
}

async fn live(prepared: &Prepared, store: &mut Store<CallState>) -> wasmtime::Result<Result<(), ()>> {
    let Some(run) = prepared.fitted.run() else {
        return Err(wasmtime::Error::msg("the component is no program"));
    };
    let instance = prepared.fitted.pre.instantiate_async(&mut *store).await?;
    let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, run.0)?;
    let (ended,) = run.call_async(&mut *store, ()).await?;
    Ok(ended)
}

/// Makes a first instance without running it, and checks the type of `run`.
pub(super) fn try_out(engine: &Engine, prepared: &Prepared, sink: &LogSink) -> Result<(), LoadError> {
    let Some(run) = prepared.fitted.run() else { return Ok(()) };
    let config_bytes = prepared.shared.json.len();
    if config_bytes > MAX_PROGRAM_CONFIG_BYTES {
        return Err(LoadError::World(format!(
            "its [config] has {config_bytes} bytes as JSON; a program's environment holds {MAX_PROGRAM_CONFIG_BYTES}"
        )));
    }
    let mut store = new_store(engine, prepared, sink, None);
    super::instance::begin(&mut store, None);
    let started = {
        let mut start = Box::pin(prepared.fitted.pre.instantiate_async(&mut store));
        match start.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(started) => started,
            Poll::Pending => {
                return Err(LoadError::World("the program waits before it has started".to_owned()));
            }
        }
    };
    let instance = started.map_err(|err| LoadError::Start(cut_short(&err, &store).failure))?;
    let typed = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut store, run.0);
    typed.map(|_| ()).map_err(|err| LoadError::World(wrong_type("run", &format!("{err:#}"))))
}
