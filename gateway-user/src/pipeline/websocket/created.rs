//! An answer that the agent asks for in a message of its own: an exchange like any request, from its question to policy to its last event.
//!
//! In: the message, and the call in it. Out: what has to be masked in it, or what the agent is told in its place, and the open answer. Invariants:
//! it is on record, permitted and reserved for before it leaves; what a person has to say is asked for as for a request, and bound to what
//! the message says; each is closed once.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::json;
use tokio::task::JoinSet;

use super::talk::{Talk, Verdict, lock};
use super::terms::MASKS;
use crate::approve::{Digest, MAX_WITHIN};
use crate::pipeline::ConnectionError;
use crate::pipeline::charge::Charge;
use crate::pipeline::inspect::pairs;
use crate::pipeline::outcome::{self, Asked, Refused};
use crate::pipeline::resource::Resource;
use crate::pipeline::tools::Tools;
use crate::policy::Permit;
use crate::protocol::llm::Call;
use crate::protocol::transcript::{self, Summary};
use crate::protocol::{Action, Why};
use crate::record::{Closed, ExchangeEntry, Finding, Outcome, Usage};

/// A message that asks for an answer.
pub(super) struct Create {
    /// The lane in which it is answered.
    pub(super) lane: String,
    pub(super) call: Box<Call>,
    pub(super) says: Bytes,
    /// What was found in it.
    pub(super) findings: Vec<Finding>,
}

/// Where messages of a WebSocket go, and with which head.
pub(super) struct Opening {
    pub(super) resource: Resource,
    pub(super) headers: HeaderMap,
}

/// An answer that was asked for and is not over.
pub(super) struct Answer {
    pub(super) lane: String,
    /// What calls of tools in it are judged by.
    pub(super) tools: Option<Arc<Tools>>,
    entry: ExchangeEntry,
    charge: Charge,
    cost: Option<u64>,
    status: Option<u16>,
    /// Policy may change meanwhile.
    _watching: JoinSet<()>,
}

impl Create {
    /// Decides on it, asking people where policy wants that; it may leave when this returns what is to be masked in it.
    pub(super) async fn judge(self, talk: Arc<Talk>) -> Result<Verdict, ConnectionError> {
        let connection = talk.terms.connection();
        let verdict = outcome::decide(connection, self.asked(&talk)).await?;
        let (mut entry, permit) = match verdict {
            outcome::Verdict::Permit(entry, permit) => (entry, permit),
            outcome::Verdict::Refused(refused) => return self.refuse(&talk, refused).await,
        };
        if !talk.terms.permit().masks().cover(permit.masks()) {
            return self.stop(&talk, entry, (Why::Policy, MASKS)).await;
        }
        let asked = (&*self.call, &self.says[..]);
        let service = &talk.opening.resource.name;
        let charge = Charge::admit_answer(connection, service, asked, &mut entry).await?;
        let charge = match charge {
            Ok(charge) => charge,
            Err((why, reason)) => return self.stop(&talk, entry, (why, &reason)).await,
        };
        lock(&talk.charge).follow(connection, service, asked);
        self.record(&talk, &mut entry);
        let masks = connection.masks(&permit);
        let settings = self.call.action.facts.clone();
        self.open(&talk, &permit, entry, charge);
        Ok(Verdict::Asked(masks, settings))
    }

    /// The question to policy: that of the opening, with all that the message says of its own.
    fn asked<'a>(&self, talk: &'a Talk) -> Asked<'a> {
        let mut facts = talk.terms.permit().query().facts.clone();
        facts.0.extend(self.call.action.facts.0.clone());
        let shown = talk.described.path.as_ref().and_then(|path| {
            let mut facts = facts.clone();
            facts.set("path", path.as_str());
            (*path != talk.head.path).then_some(facts)
        });
        let class = facts.text("credential").unwrap_or_default();
        let opening = &talk.opening;
        let digest = Digest::http(
            talk.head.method.as_str(),
            &opening.resource.place(),
            &talk.head.target,
        );
        let digest = digest.content(pairs(&opening.headers), class, &self.says);
        Asked {
            resource: &opening.resource,
            digest: digest.field(b"message").finish(),
            action: Action {
                name: talk.described.action,
                facts,
            },
            shown,
            protocol: talk.family.name(),
            model: Some(self.call.model.clone()),
            stream: Some(self.call.stream),
            findings: self.findings.clone(),
            patched: Vec::new(),
            policies: talk.terms.connection().gateway.policies.load_full(),
            // Pings are answered meanwhile.
            hold: MAX_WITHIN,
            told: None,
        }
    }

    /// Refuses it for a reason that lies behind policy.
    async fn stop(
        &self,
        talk: &Talk,
        entry: ExchangeEntry,
        (why, reason): (Why, &str),
    ) -> Result<Verdict, ConnectionError> {
        let connection = talk.terms.connection();
        let refused = Refused::new(entry, connection, &talk.described, why, reason);
        self.refuse(talk, refused).await
    }

    async fn refuse(&self, talk: &Talk, mut refused: Refused) -> Result<Verdict, ConnectionError> {
        self.record(talk, refused.entry());
        talk.terms.connection().share.log(&refused.refusal.message);
        let event = refused.refusal.in_lane(&self.lane);
        let status = Some(refused.refusal.why.status().as_u16());
        refused.close(status, Outcome::Refused, None).await?;
        Ok(Verdict::Told(event))
    }

    fn record(&self, talk: &Talk, entry: &mut ExchangeEntry) {
        if let Some(said) = talk.masked(&self.says) {
            entry.request(&said);
        }
    }

    fn open(self, talk: &Talk, permit: &Permit, entry: ExchangeEntry, charge: Charge) {
        let tools = talk.tools.as_ref();
        let answer = Answer {
            tools: tools.map(|tools| tools.of_answer(&self.call, entry.id())),
            lane: self.lane,
            entry,
            charge,
            cost: None,
            status: None,
            _watching: talk.watch(permit),
        };
        lock(&talk.answers).push_back(answer);
    }
}

impl Answer {
    /// Whether so many tokens are more than was reserved for.
    pub(super) fn is_exceeded(&self, written: u64) -> bool {
        self.charge.is_exceeded(written)
    }

    /// It is over, and the provider has counted that.
    pub(super) fn settle(&mut self, usage: Option<transcript::Usage>) {
        self.cost = std::mem::take(&mut self.charge).settle(usage, None);
    }

    /// The provider did not take what asks for it.
    pub(super) fn rejected(&mut self, status: Option<u16>) {
        self.cost = std::mem::take(&mut self.charge).free();
        self.status = status;
    }

    /// Closes the record with what was said, in the conversation that was opened by this exchange.
    pub(super) fn close(mut self, talk: &Talk, summary: &Summary, ended: Ended) {
        let mut said = summary.to_json();
        said["exchange"] = json!(talk.id.to_string());
        if let Some(said) = talk.masked(&Bytes::from(said.to_string())) {
            self.entry.response(&said);
        }
        self.end(ended);
    }

    /// The same where nothing was said.
    pub(super) fn end(mut self, ended: Ended) {
        self.entry.end(Closed {
            outcome: ended.outcome,
            status: self.status,
            usage: ended.usage,
            findings: ended.findings,
            reason: None,
            cost: self.cost,
        });
    }
}

/// How an answer ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) usage: Option<Usage>,
    pub(super) findings: Vec<Finding>,
}
