//! What can go wrong with the ledger. Every variant means: what was about to happen does not happen.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::id::Id;

/// Opening, writing or reading the ledger failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// The folder or a file beside the ledger cannot be made or opened.
    #[error("cannot prepare {path}: {source}")]
    Prepare {
        /// What was to be made or opened.
        path: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// Others may write to the ledger's folder, so they could put another file in its place.
    #[error("others may write to {path} (mode {mode:03o}); run `chmod go-w {path}`")]
    Exposed {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process writes this ledger.
    #[error("another process writes the ledger {path}")]
    InUse {
        /// The ledger.
        path: PathBuf,
    },
    /// SQLite cannot open the file, or its contents are not a ledger of this version.
    #[error("cannot open the ledger {path}: {source}")]
    Open {
        /// The ledger.
        path: PathBuf,
        /// Why not.
        source: Arc<sqlx::Error>,
    },
    /// The spool cannot be written; nothing of it was kept.
    #[error("the ledger's spool cannot be written: {0}")]
    Spool(Arc<io::Error>),
    /// A write failed; nothing of it was kept.
    #[error("the ledger cannot be written: {0}")]
    Write(Arc<sqlx::Error>),
    /// More entries are open than the ledger's queue has slots for.
    #[error("the ledger has no free slot: too many open sessions and exchanges")]
    Full,
    /// Outcomes are still waiting to be written, because the last write failed.
    #[error("{0} outcomes are not written to the ledger yet")]
    Behind(usize),
    /// The writer is gone, because the runtime is shutting down.
    #[error("the ledger is closed")]
    Stopped,
    /// The system gives no random bytes, so that no id can be made.
    #[error("no random bytes for a ledger id")]
    Random,
    /// A read failed.
    #[error("the ledger cannot be read: {0}")]
    Read(Arc<sqlx::Error>),
    /// A row holds what this version does not write.
    #[error("ledger entry {id} has an unreadable {field}")]
    Damaged {
        /// The entry.
        id: String,
        /// The column.
        field: &'static str,
    },
}

/// An id, or the beginning of one, leads to no single entry.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LookupError {
    /// Characters or length that no id has.
    #[error("\"{0}\" is not an id")]
    NotAnId(String),
    /// Too little to tell entries apart.
    #[error("\"{0}\" is too short: give at least 6 characters of the id")]
    Short(String),
    /// Nothing by that name.
    #[error("nothing in the ledger has an id that begins with \"{0}\"")]
    NotFound(String),
    /// Several entries begin like this.
    #[error("\"{prefix}\" fits several entries, give more of the id: {}", list(.ids))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// Some of the entries it fits, oldest first.
        ids: Vec<Id>,
    },
    /// The ledger itself failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

fn list(ids: &[Id]) -> String {
    let ids: Vec<String> = ids.iter().map(Id::to_string).collect();
    ids.join(", ")
}
