//! The DNS stage: questions read, answers asked of the operator's resolvers, filtered, and remembered as proof.
//!
//! In: datagrams and TCP messages that a workload sent to port 53 of any address. Out: answers. Invariants: no resolver but the operator's
//! is ever asked, and none without a decision (the pipeline's); an answer has only what belongs to its question; an address that no public
//! name may lead to is told for nobody but a host that the operator configured; what a workload was told proves a name for that workload
//! alone, for as long as the answer lives. Fails as an answer: FORMERR, NOTIMP, REFUSED, NXDOMAIN, SERVFAIL. Sources: RFC 1035, 2308, 6761,
//! 6891, 7766, 8914, 9460.

mod address;
mod answer;
mod limits;
mod message;
mod proof;
mod transport;
mod upstream;

#[cfg(test)]
mod tests;

pub use address::{Bound, bound, is_metadata};
pub use answer::{Filtered, Trust, filter};
pub use limits::{Excess, Limits};
pub use message::{Kind, Question, Refusal, Told, read, refuse, tell};
pub use proof::Proofs;
pub use transport::{DATAGRAM, Framer, MAX_QUESTION, TooLong, framed};
pub use upstream::{Resolvers, UpstreamError, belonging};

use crate::config::Resolver;

/// What every question uses; built once by `app`.
#[derive(Debug)]
pub struct Stage {
    /// Who is asked.
    pub resolvers: Resolvers,
    /// How much a workload may ask.
    pub limits: Limits,
    /// What workloads were told.
    pub proofs: Proofs,
}

impl Stage {
    /// Asks these resolvers, or the host's.
    #[must_use]
    pub fn new(resolvers: Resolver) -> Self {
        Self {
            resolvers: Resolvers::new(resolvers),
            limits: Limits::default(),
            proofs: Proofs::default(),
        }
    }
}
