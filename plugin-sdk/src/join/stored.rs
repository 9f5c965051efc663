//! A join in a state field, whose unmatched events are told by a timer of the same name.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Held, Join, Joined, Side};
use crate::state::Value;
use crate::{Failure, clock, timers};

impl Join {
    /// [`Join::left`] or [`Join::right`] in an event's handler, with the events that `field` holds for the event's key. A timer
    /// with the name of the field is set for when an event can meet no other any more; let [`Join::on_timer`] answer it.
    ///
    /// # Errors
    /// What the engine refuses, see [`state::Error`](crate::state::Error) and [`timers::Error`]; a retry if the field holds
    /// something else.
    pub fn on_event<L, R>(
        &self,
        field: &Value<Held<L, R>>,
        time: u64,
        value: Side<L, R>,
    ) -> Result<Joined<L, R>, Failure>
    where
        L: Clone + Serialize + DeserializeOwned,
        R: Clone + Serialize + DeserializeOwned,
    {
        self.stored(field, false, |held| match value {
            Side::Left(value) => self.left(held, time, value),
            Side::Right(value) => self.right(held, time, value),
        })
    }

    /// [`Join::advance`] in the timers' handler, to [`clock::now`]: tells those that met no other, and sets the timer for the
    /// next.
    ///
    /// # Errors
    /// As [`Join::on_event`].
    pub fn on_timer<L, R>(&self, field: &Value<Held<L, R>>) -> Result<Vec<Side<L, R>>, Failure>
    where
        L: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.stored(field, true, |held| self.advance(held, clock::now()))
    }

    fn stored<L, R, T>(
        &self,
        field: &Value<Held<L, R>>,
        fired: bool,
        work: impl FnOnce(&mut Held<L, R>) -> T,
    ) -> Result<T, Failure>
    where
        L: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let mut held = field.get()?.unwrap_or_default();
        // A timer that fired is gone, even if the same time is due as before.
        let before = if fired { None } else { self.due(&held) };
        let answer = work(&mut held);
        field.set(&held)?;
        timers::move_to(field.name(), before, self.due(&held))?;
        Ok(answer)
    }
}
