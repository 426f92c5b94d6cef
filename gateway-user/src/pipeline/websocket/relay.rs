//! Carries an open WebSocket until it is closed, by either end or by the gateway.
//!
//! In: both ends, and what their frames are judged by. Out: how it ended. Invariants: a close frame of the gateway's own stands
//! between frames or is left out; whatever is waited for has a deadline.

use std::time::Duration;

use aws_lc_rs::rand;
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::split;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::direction::Direction;
use super::leg::{Leg, Step};
use super::terms::Stop;
use crate::drain::Drain;
use crate::pipeline::tunnel::Pulse;
use crate::protocol::websocket::{Close, code};
use crate::record::{Finding, Id, Outcome, Usage};

/// Both directions of an open WebSocket.
pub(super) struct Relay {
    up: Leg,
    down: Leg,
    pulse: Pulse,
}

/// How it ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) reason: String,
    pub(super) findings: Vec<Finding>,
    /// Tokens, where they are counted.
    pub(super) usage: Option<Usage>,
}

type End = (Outcome, String);

impl Relay {
    /// `up` judges what the agent sends, `down` what it gets.
    pub(super) fn new(agent: Upgraded, upstream: Upgraded, up: Direction, down: Direction) -> Self {
        let (from_agent, to_agent) = split(TokioIo::new(agent));
        let (from_upstream, to_upstream) = split(TokioIo::new(upstream));
        Self {
            up: Leg::new(from_agent, to_upstream, up),
            down: Leg::new(from_upstream, to_agent, down),
            pulse: Pulse::new(),
        }
    }

    /// Carries frames until the end. `revoked` ends with the reason when policy no longer permits it; `id` is what an agent that is
    /// cut off is told, behind `last_word` where its protocol has a word for that.
    pub(super) async fn run(
        mut self,
        drain: &Drain,
        revoked: impl Future<Output = String>,
        id: Id,
        last_word: impl Fn(&Stop) -> Option<Bytes>,
    ) -> Ended {
        let pulse = self.pulse.clone();
        let stop = tokio::select! {
            carried = self.carry() => match carried {
                Ok(end) => return self.ended(end).await,
                Err(stop) => stop,
            },
            reason = revoked => Stop::revoked(&reason),
            reason = pulse.expired() => Stop::away(reason),
            () = drain.begun() => Stop::away("Tollgate shuts down"),
        };
        if stop.code == code::GOING_AWAY {
            let finished = timeout(FINISH, self.until(Direction::between_messages)).await;
            if let Ok(Some(end)) = finished {
                return self.ended(end).await;
            }
        }
        self.close(&stop, id, last_word(&stop)).await;
        self.ended((stop.outcome, stop.reason)).await
    }

    /// Until one end goes, both have closed, or nothing more may pass.
    async fn carry(&mut self) -> Result<End, Stop> {
        let mut deadline = None;
        loop {
            if self.up.over() || self.down.over() {
                deadline.get_or_insert_with(|| Instant::now() + CLOSE);
            }
            if let Some(end) = self.step(deadline).await? {
                return Ok(end);
            }
        }
    }

    /// Until both directions are where `enough` wants them; how it ended if it did before.
    async fn until(&mut self, enough: impl Fn(&Direction) -> bool) -> Option<End> {
        while !(enough(self.up.direction()) && enough(self.down.direction())) {
            if let Ok(Some(end)) = self.step(None).await {
                return Some(end);
            }
        }
        None
    }

    /// Reads once from whichever end has something.
    async fn step(&mut self, deadline: Option<Instant>) -> Result<Option<End>, Stop> {
        let (up, down) = (&mut self.up, &mut self.down);
        let (of_agent, step) = tokio::select! {
            step = up.step(), if !up.over() => (true, step),
            step = down.step(), if !down.over() => (false, step),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => (false, Step::Gone),
            else => (false, Step::Gone),
        };
        self.pulse.beat();
        let told = self.up.told();
        self.down.tell(&told);
        let hung_up = || (Outcome::Aborted, "the agent hung up".to_owned());
        let broke_off = || (Outcome::Failed, "the upstream broke off".to_owned());
        Ok(match (step, self.closed()) {
            (Step::Stop(stop), _) => return Err(stop),
            (Step::Passed, _) => None,
            // Whoever goes behind a close frame has not broken off.
            (Step::Gone | Step::Unheard, Some(end)) => Some(end),
            (Step::Closed, end) => end.filter(|_| self.up.over() && self.down.over()),
            (Step::Gone, None) => Some(if of_agent { hung_up() } else { broke_off() }),
            // What an upstream said before it went has still to be passed on.
            (Step::Unheard, None) => (!of_agent).then(hung_up),
        })
    }

    /// How it was closed, if it was.
    fn closed(&self) -> Option<End> {
        let close = |leg: &Leg| leg.direction().closed().cloned();
        let (close, by) = close(&self.up)
            .map(|close| (close, "the agent"))
            .or_else(|| Some((close(&self.down)?, "the upstream")))?;
        let code = close
            .code
            .map_or("no code".to_owned(), |code| code.to_string());
        Some((Outcome::Completed, format!("{by} closed it with {code}")))
    }

    /// Closes both ends, with a reason for the agent, and waits for theirs: who closes a connection with something unread in it
    /// loses what it has just said.
    async fn close(&mut self, stop: &Stop, id: Id, last_word: Option<Bytes>) {
        let until = Instant::now() + CLOSE;
        drop(timeout_at(until, self.until(Direction::between_frames)).await);
        let close = |reason| Close {
            code: Some(stop.code),
            reason,
        };
        let mut key = [0; 4];
        if let Err(error) = rand::fill(&mut key) {
            tracing::warn!(%error, "a close frame goes out with a key that is not random");
        }
        let goodbye = close(format!("Id {id}: Tollgate ended it: {}", stop.reason)).frame(None);
        let to_agent = Bytes::from([last_word.unwrap_or_default(), goodbye].concat());
        let to_upstream = close(String::new()).frame(Some(key));
        let (up, down) = (&mut self.up, &mut self.down);
        let closing = async {
            let (_, told) = tokio::join!(up.end(&to_upstream), down.end(&to_agent));
            if told {
                tokio::join!(up.drain(), down.drain());
            }
        };
        drop(timeout_at(until, closing).await);
    }

    async fn ended(mut self, (outcome, how): End) -> Ended {
        let (up, down) = (&mut self.up, &mut self.down);
        drop(timeout(SHUT, async { tokio::join!(up.shut(), down.shut()) }).await);
        let (sent, got) = (up.direction().passed(), down.direction().passed());
        let reason = format!("{how}; {sent} from the agent, {got} to it");
        let (usage, found) = down.summarise(outcome);
        let findings = [up.findings(), down.findings(), found].concat();
        Ended {
            outcome,
            reason,
            findings,
            usage,
        }
    }
}

/// Clients wait ten seconds for the answer to their close frame; whoever has not answered by then does not.
const CLOSE: Duration = Duration::from_secs(10);
/// What is under way at a shutdown may end in this time, well within that of the shutdown.
const FINISH: Duration = Duration::from_secs(2);
/// A goodbye that is not taken at once is not waited for.
const SHUT: Duration = Duration::from_secs(1);
