//! Bytes to [`Action`]: what the agent is trying to do, and how to refuse in each protocol.

mod action;
pub mod calls;
pub mod coding;
pub mod credentials;
pub mod eventstream;
pub mod form;
pub mod frames;
pub mod grpc;
pub mod http;
pub mod json;
pub mod llm;
pub mod multipart;
mod refuse;
pub mod signed;
pub mod sse;
pub mod target;
mod tier;
pub mod trailers;
pub mod transcript;
pub mod websocket;

pub use action::{Action, Fact, Facts};
pub use refuse::{Refusal, Why};
pub use tier::Tier;
