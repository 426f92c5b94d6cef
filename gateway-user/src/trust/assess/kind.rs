//! Which runtime a program is, by its name: that decides which variables lead it to certificates, and when it reads them.

use std::collections::HashMap;
use std::path::Path;

/// What decides when roots are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Node,
    Deno,
    Java,
    Other,
}

impl Kind {
    pub(super) fn of(exe: &Path) -> Self {
        match exe.file_name().and_then(|name| name.to_str()) {
            Some("node" | "nodejs") => Self::Node,
            Some("deno") => Self::Deno,
            Some("java") => Self::Java,
            _ => Self::Other,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Deno => "Deno",
            Self::Java => "Java",
            Self::Other => "it",
        }
    }

    /// A variable that it needs and does not have.
    pub(super) fn lacks(self, environment: &HashMap<String, String>) -> Option<&'static str> {
        match self.named(environment) {
            Some(_) => None,
            None => self.needs().first().copied(),
        }
    }

    /// The variables of which one leads it to the CA.
    pub(super) fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Node => &["NODE_EXTRA_CA_CERTS"],
            Self::Deno => &["DENO_CERT", "NODE_EXTRA_CA_CERTS"],
            _ => &[],
        }
    }

    /// The one that it has, and where that leads.
    pub(super) fn named(
        self,
        environment: &HashMap<String, String>,
    ) -> Option<(&'static str, &str)> {
        let named = |name: &&'static str| Some((*name, environment.get(*name)?.as_str()));
        let mut all = self.needs().iter().filter_map(named);
        all.find(|(_, file)| !file.is_empty())
    }

    /// Its variables lead it to the CA, whatever its view.
    pub(super) fn names_its_own(self, environment: &HashMap<String, String>) -> bool {
        self != Self::Other && self != Self::Java && self.lacks(environment).is_none()
    }

    /// Whether programs of this kind read what a variable names that stands for all their roots.
    pub(super) fn reads(self, variable: &str) -> bool {
        let of_node = ["npm_", "NPM_", "YARN_"];
        let of_node = of_node.iter().any(|prefix| variable.starts_with(prefix));
        match self {
            Self::Node => of_node,
            Self::Other => !of_node,
            Self::Deno | Self::Java => false,
        }
    }

    /// It reads its roots when it begins, or once.
    pub(super) fn reads_once(self) -> bool {
        self != Self::Other
    }

    /// `certificate_unknown` is how it says that it does not know the CA.
    pub(super) fn says_unknown(self) -> bool {
        self == Self::Java
    }
}
