//! What the agent says in a conversation with a model.
//!
//! In: a whole message, and what is found in it. Out: what policy wants masked in it, or why it may not pass. Invariants: a message is
//! decided on with every tool, limit and model that may be in force when the provider hears it; an answer is reserved for before it is asked for.

use std::sync::Arc;

use bytes::Bytes;

use super::created::Create;
use super::session::State;
use super::talk::{Judging, Talk, lock};
use super::terms::{Looked, Stop};
use crate::mask::{self, Shape};
use crate::pipeline::charge;
use crate::pipeline::inspect::{counted, tally};
use crate::protocol::llm::responses::{self, Asks, Event};
use crate::protocol::llm::{Family, LlmError, realtime, risks};
use crate::protocol::{Fact, Facts, Why};

/// What becomes of a message.
pub(super) enum Judged {
    /// It passes, and this is masked in it.
    Passes(mask::Set),
    /// It waits for this verdict, and what comes behind it waits too.
    Waits(Judging),
}

/// What the agent says.
pub(super) struct Asking {
    talk: Arc<Talk>,
    texts: usize,
    /// Those with which answers were asked for, where each has its own.
    settings: Vec<Facts>,
    /// There were more.
    forgotten: bool,
}

impl Asking {
    pub(super) fn new(talk: Arc<Talk>) -> Self {
        Self {
            talk,
            texts: 0,
            settings: Vec::new(),
            forgotten: false,
        }
    }

    /// How a message is searched and masked.
    pub(super) fn shape(&self) -> Shape {
        self.talk.shape()
    }

    /// What becomes of a message in which that is.
    pub(super) fn judge(&mut self, says: &Bytes, looked: Looked) -> Result<Judged, Stop> {
        match self.talk.family {
            Family::OpenAiResponses => self.respond(says, looked),
            _ => self.converse(says, looked).map(Judged::Passes),
        }
    }

    /// Judges a message that says all that its answer depends on, or steers an answer that was asked for with one.
    fn respond(&mut self, says: &Bytes, looked: Looked) -> Result<Judged, Stop> {
        let mut findings = counted(&looked.found);
        let known = self.facts(says, looked);
        let Event { lane, asks } =
            responses::event(&self.talk.head, says, known.clone()).map_err(malformed)?;
        match asks {
            Asks::Answer(call) => {
                if call.tokens {
                    return Err(Stop::refused(TOKENS));
                }
                if let Some(Fact::Set(risks)) = call.action.facts.0.get("risks") {
                    findings.extend(tally(risks.iter().map(|name| (&**name, risks::CLASS))));
                }
                let create = Create {
                    lane,
                    call,
                    says: says.clone(),
                    findings,
                };
                let judging = create.judge(Arc::clone(&self.talk));
                Ok(Judged::Waits(Box::pin(judging)))
            }
            // Which answer it steers, the provider knows: it has to be permitted with the settings of each.
            Asks::Heed(_) if self.settings.is_empty() || self.forgotten => {
                Err(Stop::refused(UNKNOWN))
            }
            Asks::Heed(texts) => {
                self.note(says);
                let messages = i64::try_from(texts).unwrap_or(i64::MAX);
                let under = self.settings.iter().map(|settings| {
                    let mut facts = known.clone();
                    facts.set("messages", messages);
                    facts.0.extend(settings.0.clone());
                    facts
                });
                self.talk.terms.decide_all(under).map(Judged::Passes)
            }
        }
    }

    /// Remembers with which settings an answer was asked for.
    pub(super) fn settle_on(&mut self, mut facts: Facts) {
        facts.0.retain(|name, _| SETTINGS.contains(&&**name));
        if self.settings.contains(&facts) {
            return;
        }
        match self.settings.len() < MAX_SETTINGS {
            true => self.settings.push(facts),
            false => self.forgotten = true,
        }
    }

    /// Judges a message of a conversation that the provider keeps.
    fn converse(&mut self, says: &Bytes, looked: Looked) -> Result<mask::Set, Stop> {
        let event = realtime::event(says).map_err(malformed)?;
        if event.speaks {
            self.note(says);
        }
        self.texts += event.texts;
        let mut masks = self.talk.terms.opened();
        if event.speaks || !looked.found.is_empty() {
            let facts = self.facts(says, looked);
            masks = self.decide(&event, &facts)?;
        }
        if event.answers {
            self.talk.ask()?;
        }
        Ok(masks)
    }

    /// Decides on a message with all that may be in force when the provider hears it.
    fn decide(&self, event: &realtime::Event, facts: &Facts) -> Result<mask::Set, Stop> {
        let mut session = lock(&self.talk.session);
        let states = session.states()?;
        let states = states.iter().flat_map(|state| under(event, state));
        // What is heard may be written down by another model.
        let models = session.name(event.models.clone())?;
        let models = models.union(&event.transcribers);
        let models: Vec<&String> = models.collect();
        let known = states.flat_map(|state| {
            let of = |model: &&String| {
                let mut facts = facts.clone();
                facts.set("model", model.as_str());
                facts.set("tools", state.offered());
                if let Some(limit) = state.limit {
                    facts.set("max_tokens", limit);
                }
                facts
            };
            models.iter().map(of).collect::<Vec<_>>()
        });
        let masks = self.talk.terms.decide_all(known)?;
        if let Some(change) = &event.session {
            session.ask(change.clone())?;
        }
        Ok(masks)
    }

    fn note(&self, says: &Bytes) {
        let line = [says, &b"\n"[..]].concat().into();
        self.talk.note(&line, |entry, said| entry.request(said));
    }

    /// What is known of the conversation by now.
    fn facts(&self, says: &Bytes, looked: Looked) -> Facts {
        let connection = self.talk.terms.connection();
        let mut facts = Facts::default();
        let names = looked
            .found
            .iter()
            .flat_map(|finding| [finding.detector.to_string(), finding.class.to_string()]);
        facts.set("findings", names.collect::<Fact>());
        facts.set("moved", Fact::Set(looked.moved));
        facts.set("messages", i64::try_from(self.texts).unwrap_or(i64::MAX));
        charge::spent(connection, &mut facts);
        let query = self.talk.terms.permit().query();
        let policies = connection.gateway.policies.load();
        if policies.needs_risks(&query.action, &query.service, &query.service_groups) {
            let found = risks::find(says, &connection.gateway.classifiers);
            let names = found.into_iter().map(str::to_owned);
            facts.set("risks", names.collect::<Fact>());
        }
        facts
    }
}

/// What holds for a message in a session in which that holds. Tools of one answer count beside those of the session, and alone.
fn under(event: &realtime::Event, state: &State) -> Vec<State> {
    let Some(change) = event.session.as_ref().or(event.response.as_ref()) else {
        return vec![state.clone()];
    };
    let alone = state.with(change);
    let mut beside = alone.clone();
    if event.session.is_none() {
        beside.tools.extend(state.tools.iter().cloned());
        beside.template |= state.template;
    }
    match alone == beside {
        true => vec![alone],
        false => vec![alone, beside],
    }
}

fn malformed(error: LlmError) -> Stop {
    Stop {
        why: Why::Malformed,
        ..Stop::refused(&error.to_string())
    }
}

/// The facts that an answer which follows from another has in common with it.
const SETTINGS: &[&str] = &["model", "stream", "tools", "max_tokens"];
/// Each is decided on, with each message that steers.
const MAX_SETTINGS: usize = 32;
const TOKENS: &str = "a message has a text as the numbers of its tokens, which nobody can read";
const UNKNOWN: &str =
    "nobody can say under which settings the answer was asked for that this steers";
