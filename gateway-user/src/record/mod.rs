//! The ledger: one session per connection, one exchange per request, opened first and closed exactly once.
//!
//! In: what the pipeline learned and decided, as plain strings, already masked. Out: rows in one SQLite file, and the JSON
//! objects that `sessions` and `replay` print.
//!
//! Invariants:
//! - `Ledger::session`, `SessionEntry::exchange`, `ExchangeEntry::decided` and `close` return after the step is in the spool,
//!   an append-only file, so a request can wait for its record. SQLite follows in batches; readers wait for it, and the next start
//!   brings it what it has not seen.
//! - An exchange gets one outcome. An entry that is dropped is closed as `aborted` through a queue slot reserved when it was
//!   opened; one that a dead daemon left open is closed as `unknown` at the next open. Questions to people outlive the daemon.
//! - A failed write is an error to everybody who waits for it. While the store cannot be written nothing is opened; what was on
//!   record before, and how it ends, is kept and written when the store works again.
//! - One process writes: the lock file is held from `open` until the last handle is gone.
//!
//! What is on record survives the death of the daemon, and a person's word and its use also a power loss
//! (`synchronous=FULL` for those transactions).
//! Other entries of the last moments before a power loss may be gone: SQLite, "WAL mode" and "PRAGMA synchronous".

mod batch;
mod bill;
mod entry;
mod error;
mod explained;
mod id;
mod live;
mod op;
mod queue;
mod read;
mod root;
mod spool;
mod standing;
mod step;
mod store;
mod surrogate;
mod taint;
mod time;
mod transcript;
mod types;
mod writer;

pub use bill::{Bill, DaySpent, usd};
pub use entry::{ExchangeEntry, Ledger, SessionEntry};
pub use error::{LedgerError, LookupError};
pub use explained::Explained;
pub use id::Id;
pub(crate) use id::Ids;
pub use live::{Change, Event, Flow};
pub(crate) use op::{Answered, Asked};
pub use read::{Filter, Reader};
pub use root::ImportedRoot;
pub(crate) use standing::Standing;
pub use surrogate::Surrogate;
pub use taint::Tainted;
pub use time::Time;
pub use types::{
    Approval, ApprovalState, Closed, Decided, Decision, Direction, Exchange, ExchangeStart,
    Finding, Outcome, Process, Replay, Session, SessionStart, Text, Usage,
};

#[cfg(test)]
mod tests;
