//! The questions that still matter, found by what a request, a person or the clock knows of them. Their number is bounded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::time::Instant;

use super::Waiting;
use super::question::{Binding, Question, State};
use crate::record::Id;

/// Questions, oldest first.
#[derive(Debug, Default)]
pub(super) struct Book {
    questions: BTreeMap<Id, Question>,
    by_digest: HashMap<[u8; 32], Vec<Id>>,
    deadlines: BTreeSet<(Instant, Id)>,
    /// How many are open, by identity.
    open: HashMap<String, usize>,
    answered: BTreeSet<Id>,
}

impl Book {
    pub(super) fn add(&mut self, question: Question) {
        let id = question.id;
        self.by_digest
            .entry(question.binding.digest)
            .or_default()
            .push(id);
        self.deadlines.insert((question.deadline, id));
        if question.is_open() {
            let identity = question.binding.identity.clone();
            *self.open.entry(identity).or_default() += 1;
        } else {
            self.answered.insert(id);
        }
        self.questions.insert(id, question);
    }

    /// The question that a request belongs to, if there is one.
    pub(super) fn serving(&mut self, binding: &Binding) -> Option<&mut Question> {
        let alike = self.by_digest.get(&binding.digest)?.iter();
        let alike = alike.filter_map(|id| self.questions.get(id));
        let serving = alike.filter(|question| question.serves(binding));
        let id = serving.max_by_key(|question| question.rank())?.id;
        self.questions.get_mut(&id)
    }

    /// An open question, by its own id or by that of the exchange that asked first or last.
    pub(super) fn called(&self, id: Id) -> Option<&Question> {
        let by_exchange = || self.questions.values().find(|q| q.was_asked_by(id));
        let called = self.questions.get(&id).or_else(by_exchange);
        called.filter(|question| question.is_open())
    }

    /// Sets the answer of an open question. What was answered longest ago is forgotten when there is too much: its request is then
    /// asked about anew.
    pub(super) fn answer(&mut self, id: Id, state: State) {
        let Some(question) = self.questions.get_mut(&id) else {
            return;
        };
        question.answer(state);
        let identity = question.binding.identity.clone();
        self.closed(&identity);
        self.answered.insert(id);
        if self.answered.len() > MAX_ANSWERED
            && let Some(oldest) = self.answered.first().copied()
        {
            self.remove(oldest);
        }
    }

    /// Takes out the questions whose time is over.
    pub(super) fn over(&mut self, now: Instant) -> Vec<Question> {
        let over = |book: &Self| book.deadlines.first().copied().filter(|(at, _)| *at <= now);
        let mut taken = Vec::new();
        while let Some((_, id)) = over(self) {
            taken.extend(self.remove(id));
        }
        taken
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The open ones as people see them.
    pub(super) fn waiting(&self, now: Instant) -> Vec<Waiting> {
        let all = self.questions.values();
        all.filter_map(|question| question.waiting(now)).collect()
    }

    /// Whether there is room for another question of this identity; the error is the reason of a denial.
    pub(super) fn room(&self, identity: &str) -> Result<(), String> {
        let own = self.open.get(identity).copied().unwrap_or_default();
        if own >= MAX_PER_IDENTITY {
            return Err(format!("too many requests of {identity} wait for approval"));
        }
        if self.open.values().sum::<usize>() >= MAX_PENDING {
            return Err("too many requests wait for approval".to_owned());
        }
        Ok(())
    }

    fn remove(&mut self, id: Id) -> Option<Question> {
        let question = self.questions.remove(&id)?;
        let digest = &question.binding.digest;
        if let Some(alike) = self.by_digest.get_mut(digest) {
            alike.retain(|other| *other != id);
            if alike.is_empty() {
                self.by_digest.remove(digest);
            }
        }
        self.deadlines.remove(&(question.deadline, id));
        if !self.answered.remove(&id) {
            self.closed(&question.binding.identity);
        }
        Some(question)
    }

    fn closed(&mut self, identity: &str) {
        if let Some(open) = self.open.get_mut(identity) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(identity);
            }
        }
    }
}

/// More open questions than people can answer; a bound on memory, at about 1 KiB each.
pub(super) const MAX_PENDING: usize = 10_000;

/// One identity cannot take all places.
pub(super) const MAX_PER_IDENTITY: usize = 1000;

/// Denials and unused approvals that are remembered.
pub(super) const MAX_ANSWERED: usize = 10_000;
