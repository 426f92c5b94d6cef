//! How a connection's workload is contained.

use serde::{Deserialize, Serialize};

/// How far containment reaches, from the weakest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Containment {
    /// The kernel's hooks decide; what no hook sees is not contained.
    Hooks,
    /// It lives in namespaces from which nothing leads out but the listener inside. Holds without any hook.
    Construction,
}

impl Containment {
    /// As it is shown, given what the hooks of this host are.
    #[must_use]
    pub fn shown(self, hooks: &'static str) -> &'static str {
        match self {
            Self::Hooks => hooks,
            Self::Construction => "construction",
        }
    }
}
