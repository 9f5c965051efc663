//! Long calls give way to short ones.
//!
//! A call that goes on for more than a few milliseconds of CPU time is moved to a low priority, so that a short call of a
//! neighbour, or the engine itself, has a core as soon as it wants one; if nobody wants it, the long call is none the slower.
//! The system lets nobody without privileges raise a priority again, so the thread is retired after that call and a new
//! one takes its place. How much a plugin gets in all stays a matter of its share.

use std::cell::Cell;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::setpriority_process;

use crate::limits::WORKER_STACK_BYTES;

/// The CPU time after which a call counts as long. Most rules need microseconds; a new thread costs a hundred of them.
const LONG: Duration = Duration::from_millis(4);
/// The niceness of a long call: a third of the weight of an ordinary thread. Short calls then come first, and on a machine that
/// has too much to do a long one still ends before its wall time is up.
const NICE: i32 = 5;

thread_local! {
    static LOW: Cell<bool> = const { Cell::new(false) };
}

/// Tells how much CPU time the call on this thread has used so far.
pub(super) fn note(cpu_used: Duration) {
    if cpu_used >= LONG && !LOW.get() {
        // On a system that refuses this, long calls keep their priority.
        LOW.set(setpriority_process(None, NICE).is_ok());
    }
}

/// Whether this thread has made a long call, and should be retired.
pub(super) fn is_low() -> bool {
    LOW.get()
}

type Job = Box<dyn FnOnce() + Send>;

struct Request {
    name: String,
    reply: mpsc::Sender<std::io::Result<mpsc::Sender<Job>>>,
}

/// Makes threads of ordinary priority, whoever asks: a thread takes after the one that makes it.
#[derive(Clone)]
pub(super) struct Spawner(mpsc::Sender<Request>);

impl Spawner {
    /// Starts the thread that makes threads. It ends with the last of its handles.
    pub fn start() -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::channel::<Request>();
        thread::Builder::new().name("wasmill-spawner".into()).spawn(move || {
            for Request { name, reply } in inbox {
                let (job, wait) = mpsc::channel::<Job>();
                let made =
                    thread::Builder::new().name(name).stack_size(WORKER_STACK_BYTES).spawn(move || {
                        // Whoever asked may have gone.
                        if let Ok(job) = wait.recv() {
                            job();
                        }
                    });
                let _asker_gone = reply.send(made.map(|_| job));
            }
        })?;
        Ok(Self(requests))
    }

    /// A new thread, which waits for its one job.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn thread(&self, name: String) -> std::io::Result<mpsc::Sender<Job>> {
        let (reply, answer) = mpsc::channel();
        let gone = || std::io::Error::other("the thread that makes threads has ended");
        self.0.send(Request { name, reply }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_call_lowers_its_thread_and_the_next_thread_is_as_before() {
        let spawner = Spawner::start().unwrap();
        let (tell, told) = mpsc::channel();
        let low = spawner.thread("low".into()).unwrap();
        let (next, telling) = (spawner.clone(), tell.clone());
        low.send(Box::new(move || {
            note(LONG / 2);
            telling.send(is_low()).unwrap();
            note(LONG);
            telling.send(is_low()).unwrap();
            let fresh = next.thread("fresh".into()).unwrap();
            fresh.send(Box::new(move || telling.send(nice() == NICE).unwrap())).unwrap();
        }))
        .unwrap();
        let heard: Vec<bool> = (0..3).map(|_| told.recv().unwrap()).collect();
        assert_eq!(heard, [false, true, false]);
    }

    fn nice() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }
}
