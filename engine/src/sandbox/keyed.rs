//! What plugins with a key may import: the state and the timers of the key at hand, and tables to look things up in.

use std::sync::Arc;

use bytes::Bytes;

use super::contract::{lookup, state, timer_control};
use super::host::{CallState, refuse};
use crate::lookup::LookupError;
use crate::outcome::Failure;
use crate::state::{Draft, Oversize, Refused, TimerRefused};

/// What a guest has of its key while it is called.
#[derive(Debug)]
pub(super) struct Lent {
    pub key: Arc<str>,
    pub draft: Draft,
}

/// A state over its limit, where the contract has no word for it that a guest could hear.
pub(super) fn oversize(key: &str, Oversize { bytes, limit }: Oversize) -> Failure {
    Failure::RecordSize { key: key.to_owned(), bytes, limit }
}

impl state::Host for CallState {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<Option<Vec<u8>>, state::Error>> {
        self.enter()?;
        let Some(lent) = &self.lent else { return Ok(Err(state::Error::NoKey)) };
        let value = lent.draft.get(&name).map(|value| value.map(|value| value.to_vec()));
        Ok(value.map_err(|_| state::Error::BadName))
    }

    fn set(&mut self, name: String, value: Vec<u8>) -> wasmtime::Result<Result<(), state::Error>> {
        self.enter()?;
        let Some(lent) = &mut self.lent else { return Ok(Err(state::Error::NoKey)) };
        Ok(lent.draft.set(&name, Bytes::from(value)).map_err(|refused| match refused {
            Refused::Name(_) => state::Error::BadName,
            Refused::Size(Oversize { limit, .. }) => state::Error::TooLarge(limit as u64),
        }))
    }

    fn delete(&mut self, name: String) -> wasmtime::Result<Result<(), state::Error>> {
        self.enter()?;
        let Some(lent) = &mut self.lent else { return Ok(Err(state::Error::NoKey)) };
        Ok(lent.draft.delete(&name).map_err(|_| state::Error::BadName))
    }

    fn names(&mut self, prefix: String) -> wasmtime::Result<Result<Vec<String>, state::Error>> {
        self.enter()?;
        let Some(lent) = &self.lent else { return Ok(Err(state::Error::NoKey)) };
        Ok(Ok(lent.draft.names(&prefix).into_iter().map(str::to_owned).collect()))
    }
}

impl timer_control::Host for CallState {
    fn set(
        &mut self,
        name: String,
        due: u64,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<(), timer_control::Error>> {
        self.enter()?;
        let Some(lent) = &mut self.lent else { return Ok(Err(timer_control::Error::NoKey)) };
        match lent.draft.set_timer(&name, due, Bytes::from(data)) {
            Ok(()) => Ok(Ok(())),
            Err(TimerRefused::TooMany { limit }) => Ok(Err(timer_control::Error::TooMany(limit))),
            Err(TimerRefused::State(Refused::Name(_))) => Ok(Err(timer_control::Error::BadName)),
            Err(TimerRefused::State(Refused::Size(size))) => Err(refuse(oversize(&lent.key, size))),
        }
    }

    fn cancel(&mut self, name: String) -> wasmtime::Result<Result<(), timer_control::Error>> {
        self.enter()?;
        let Some(lent) = &mut self.lent else { return Ok(Err(timer_control::Error::NoKey)) };
        Ok(lent.draft.cancel_timer(&name).map_err(|_| timer_control::Error::BadName))
    }
}

impl lookup::Host for CallState {
    fn get(
        &mut self,
        table: String,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, lookup::Error>> {
        self.enter()?;
        let row = self.shared.lookup.get(&table, &key);
        Ok(row.map(|row| row.map(|row| row.to_vec())).map_err(|err| match err {
            LookupError::NotGranted => lookup::Error::NotGranted,
            LookupError::NotReady => lookup::Error::NotReady,
        }))
    }
}
