//! The task that owns all questions: it takes requests and people's answers one by one, and ends questions at their deadline.

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::question::{Binding, Delivery, Grant, Held, Question, State};
use super::{ApproveError, Approver, Ask, Pending, Verdict, Waiting, denied};
use crate::record::{Answered, ApprovalState, Id, Ledger, Time};

/// What the task is asked to do, each with the way back.
#[derive(Debug)]
pub(super) enum Message {
    Hold(Box<Pending>, oneshot::Sender<Held>),
    List(oneshot::Sender<Vec<Waiting>>),
    Answer(
        Id,
        ApprovalState,
        Approver,
        Option<String>,
        oneshot::Sender<Result<Id, ApproveError>>,
    ),
}

#[derive(Debug)]
pub(super) struct Owner {
    ledger: Ledger,
    /// In the order in which they were asked.
    questions: Vec<Question>,
}

impl Owner {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            questions: Vec::new(),
        }
    }

    /// Runs until the last `Approvals` is gone.
    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let deadline = self.questions.iter().map(|q| q.deadline).min();
            let message = tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => Some(message),
                    None => return,
                },
                () = at(deadline) => None,
            };
            self.expire().await;
            // Whoever asked may be gone; what they asked for has happened all the same.
            match message {
                Some(Message::Hold(pending, reply)) => {
                    let _ = reply.send(self.hold(*pending).await);
                }
                Some(Message::List(reply)) => {
                    let now = Instant::now();
                    let waiting = self.questions.iter().filter_map(|q| q.waiting(now));
                    let _ = reply.send(waiting.collect());
                }
                Some(Message::Answer(id, state, by, reason, reply)) => {
                    let _ = reply.send(self.answer(id, state, by, reason).await);
                }
                None => {}
            }
        }
    }

    /// Ends the questions whose time is over. The record comes first; a refusal does not wait for a ledger that fails.
    async fn expire(&mut self) {
        let now = Instant::now();
        let over: Vec<Question> = self
            .questions
            .extract_if(.., |question| question.deadline <= now)
            .collect();
        for question in over {
            let State::Pending(waiter) = question.state else {
                continue;
            };
            let expired = Answered {
                id: question.id,
                state: ApprovalState::Expired,
                by: None,
                reason: None,
                at: Time::now(),
            };
            if let Err(error) = self.ledger.answered(expired).await {
                tracing::error!(%error, id = %question.id, "an expired question stays open in the ledger");
            }
            if let Some(waiter) = waiter {
                let _ = waiter.send(Delivery::of(Verdict::Expired));
            }
        }
    }

    async fn hold(&mut self, pending: Pending) -> Held {
        match self.place(pending).await {
            Ok(held) => held,
            Err(reason) => Held::Answered(Delivery::of(denied(reason))),
        }
    }

    /// Finds the question that a request belongs to, or opens one; the error is the reason of a denial.
    async fn place(&mut self, pending: Pending) -> Result<Held, String> {
        check(&pending.asks)?;
        let exchange = pending.exchange;
        let binding = Binding::of(&pending);
        let now = Instant::now();
        let serving = self.questions.iter_mut();
        let serving = serving.filter_map(|q| q.serves(&binding, now).then_some(q));
        if let Some(known) = serving.max_by_key(|question| question.rank()) {
            let linked = self.ledger.linked(exchange, known.id).await;
            linked.map_err(|error| error.to_string())?;
            return Ok(known.take_up(exchange));
        }

        self.check_room(&pending.identity)?;
        let id = self.ledger.new_id().map_err(|error| error.to_string())?;
        let mut question = Question::new(id, pending);
        let row = question.row().map_err(|error| error.to_string())?;
        let asked = self.ledger.asked(row).await;
        asked.map_err(|error| error.to_string())?;
        let held = question.take_up(exchange);
        self.questions.push(question);
        Ok(held)
    }

    /// Takes a person's answer. The question moves only after the answer is in the ledger.
    async fn answer(
        &mut self,
        id: Id,
        state: ApprovalState,
        by: Approver,
        reason: Option<String>,
    ) -> Result<Id, ApproveError> {
        let now = Instant::now();
        let open = |q: &Question| matches!(q.state, State::Pending(_)) && q.deadline > now;
        let mut questions = self.questions.iter_mut();
        let called = questions.find(|question| question.is_called(id) && open(question));
        let question = called.ok_or_else(|| ApproveError::NotWaiting(id.to_string()))?;
        let approved = state == ApprovalState::Approved;
        if approved && by.uid != ROOT && by.uid == question.binding.requester_uid {
            return Err(ApproveError::OwnRequest { uid: by.uid });
        }

        let answered = Answered {
            id: question.id,
            state,
            by: Some((by.name.clone(), by.uid)),
            reason: reason.clone(),
            at: Time::now(),
        };
        let recorded = self.ledger.answered(answered).await;
        recorded.map_err(ApproveError::Ledger)?;
        question.answer(match approved {
            true => State::Granted(Grant::new(by.name)),
            false => State::Denied(Verdict::Denied {
                reason: reason.unwrap_or_else(|| format!("denied by {}", by.name)),
                by: by.name,
            }),
        });
        Ok(question.id)
    }

    fn check_room(&self, identity: &str) -> Result<(), String> {
        let open = self.questions.iter();
        let open = open.filter(|question| matches!(question.state, State::Pending(_)));
        let (mut all, mut own) = (0, 0);
        for question in open {
            all += 1;
            own += usize::from(question.binding.is_of(identity));
        }
        match () {
            () if all >= MAX_PENDING => Err("too many requests wait for approval".to_owned()),
            () if own >= MAX_PER_IDENTITY => {
                Err(format!("too many requests of {identity} wait for approval"))
            }
            () => Ok(()),
        }
    }
}

/// Refuses what nobody here can grant, instead of holding it in vain.
fn check(asks: &[Ask]) -> Result<(), String> {
    if asks.is_empty() {
        return Err("nothing says who may approve it".to_owned());
    }
    for ask in asks {
        if ask.approvers.is_empty() || ask.people == 0 {
            return Err(format!("policy \"{}\" names no approver", ask.policy));
        }
        if ask.people > 1 {
            return Err(format!(
                "policy \"{}\" wants {} people, and the local admin is one",
                ask.policy, ask.people
            ));
        }
    }
    Ok(())
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// More open questions than people can answer; a bound on memory.
const MAX_PENDING: usize = 1000;

/// One identity cannot take all places.
const MAX_PER_IDENTITY: usize = 100;

/// Who is root can change the ledger and the policies, so a rule against root would only pretend.
const ROOT: u32 = 0;
