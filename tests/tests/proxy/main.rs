//! The path of a connection, without root: the pipeline with a flow table of its own, before a local upstream.
//!
//! What the kernel part would do, redirect a connection and say where it was going, the fixture does.

mod approved;
mod bedrock;
mod budget;
mod bytes;
mod certificates;
mod charged;
mod client;
mod coding;
mod conformance;
mod connected;
mod corpus;
mod drained;
mod executable;
mod families;
mod fixture;
mod framing;
mod held;
mod http;
mod llm;
mod load;
mod malformed;
mod moved;
mod names;
mod observe;
mod patched;
mod person;
mod printed;
mod realtime;
mod redirected;
mod reload;
mod setup;
mod site;
mod socket;
mod streams;
mod surrogates;
mod taint;
mod tools;
mod transfer;
mod unnamed;
mod upgrade;
mod waiting;
mod watched;
mod websocket;
mod wire;
