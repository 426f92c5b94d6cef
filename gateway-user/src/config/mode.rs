//! Whether what policy says of a workload is done, or only written down.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a workload is governed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Policy decides.
    #[default]
    Enforce,
    /// What policy would decide is recorded; nothing is refused, masked or held.
    Observe,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        })
    }
}
