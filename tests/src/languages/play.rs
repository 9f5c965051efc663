//! Hands the events of a check to a plugin, and holds what comes of them against what must.

use wasmill::effects::{self, Emitter, Proposed, Rules};
use wasmill::event::Event;
use wasmill::manifest::Isolation;
use wasmill::outcome::Failure;
use wasmill::sandbox::{Caller, LogLine};
use wasmill::state::KeyState;

use super::checks::{Case, Check, Step, Wanted, event};
use super::compare;
use super::loaded::{Heard, Loaded, Served};
use super::matrix::Verdict;
use super::turn::Turn;

/// The largest message of a bus that is set up for events of 1 MiB.
const MAX_MESSAGE_BYTES: usize = 8 * 1_048_576;

/// What came of one event.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// The outputs, or the failure with where it was.
    pub answer: Result<Vec<Proposed>, (Failure, Option<String>)>,
    /// What was logged.
    pub lines: Vec<LogLine>,
}

impl Told {
    /// The data of the only output.
    ///
    /// # Errors
    /// If it is not the only one, or there is none.
    pub fn only_data(&self) -> Result<&[u8], String> {
        match &self.answer {
            Ok(outputs) => match outputs.as_slice() {
                [output] => Ok(&output.data),
                _ => Err(format!("one output was wanted, {} came", outputs.len())),
            },
            Err(_) => Err(format!("one output was wanted; {}", compare::ended(self))),
        }
    }
}

/// Makes one check of one language.
pub async fn check(loaded: &mut Loaded, check: &Check) -> Verdict {
    for isolation in check.isolations {
        let name = if *isolation == Isolation::Fresh { "fresh" } else { "reuse" };
        if let Err(why) = play(loaded, check, *isolation).await {
            return Verdict::Fail(format!("{name}: {why}"));
        }
    }
    Verdict::Pass
}

async fn play(loaded: &mut Loaded, check: &Check, isolation: Isolation) -> Result<(), String> {
    let served = loaded.serve(check, isolation).await?;
    let heard = Heard::default();
    let caller = loaded.caller(&served, heard.sink());
    let steps = (check.steps)(Case { row: loaded.row, isolation });
    // Guests never run on the runtime's threads.
    let played = tokio::task::spawn_blocking(move || play_steps(&served, caller, &heard, steps));
    played.await.map_err(|err| format!("the sandbox panicked: {err}"))?
}

fn play_steps(served: &Served, mut caller: Caller, heard: &Heard, steps: Vec<Step>) -> Result<(), String> {
    let mut told = Vec::new();
    let mut state = KeyState::default();
    for (at, step) in steps.into_iter().enumerate() {
        match step {
            Step::Describes(wanted) => {
                let about = served.prepared.about().cloned().ok_or("it has no description")?;
                if about != wanted {
                    return Err(format!("{wanted:?} was wanted, it says {about:?}"));
                }
            }
            Step::Turn(turn) => {
                let placed = |why: String| format!("turn {}: {why}", at + 1);
                let (left, steps) = turn.play(&mut caller, &state).map_err(placed)?;
                state = left;
                judge_turn(served, &turn, steps, heard).map_err(placed)?;
            }
            Step::Call { event, wanted } => {
                let answer = caller.call(&event).map_err(|cut| (cut.failure, cut.backtrace));
                told.push(Told { answer, lines: heard.take() });
                judge(served, &event, &wanted, &told).map_err(|why| {
                    let token = event.subject.rsplit('.').next().unwrap_or_default();
                    format!("event {} ({token}): {why}", at + 1)
                })?;
            }
        }
    }
    Ok(())
}

/// Judges the steps of a turn.
fn judge_turn(served: &Served, turn: &Turn, steps: Vec<Told>, heard: &Heard) -> Result<(), String> {
    let (wanted, came) = (turn.wanted.len(), steps.len());
    let base = event("script");
    for (at, (wanted, told)) in turn.wanted.iter().zip(steps).enumerate() {
        judge(served, &base, wanted, &[told]).map_err(|why| format!("step {}: {why}", at + 1))?;
    }
    if wanted != came {
        return Err(format!("{wanted} steps were wanted, {came} came"));
    }
    match heard.take() {
        lines if lines.is_empty() => Ok(()),
        lines => Err(format!("nothing was to be logged, and this was: {}", compare::lines(&lines))),
    }
}

/// Judges the last of what was told.
fn judge(served: &Served, event: &Event, wanted: &[Wanted], told: &[Told]) -> Result<(), String> {
    let Some((last, before)) = told.split_last() else { return Ok(()) };
    for wanted in wanted {
        compare::holds(wanted, last, before)?;
    }
    if let Some(line) = last.lines.iter().find(|line| line.event != event.id) {
        return Err(format!("a log line is marked with the event {:?}: {line:?}", line.event));
    }
    let Ok(outputs) = &last.answer else { return Ok(()) };
    let speaks = |wanted: &Wanted| {
        matches!(wanted, Wanted::Logs(_) | Wanted::Prints(_) | Wanted::AsStep(_) | Wanted::Judged(_))
    };
    if !last.lines.is_empty() && !wanted.iter().any(speaks) {
        return Err(format!("nothing was to be logged, and this was: {}", compare::lines(&last.lines)));
    }
    accepted(served, event, outputs)
}

/// Whether an engine would publish the outputs.
fn accepted(served: &Served, event: &Event, outputs: &[Proposed]) -> Result<(), String> {
    let emitter = Emitter { plugin: "conformance".into(), version: "1.2.3".into(), digest: "00".into() };
    let manifest = &served.manifest;
    let rules =
        Rules { emit: &manifest.emit, limits: &manifest.limits, max_message_bytes: MAX_MESSAGE_BYTES };
    effects::check(&emitter, event, "IN@1:1", outputs.to_vec(), rules)
        .map(|_| ())
        .map_err(|failure| format!("the engine refuses the outputs: {}", failure.line()))
}
