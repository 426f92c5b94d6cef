//! Ways around Tollgate, tried on this host: each first free, where it must reach its observer, then governed, where it must not.
//!
//! In: a daemon, and root. Out: a row for each way. Only addresses of this machine are used, and everything that is made here goes away
//! again: two cgroups, the observers' sockets, and a workload of an identity that no configuration has.
//!
//! `scene` is the attacker's side, `examine` the doctor's, `observer` what lies outside of every policy; the other files are the ways.

mod datagrams;
mod doors;
mod examine;
mod neighbours;
mod observer;
mod others;
mod processes;
mod scene;
mod streams;

use std::io;

pub use examine::{EscapeError, Head, Report, Row, Verdict, examine};
pub use observer::{Observers, Targets};
pub use scene::Scene;

/// One way around.
pub struct Attempt {
    /// Its name, unique.
    pub name: &'static str,
    /// The same in words.
    pub way: &'static str,
    /// What becomes of it.
    pub promise: Promise,
    actor: Actor,
    begins: Begins,
    proof: Proof,
    act: fn(&Scene) -> io::Result<()>,
}

/// What Tollgate says of a way at the level of the hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Closed, by this.
    Closed(&'static str),
    /// Not closed, for this reason; and what closes it or tells of it.
    Open(&'static str),
}

/// With which privileges an attempt is governed. Free it is root, so that the way itself works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    /// Root with every capability.
    Root,
    /// Root without capabilities, as `tollgate run` leaves one.
    Shed,
    /// The user nobody.
    Nobody,
}

/// Where an attempt begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// Governed from its first act.
    Inside,
    /// Free; it enters by itself.
    Outside,
}

/// What shows that it got through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// Its token at an observer.
    Arrival,
    /// That it met no error.
    Success,
}

impl Attempt {
    const fn new(
        name: &'static str,
        way: &'static str,
        by: &'static str,
        act: fn(&Scene) -> io::Result<()>,
    ) -> Self {
        Self {
            name,
            way,
            promise: Promise::Closed(by),
            actor: Actor::Shed,
            begins: Begins::Inside,
            proof: Proof::Arrival,
            act,
        }
    }

    /// Governed it is still root with every capability.
    const fn by_root(mut self) -> Self {
        self.actor = Actor::Root;
        self
    }

    const fn by_nobody(mut self) -> Self {
        self.actor = Actor::Nobody;
        self
    }

    const fn begins(mut self, where_it_is: Begins) -> Self {
        self.begins = where_it_is;
        self
    }

    const fn counts_by_success(mut self) -> Self {
        self.proof = Proof::Success;
        self
    }

    const fn open(mut self, why: &'static str) -> Self {
        self.promise = Promise::Open(why);
        self
    }
}

/// Every way, in the order of the report.
pub fn attempts() -> impl Iterator<Item = &'static Attempt> {
    [
        streams::ATTEMPTS,
        datagrams::ATTEMPTS,
        others::ATTEMPTS,
        neighbours::ATTEMPTS,
        processes::ATTEMPTS,
        doors::ATTEMPTS,
    ]
    .into_iter()
    .flatten()
}

fn find(name: &str) -> Option<&'static Attempt> {
    attempts().find(|attempt| attempt.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_way_has_a_name_of_its_own_and_says_what_becomes_of_it() {
        let names: BTreeSet<&str> = attempts().map(|attempt| attempt.name).collect();
        assert_eq!(names.len(), attempts().count());
        for attempt in attempts() {
            let (Promise::Closed(said) | Promise::Open(said)) = attempt.promise;
            assert!(!said.is_empty(), "{}", attempt.name);
        }
    }
}
