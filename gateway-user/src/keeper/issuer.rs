//! The CAs of a workload: one signs, and from half of its life on the next one stands beside it, until it signs and the first ends.
//!
//! A client that reads its roots only when it starts works for as long as a CA it has read signs. All CAs of a workload lie in one file, so that one
//! rename replaces all: a restart at any moment finds the same ones, and which of them signs follows from the time alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::KeyPair;
use rustls::pki_types::ServerName;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};

use super::generation::{self, Generation};
use super::scope::Scope;
use super::vault::{Authorities, Leaf};
use super::{KeeperError, files};

/// How long CAs live, and when the next one comes and signs, in percent of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// From when one is made to when it is no longer valid.
    pub life: Duration,
    /// When the next is made and published.
    pub next_at: u8,
    /// When the next signs.
    pub switch_at: u8,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            life: Duration::from_secs(30 * 24 * 60 * 60),
            next_at: 50,
            switch_at: 90,
        }
    }
}

pub(super) struct Issuer {
    path: PathBuf,
    workload: String,
    rotation: Rotation,
    /// What the next one may sign for.
    scope: Scope,
    /// The oldest first; at least one.
    generations: Vec<Generation>,
    leaf_key: SecretBox<KeyPair>,
    /// When to try again to make the next, where that failed.
    again: i64,
}

impl Issuer {
    /// Reads the CAs from `path`; those that are due are made when something is asked.
    pub(super) fn open(
        path: &Path,
        workload: &str,
        rotation: Rotation,
    ) -> Result<Self, KeeperError> {
        let generations = match files::read_private(path)? {
            Some(stored) => Generation::parse_all(path, &stored)?,
            None => Vec::new(),
        };
        let newest = generations.last();
        Ok(Self {
            path: path.to_owned(),
            workload: workload.to_owned(),
            rotation,
            scope: newest.map_or_else(Scope::default, |newest| newest.scope.clone()),
            generations,
            leaf_key: generation::new_key().map_err(generation::failed(workload))?,
            again: 0,
        })
    }

    /// Limits what CAs from now on may sign for. One with the new limits stands beside the old ones at once.
    pub(super) fn limit(&mut self, scope: Scope, now: i64) -> Result<(), KeeperError> {
        self.scope = scope;
        self.tend(now)?;
        match self.generations.last() {
            Some(newest) if newest.scope != self.scope => self.add(now),
            _ => Ok(()),
        }
    }

    /// The CAs that are valid at `now`.
    pub(super) fn authorities(&mut self, now: i64) -> Result<Authorities, KeeperError> {
        self.tend(now)?;
        let certificates = self.generations.iter();
        Ok(Authorities {
            certificates: certificates
                .map(|generation| generation.certificate.clone())
                .collect(),
            from: (0..self.generations.len())
                .map(|index| self.signs_from(index))
                .collect(),
            signing: self.signing(now),
            change: self.change(now),
        })
    }

    /// Signs a leaf for `name`.
    pub(super) fn leaf(
        &mut self,
        name: &ServerName<'static>,
        now: i64,
    ) -> Result<Leaf, KeeperError> {
        self.tend(now)?;
        let signing = self.signing_for(name, now);
        let leaf_key = self.leaf_key.expose_secret();
        let signed = self.generations[signing].sign(&self.workload, name, leaf_key, now);
        let (certificate, ends) = signed?;
        let half = now + (ends - now) / 2;
        Ok(Leaf {
            certificate,
            key: leaf_key.serialize_der().into(),
            renew_at: self.switch(signing).map_or(half, |switch| half.min(switch)),
        })
    }

    /// Lets go what is no longer valid, and makes the next one when it is due. Without a next one the last goes on.
    fn tend(&mut self, now: i64) -> Result<(), KeeperError> {
        let before = self.generations.len();
        self.generations
            .retain(|generation| generation.is_valid(now));
        let newest = self.generations.last();
        let due = newest.is_none_or(|newest| newest.after(self.rotation.next_at) <= now);
        if due && (now >= self.again || newest.is_none()) {
            match self.add(now) {
                Err(error) if !self.generations.is_empty() => {
                    self.again = now + PATIENCE;
                    tracing::error!(workload = self.workload, %error, "the next CA cannot be made: the old one goes on for now");
                }
                made => return made,
            }
        }
        if self.generations.len() != before {
            return self.write();
        }
        Ok(())
    }

    /// Makes one and keeps it; what cannot be kept is not used.
    fn add(&mut self, now: i64) -> Result<(), KeeperError> {
        let life = i64::try_from(self.rotation.life.as_secs()).unwrap_or(i64::MAX);
        let made = Generation::make(&self.workload, &self.scope, now, life)?;
        self.generations.push(made);
        self.write().inspect_err(|_| {
            self.generations.pop();
        })?;
        tracing::info!(
            workload = self.workload,
            valid = self.generations.len(),
            "a CA was made"
        );
        Ok(())
    }

    fn write(&self) -> Result<(), KeeperError> {
        // Large enough from the start: growing would leave a copy of a key behind.
        let mut stored = Zeroizing::new(String::with_capacity(4096 * self.generations.len()));
        for generation in &self.generations {
            generation.store(&mut stored);
        }
        files::write_private(&self.path, stored.as_bytes())
    }

    /// Which of them signs.
    fn signing(&self, now: i64) -> usize {
        let last = self.generations.len() - 1;
        let not_yet = |index: &usize| self.switch(*index).is_some_and(|switch| now < switch);
        (0..last).find(not_yet).unwrap_or(last)
    }

    /// The one that signs, or, where that may not sign for this name, the newest, if that may.
    fn signing_for(&self, name: &ServerName<'_>, now: i64) -> usize {
        let (signing, last) = (self.signing(now), self.generations.len() - 1);
        let permits = |index: &usize| self.generations[*index].scope.permits(name);
        [signing, last].into_iter().find(permits).unwrap_or(signing)
    }

    fn signs_from(&self, index: usize) -> i64 {
        let made = self.generations[index].made;
        let before = index.checked_sub(1);
        before
            .and_then(|before| self.switch(before))
            .unwrap_or(made)
    }

    /// When the one after this signs. One that came late has as much time to become known as any, as long as this one lasts.
    fn switch(&self, index: usize) -> Option<i64> {
        let (this, next) = (&self.generations[index], self.generations.get(index + 1)?);
        let Rotation {
            next_at, switch_at, ..
        } = self.rotation;
        let known = next.made + this.part(switch_at - next_at);
        Some(
            this.after(switch_at)
                .max(known)
                .min(this.ends - this.part(LAST).max(1)),
        )
    }

    /// When any of this is otherwise.
    fn change(&self, now: i64) -> i64 {
        let newest = self.generations.last();
        let next = newest.map(|newest| newest.after(self.rotation.next_at).max(self.again));
        let ends = self.generations.iter().map(|generation| generation.ends);
        let switch = self.switch(self.signing(now));
        let all = ends.chain(next).chain(switch);
        all.filter(|at| *at > now).min().unwrap_or(now)
    }
}

/// Of a life, in percent: a leaf is not signed by what ends in a moment.
const LAST: u8 = 2;
/// Before the next try to write, in seconds.
const PATIENCE: i64 = 60;
