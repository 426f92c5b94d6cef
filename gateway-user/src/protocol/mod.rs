//! Bytes to [`Action`]: what the agent is trying to do, and how to refuse in each protocol.

mod action;

pub use action::{Action, Fact, Facts};
