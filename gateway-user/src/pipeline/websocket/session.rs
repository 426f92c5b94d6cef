//! What may hold in a session with a model.
//!
//! In: what the agent asks to change, and what the provider says holds. Out: every [`State`] that may be in force, as a change that is asked
//! for may be accepted or not. Invariant: what the agent says takes nothing away from what may be in force; only the provider's word does.

use std::collections::{BTreeSet, VecDeque};

use super::terms::Stop;
use crate::protocol::Fact;
use crate::protocol::llm::TEMPLATE;
use crate::protocol::llm::realtime::{Change, Limit};

/// What may hold.
#[derive(Default)]
pub(super) struct Session {
    /// What the provider said last.
    told: State,
    /// What was asked for that it has not answered.
    asked: VecDeque<Change>,
    /// Every model that was named, that of the opening among them.
    models: BTreeSet<String>,
}

/// What holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    pub(super) tools: BTreeSet<String>,
    pub(super) limit: Option<i64>,
    /// A template that the provider keeps says more of it.
    pub(super) template: bool,
}

impl State {
    /// The same with that changed.
    pub(super) fn with(&self, change: &Change) -> Self {
        Self {
            tools: change.tools.as_ref().unwrap_or(&self.tools).clone(),
            limit: match change.limit {
                Some(Limit::Tokens(limit)) => Some(limit),
                Some(Limit::None) => None,
                None => self.limit,
            },
            template: change.template.unwrap_or(self.template),
        }
    }

    /// What the model may use, as policy hears of it.
    pub(super) fn offered(&self) -> Fact {
        let template = self.template.then(|| TEMPLATE.to_owned());
        Fact::Set(self.tools.iter().cloned().chain(template).collect())
    }
}

impl Session {
    /// What was opened with this model.
    pub(super) fn opened(model: &str) -> Self {
        Self {
            models: BTreeSet::from([model.to_owned()]),
            ..Self::default()
        }
    }

    /// Every state that may be in force.
    pub(super) fn states(&self) -> Result<BTreeSet<State>, Stop> {
        let mut states = BTreeSet::from([self.told.clone()]);
        for change in &self.asked {
            let changed: Vec<State> = states.iter().map(|state| state.with(change)).collect();
            states.extend(changed);
            if states.len() > MAX_STATES {
                return Err(Stop::refused(UNANSWERED));
            }
        }
        Ok(states)
    }

    /// The agent names models, one of which may be used from now on; every one that may be by then.
    pub(super) fn name(&mut self, named: BTreeSet<String>) -> Result<&BTreeSet<String>, Stop> {
        self.models.extend(named);
        if self.models.len() > MAX_MODELS {
            return Err(Stop::refused("a conversation names too many models"));
        }
        Ok(&self.models)
    }

    /// The agent asks for a change, which may be accepted.
    pub(super) fn ask(&mut self, change: Change) -> Result<(), Stop> {
        if self.asked.len() >= MAX_ASKED {
            self.asked.retain(|asked| *asked != Change::default());
        }
        if self.asked.len() >= MAX_ASKED {
            return Err(Stop::refused(UNANSWERED));
        }
        self.asked.push_back(change);
        Ok(())
    }

    /// The provider says what holds as it begins.
    pub(super) fn begun(&mut self, told: &Change) {
        self.told = self.told.with(told);
    }

    /// The provider says what holds after a change: the first that was asked for, if it agrees with that, or a later one that says just that.
    /// What was asked for before that one has been accepted and replaced, or was not accepted.
    pub(super) fn updated(&mut self, told: &Change) {
        self.told = self.told.with(told);
        let agrees = |asked: &Change| {
            let tools = asked.tools.is_none() || asked.tools == told.tools;
            let limit = asked.limit.is_none() || asked.limit == told.limit;
            let template = asked.template.is_none()
                || told
                    .template
                    .is_none_or(|told| asked.template == Some(told));
            tools && limit && template
        };
        let mut asked = self.asked.iter().enumerate();
        let answered = asked
            .find(|(place, asked)| agrees(asked) && (*place == 0 || **asked != Change::default()));
        if let Some((place, _)) = answered {
            let mut answered = self.asked.drain(..=place);
            // Of a template the provider need not say anything.
            let template = answered.any(|asked| asked.template == Some(true));
            self.told.template |= template && told.template.is_none();
        }
    }
}

/// Changes come one by one, and are answered within a second.
const MAX_ASKED: usize = 64;
/// Each is decided on, with each message.
const MAX_STATES: usize = 32;
const MAX_MODELS: usize = 8;
const UNANSWERED: &str = "the agent asks for more changes of the session than are answered";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn tools(names: &[&str]) -> Change {
        let names = names.iter().map(|name| (*name).to_owned());
        Change {
            tools: Some(names.collect()),
            ..Change::default()
        }
    }

    fn limit(limit: Limit) -> Change {
        Change {
            limit: Some(limit),
            ..Change::default()
        }
    }

    /// The tools of every state that may be in force.
    fn offered(session: &Session) -> Vec<String> {
        let states = session.states().unwrap();
        let names = states
            .iter()
            .map(|state| Vec::from_iter(state.tools.clone()).join(" "));
        names.collect()
    }

    #[test]
    fn a_change_counts_beside_what_it_may_replace_until_the_provider_has_answered() {
        let mut session = Session::opened("m");
        session.begun(&tools(&["search"]));
        session.ask(tools(&["crm"])).unwrap();
        assert_eq!(offered(&session), ["crm", "search"]);
        session.updated(&tools(&["crm"]));
        assert_eq!(offered(&session), ["crm"]);
        // One that is not accepted takes nothing away.
        session.ask(tools(&[])).unwrap();
        assert_eq!(offered(&session), ["", "crm"]);
        session.ask(Change::default()).unwrap();
        session.updated(&tools(&["crm"]));
        assert_eq!(offered(&session), ["", "crm"]);
        session.ask(tools(&["x"])).unwrap();
        session.updated(&tools(&["x"]));
        assert_eq!(offered(&session), ["x"]);
    }

    #[test]
    fn an_answer_to_an_earlier_change_does_not_answer_a_later_one() {
        let mut session = Session::opened("m");
        session.begun(&tools(&["a"]));
        session.ask(Change::default()).unwrap();
        session.ask(tools(&["b"])).unwrap();
        session.ask(tools(&["a"])).unwrap();
        session.updated(&tools(&["a"]));
        assert_eq!(offered(&session), ["a", "b"]);
        session.updated(&tools(&["b"]));
        assert_eq!(offered(&session), ["a", "b"]);
        session.updated(&tools(&["a"]));
        assert_eq!(offered(&session), ["a"]);
        // What the provider says in other words answers nothing.
        session.ask(tools(&["c"])).unwrap();
        session.updated(&tools(&["d"]));
        assert_eq!(offered(&session), ["c", "d"]);
    }

    #[test]
    fn limits_are_told_lifted_and_kept() {
        let of = |session: &Session| {
            let states = session.states().unwrap();
            Vec::from_iter(states.iter().map(|state| state.limit))
        };
        let mut session = Session::opened("m");
        session.ask(limit(Limit::Tokens(5))).unwrap();
        assert_eq!(of(&session), [None, Some(5)]);
        session.updated(&limit(Limit::Tokens(5)));
        session.ask(tools(&["a"])).unwrap();
        assert_eq!(of(&session), [Some(5), Some(5)]);
        session.ask(limit(Limit::None)).unwrap();
        session.updated(&Change {
            limit: Some(Limit::None),
            ..tools(&["a"])
        });
        session.updated(&limit(Limit::None));
        assert_eq!(of(&session), [None]);
    }

    #[test]
    fn nobody_piles_up_changes_or_models() {
        let mut session = Session::opened("m");
        for _ in 0..3 * MAX_ASKED {
            session.ask(Change::default()).unwrap();
        }
        for count in 0..40 {
            session.ask(tools(&[&count.to_string()])).unwrap();
        }
        assert!(session.states().is_err());
        let mut session = Session::opened("m");
        for _ in 0..MAX_ASKED {
            session.ask(tools(&["a"])).unwrap();
        }
        assert!(session.ask(tools(&["a"])).is_err());
        let models = (0..MAX_MODELS).map(|count| count.to_string());
        assert!(session.name(models.collect()).is_err());
    }

    #[test]
    fn a_template_counts_until_the_provider_says_that_there_is_none() {
        let of = |session: &Session| {
            let states = session.states().unwrap();
            Vec::from_iter(states.iter().map(|state| state.template))
        };
        let template = |is: bool| Change {
            template: Some(is),
            ..Change::default()
        };
        let mut session = Session::opened("m");
        session.ask(template(true)).unwrap();
        assert_eq!(of(&session), [false, true]);
        // It tells the tools that are in it, and nothing of itself.
        session.updated(&tools(&["a"]));
        assert_eq!(of(&session), [true]);
        session.ask(template(false)).unwrap();
        assert_eq!(of(&session), [false, true]);
        session.updated(&template(true));
        assert_eq!(of(&session), [false, true]);
        session.updated(&template(false));
        assert_eq!(of(&session), [false]);
    }
}
