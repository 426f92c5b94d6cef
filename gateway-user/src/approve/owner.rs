//! The task that owns all questions: it takes requests and people's answers one by one, and ends questions at their deadline.

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::book::{Book, MAX_ANSWERED, MAX_PENDING};
use super::question::{Binding, Delivery, Grant, Held, Question, State};
use super::{ApproveError, Approver, Ask, Pending, Verdict, Waiting, denied};
use crate::record::{Answered, ApprovalState, Id, Ledger, LedgerError, Time};

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
    book: Book,
}

impl Owner {
    /// With the questions that an earlier daemon left.
    pub(super) async fn open(ledger: Ledger) -> Result<Self, LedgerError> {
        let limit = u32::try_from(MAX_PENDING + MAX_ANSWERED).unwrap_or(u32::MAX);
        let mut book = Book::default();
        for standing in ledger.reader().standing(Time::now(), limit).await? {
            let id = standing.asked.id;
            match Question::restored(standing) {
                Ok(question) => book.add(question),
                Err(error) => {
                    tracing::error!(%id, %error, "a question is lost: it is not readable")
                }
            }
        }
        Ok(Self { ledger, book })
    }

    /// Runs until the last `Approvals` is gone.
    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let message = tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => Some(message),
                    None => return,
                },
                () = at(self.book.next_deadline()) => None,
            };
            self.expire().await;
            // Whoever asked may be gone; what they asked for has happened all the same.
            match message {
                Some(Message::Hold(pending, reply)) => {
                    let _ = reply.send(self.hold(*pending).await);
                }
                Some(Message::List(reply)) => {
                    let _ = reply.send(self.book.waiting(Instant::now()));
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
        let mut ending = JoinSet::new();
        for question in self.book.over(Instant::now()) {
            let State::Pending(waiter) = question.state else {
                continue;
            };
            // Together, so that they share the cost of a commit.
            let (id, ledger) = (question.id, self.ledger.clone());
            ending.spawn(async move {
                let expired = Answered {
                    id,
                    state: ApprovalState::Expired,
                    by: None,
                    reason: None,
                    at: Time::now(),
                };
                if let Err(error) = ledger.answered(expired).await {
                    tracing::error!(%error, %id, "an expired question stays open in the ledger");
                }
                if let Some(waiter) = waiter {
                    let _ = waiter.send(Delivery::of(Verdict::Expired { id }));
                }
            });
        }
        ending.join_all().await;
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
        if let Some(known) = self.book.serving(&binding) {
            let linked = self.ledger.linked(exchange, known.id).await;
            linked.map_err(|error| error.to_string())?;
            return Ok(known.take_up(exchange));
        }

        self.book.room(&pending.identity)?;
        let id = self.ledger.new_id().map_err(|error| error.to_string())?;
        let mut question = Question::new(id, pending);
        let row = question.row().map_err(|error| error.to_string())?;
        let asked = self.ledger.asked(row).await;
        asked.map_err(|error| error.to_string())?;
        let held = question.take_up(exchange);
        self.book.add(question);
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
        let question = match self.book.called(id) {
            Some(question) => question,
            None => self.by_record(id).await?,
        };
        let id = question.id;
        let approved = state == ApprovalState::Approved;
        if approved && by.uid != ROOT && by.uid == question.binding.requester_uid {
            return Err(ApproveError::OwnRequest { uid: by.uid });
        }

        let answered = Answered {
            id,
            state,
            by: Some((by.name.clone(), by.uid)),
            reason: reason.clone(),
            at: Time::now(),
        };
        let recorded = self.ledger.answered(answered).await;
        recorded.map_err(ApproveError::Ledger)?;
        let state = match approved {
            true => State::Granted(Grant::new(by.name)),
            false => State::Denied {
                by: by.name,
                reason: reason.unwrap_or_default(),
            },
        };
        self.book.answer(id, state);
        Ok(id)
    }

    /// The open question that the ledger knows by this id, or why there is none.
    async fn by_record(&self, id: Id) -> Result<&Question, ApproveError> {
        let answer = self.ledger.reader().answer_to(id).await;
        let Some(answer) = answer.map_err(ApproveError::Ledger)? else {
            return Err(ApproveError::NotWaiting(id));
        };
        let open = self.book.called(answer.id);
        open.ok_or(match (answer.by, answer.at) {
            (Some(by), Some(at)) => ApproveError::Answered {
                id,
                state: answer.state,
                by,
                at,
            },
            (None, Some(at)) => ApproveError::Expired { id, at },
            (_, None) => ApproveError::NotWaiting(id),
        })
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

/// Who is root can change the ledger and the policies, so a rule against root would only pretend.
const ROOT: u32 = 0;
