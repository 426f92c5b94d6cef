//! Ways around Tollgate, tried on this host.

mod observer;

pub use observer::{Observers, Targets};
