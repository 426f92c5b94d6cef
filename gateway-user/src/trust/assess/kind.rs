//! Which runtime a program is, by its name or by what it holds: that decides which variables lead it to certificates, and when it reads them.

use std::collections::HashMap;
use std::path::Path;

/// What decides when roots are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    Node,
    Deno,
    Java,
    /// It has roots of its own, and looks into OpenSSL's directory each time as well.
    Bun,
    /// It has roots of its own, and adds those of its user's certificate database.
    Chromium,
    #[default]
    Other,
}

impl Kind {
    pub(super) fn of(exe: &Path) -> Self {
        match exe.file_name().and_then(|name| name.to_str()) {
            Some("node" | "nodejs") => Self::Node,
            Some("deno") => Self::Deno,
            Some("java") => Self::Java,
            Some("bun" | "bunx") => Self::Bun,
            Some("chromium" | "chrome" | "headless_shell" | "chrome-headless-shell" | "msedge") => {
                Self::Chromium
            }
            _ => Self::Other,
        }
    }

    /// By its name, else as what it holds: a program that its developer has made one file of with its runtime (`node --build-sea`, `bun build --compile`,
    /// `deno compile`) is called as they like.
    pub(super) fn called(exe: &Path, holds: Self) -> Self {
        match Self::of(exe) {
            Self::Other => holds,
            kind => kind,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Deno => "Deno",
            Self::Java => "Java",
            Self::Bun => "Bun",
            Self::Chromium => "Chromium",
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
        self.named(environment).is_some()
    }

    /// Whether programs of this kind read what a variable names that stands for all their roots.
    pub(super) fn reads(self, variable: &str) -> bool {
        let of_node = ["npm_", "NPM_", "YARN_"];
        let of_node = of_node.iter().any(|prefix| variable.starts_with(prefix));
        match self {
            Self::Node => of_node,
            Self::Bun | Self::Other => !of_node,
            Self::Deno | Self::Java | Self::Chromium => false,
        }
    }

    /// It reads its roots when it begins, or once.
    pub(super) fn reads_once(self) -> bool {
        matches!(self, Self::Node | Self::Deno | Self::Java)
    }

    /// Whether it was told to read the system's certificates in place of its own, or besides.
    pub(super) fn reads_system(
        self,
        words: &[String],
        environment: &HashMap<String, String>,
    ) -> bool {
        let set = |name: &str| environment.get(name).map_or("", String::as_str);
        match self {
            // One that does not know an option does not start with it, so what runs has understood it.
            Self::Node => {
                let options = set("NODE_OPTIONS").split_whitespace();
                let mut all = words.iter().map(String::as_str).chain(options);
                all.any(|word| matches!(word, "--use-openssl-ca" | "--use-system-ca"))
            }
            Self::Deno => set("DENO_TLS_CA_STORE")
                .split(',')
                .any(|store| store.trim() == "system"),
            _ => false,
        }
    }

    /// `certificate_unknown` is how it says that it does not know the CA.
    pub(super) fn says_unknown(self) -> bool {
        matches!(self, Self::Java | Self::Chromium)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_what_it_is_called_or_else_what_it_holds() {
        let called = |exe: &str, holds| Kind::called(Path::new(exe), holds);
        assert_eq!(called("/usr/bin/node", Kind::Other), Kind::Node);
        assert_eq!(called("/opt/agent", Kind::Node), Kind::Node);
        assert_eq!(called("/opt/agent", Kind::Other), Kind::Other);
        assert!(Kind::Node.reads_once() && !Kind::Bun.reads_once());
        assert!(!Kind::Bun.names_its_own(&HashMap::new()));
    }

    #[test]
    fn options_and_variables_that_ask_for_the_systems_certificates_are_known() {
        let told = |kind: Kind, words: &[&str], variable: (&str, &str)| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let environment = HashMap::from([(variable.0.to_owned(), variable.1.to_owned())]);
            kind.reads_system(&words, &environment)
        };
        let none = ("A", "b");
        assert!(told(Kind::Node, &["node", "--use-system-ca", "a.js"], none));
        assert!(told(
            Kind::Node,
            &["node"],
            ("NODE_OPTIONS", "--x --use-openssl-ca")
        ));
        assert!(!told(Kind::Node, &["node", "a.js"], none));
        assert!(!told(Kind::Node, &["node", "--use-bundled-ca"], none));
        assert!(told(
            Kind::Deno,
            &["deno"],
            ("DENO_TLS_CA_STORE", "mozilla, system")
        ));
        assert!(!told(
            Kind::Deno,
            &["deno"],
            ("DENO_TLS_CA_STORE", "mozilla")
        ));
        assert!(!told(Kind::Java, &["java", "--use-system-ca"], none));
    }
}
