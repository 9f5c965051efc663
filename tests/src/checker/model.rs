//! What an event asks of the guest `chaos`, and what must come of it.

use serde_json::json;

/// How a handler call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fails {
    /// It does not.
    Never,
    /// It rejects the event.
    Rejects,
    /// It asks for a retry until the attempt of this number.
    RetriesUntil(u32),
    /// It traps until the attempt of this number.
    TrapsUntil(u32),
    /// It traps, however often it is tried.
    AlwaysTraps,
    /// After its outputs stands one that its manifest does not grant, so that none of them may be published.
    Strays,
}

/// What one event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Names the event among all.
    pub id: u64,
    /// Among the events of one key there may be an order.
    pub key: u32,
    /// How many outputs it causes when it is handled.
    pub outputs: u32,
    /// What goes wrong.
    pub fails: Fails,
    /// How long the handler works on it, in milliseconds, more or less.
    pub work_ms: u32,
    /// Text that every output must bring back.
    pub echo: String,
}

/// What must come of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// As many outputs, and nothing else.
    Outputs(u32),
    /// A dead letter with this reason, and nothing else.
    DeadLetter(&'static str),
}

impl Ask {
    /// The event's payload.
    #[must_use]
    pub fn payload(&self) -> String {
        let (fails, until) = match self.fails {
            Fails::Never => ("no", 0),
            Fails::Rejects => ("reject", 0),
            Fails::RetriesUntil(attempt) => ("retry", attempt),
            Fails::TrapsUntil(attempt) => ("trap", attempt),
            Fails::AlwaysTraps => ("trap", 0),
            Fails::Strays => ("stray", 0),
        };
        json!({
            "id": self.id, "key": self.key, "outputs": self.outputs, "fails": fails, "until": until, "after_ms": 20,
            "work": self.work_ms,
            "echo": self.echo,
        })
        .to_string()
    }

    /// What must come of it, if the manifest allows more attempts than it asks for.
    #[must_use]
    pub fn expected(&self) -> Expected {
        match self.fails {
            Fails::Rejects => Expected::DeadLetter("rejected"),
            Fails::AlwaysTraps => Expected::DeadLetter("trap"),
            Fails::Strays => Expected::DeadLetter("not-granted"),
            Fails::Never | Fails::RetriesUntil(_) | Fails::TrapsUntil(_) => Expected::Outputs(self.outputs),
        }
    }
}
