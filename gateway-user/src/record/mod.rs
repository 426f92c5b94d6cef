//! The ledger: one session per connection, one exchange per request, opened first and closed exactly once.
//!
//! In: what the pipeline learned and decided, as plain strings, already masked. Out: rows in one SQLite file, and the JSON
//! objects that `sessions` and `replay` print.
//!
//! Invariants:
//! - `Ledger::session`, `SessionEntry::exchange`, `ExchangeEntry::decided` and `close` return after the row is committed,
//!   so a request can wait for its record.
//! - An exchange gets one outcome. An entry that is dropped is closed as `aborted` through a queue slot reserved when it was
//!   opened; one that a dead daemon left open is closed as `unknown` at the next open. Questions to people outlive the daemon.
//! - A failed write is an error to everybody who waits for it, and outcomes that could not be written are kept and written
//!   when the store works again.
//! - One process writes: the lock file is held from `open` until the last handle is gone.
//!
//! A commit survives the death of the daemon, and a person's word and its use also a power loss (`synchronous=FULL` for those transactions).
//! Other commits of the last moments before a power loss may be gone: SQLite, "WAL mode" and "PRAGMA synchronous".

mod entry;
mod error;
mod id;
mod live;
mod op;
mod read;
mod standing;
mod store;
mod time;
mod transcript;
mod types;
mod writer;

pub use entry::{ExchangeEntry, Ledger, SessionEntry};
pub use error::{LedgerError, LookupError};
pub use id::Id;
pub use live::{Change, Event, Flow};
pub(crate) use op::{Answered, Asked};
pub use read::{Explained, Filter, Reader};
pub(crate) use standing::Standing;
pub use time::Time;
pub use types::{
    Approval, ApprovalState, Closed, Decided, Decision, Exchange, ExchangeStart, Finding, Outcome,
    Process, Replay, Session, SessionStart, Text, Usage,
};

#[cfg(test)]
mod tests;
