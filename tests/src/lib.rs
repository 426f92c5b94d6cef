//! What the suites and the demo share: an upstream that answers as the providers do, and a harness that runs the real daemon with
//! everything of its own (folders, pins, names, addresses) and leaves nothing behind.

pub mod fuzz;
pub mod harness;
pub mod upstream;
