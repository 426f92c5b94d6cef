//! The rule of the house as two tables: which module of `gateway-user` may import which, and which words stay in which place. The crate
//! `gateway-detect` is its module `detect`.
//!
//! A stage imports types of the stages before it and of leaves, never of a later one, and never the modules that put stages together.
//! A new module must be put into the first table.

/// A module, and the modules of `gateway-user` that it may import.
pub(super) struct Rule {
    pub(super) module: &'static str,
    pub(super) may_use: &'static [&'static str],
}

/// In the order of the path of a connection.
pub(super) const MODULES: &[Rule] = &[
    // Leaves.
    Rule {
        module: "sys",
        may_use: &[],
    },
    Rule {
        module: "detect",
        may_use: &[],
    },
    Rule {
        module: "nearest",
        may_use: &[],
    },
    Rule {
        module: "unit",
        may_use: &[],
    },
    Rule {
        module: "latest",
        may_use: &[],
    },
    Rule {
        module: "base64",
        may_use: &[],
    },
    Rule {
        module: "calendar",
        may_use: &[],
    },
    Rule {
        module: "amazon",
        may_use: &[],
    },
    Rule {
        module: "keeper",
        may_use: &["amazon", "base64", "calendar", "sys"],
    },
    Rule {
        module: "trust",
        may_use: &["sys"],
    },
    Rule {
        module: "tasks",
        may_use: &[],
    },
    Rule {
        module: "telemetry",
        may_use: &[],
    },
    Rule {
        module: "load",
        may_use: &[],
    },
    Rule {
        module: "drain",
        may_use: &["tasks"],
    },
    // What the file says; stages get their slice of it.
    Rule {
        module: "config",
        may_use: &["amazon", "detect", "nearest", "sys", "unit"],
    },
    Rule {
        module: "spend",
        may_use: &["amazon", "config", "nearest", "record"],
    },
    // The stages.
    Rule {
        module: "kernel",
        may_use: &["sys"],
    },
    Rule {
        module: "listener",
        may_use: &["config", "kernel", "load", "pipeline", "sys", "tasks"],
    },
    Rule {
        module: "identity",
        may_use: &["config", "kernel", "sys"],
    },
    Rule {
        module: "sniff",
        may_use: &["sys"],
    },
    Rule {
        module: "tls",
        may_use: &["config", "keeper", "sniff", "sys"],
    },
    Rule {
        module: "protocol",
        may_use: &["amazon", "base64", "detect"],
    },
    Rule {
        module: "policy",
        may_use: &["detect", "identity", "nearest", "protocol"],
    },
    Rule {
        module: "mask",
        may_use: &["base64", "detect", "latest", "policy", "protocol"],
    },
    Rule {
        module: "record",
        may_use: &[
            "calendar",
            "detect",
            "identity",
            "policy",
            "protocol",
            "sys",
            "tasks",
            "telemetry",
        ],
    },
    // A question and its answer are entries of the ledger before they are anything else.
    Rule {
        module: "approve",
        may_use: &["identity", "policy", "protocol", "record", "tasks"],
    },
    Rule {
        module: "forward",
        may_use: &[
            "config", "detect", "identity", "keeper", "kernel", "mask", "policy", "protocol",
            "sniff", "sys", "tls", "tasks",
        ],
    },
    Rule {
        module: "dns",
        may_use: &["config"],
    },
    // What the guard and the proxy say to each other.
    Rule {
        module: "boundary",
        may_use: &["config", "control", "identity", "kernel", "sys"],
    },
    // What puts stages together.
    Rule {
        module: "pipeline",
        may_use: &[
            "amazon",
            "approve",
            "config",
            "detect",
            "dns",
            "drain",
            "forward",
            "identity",
            "keeper",
            "kernel",
            "latest",
            "load",
            "mask",
            "policy",
            "protocol",
            "record",
            "sniff",
            "spend",
            "sys",
            "tls",
            "tasks",
            "telemetry",
        ],
    },
    Rule {
        module: "control",
        may_use: &[
            "approve",
            "config",
            "identity",
            "kernel",
            "policy",
            "record",
            "sys",
            "trust",
            "tasks",
            "telemetry",
        ],
    },
    Rule {
        module: "app",
        may_use: &[
            "approve",
            "boundary",
            "config",
            "control",
            "detect",
            "dns",
            "drain",
            "forward",
            "identity",
            "keeper",
            "kernel",
            "listener",
            "load",
            "mask",
            "pipeline",
            "policy",
            "protocol",
            "record",
            "sniff",
            "spend",
            "sys",
            "tls",
            "trust",
            "tasks",
            "telemetry",
            "unit",
        ],
    },
    Rule {
        module: "cli",
        may_use: &[
            "app",
            "approve",
            "config",
            "control",
            "detect",
            "identity",
            "kernel",
            "policy",
            "protocol",
            "record",
            "spend",
            "sys",
            "telemetry",
            "trust",
            "unit",
        ],
    },
];

/// A word that code may use only in some places.
pub(super) struct Confined {
    pub(super) word: &'static str,
    /// Where the rule applies.
    pub(super) within: &'static str,
    /// Where the word may stand all the same.
    pub(super) except: &'static [&'static str],
    /// Whether tests are bound by it too.
    pub(super) in_tests: bool,
}

pub(super) const CONFINED: &[Confined] = &[
    Confined {
        word: "aya",
        within: "gateway-user/src/",
        except: &["gateway-user/src/kernel/"],
        in_tests: false,
    },
    Confined {
        word: "aya_log",
        within: "gateway-user/src/",
        except: &["gateway-user/src/kernel/"],
        in_tests: false,
    },
    Confined {
        word: "rcgen",
        within: "gateway-user/src/",
        except: &["gateway-user/src/tls/", "gateway-user/src/keeper/"],
        in_tests: false,
    },
    Confined {
        word: "cedar_policy",
        within: "gateway-user/src/",
        except: &["gateway-user/src/policy/"],
        in_tests: false,
    },
    Confined {
        word: "hickory_proto",
        within: "gateway-user/src/",
        except: &["gateway-user/src/dns/"],
        in_tests: false,
    },
    Confined {
        word: "sqlx",
        within: "gateway-user/src/",
        except: &["gateway-user/src/record/"],
        in_tests: false,
    },
    Confined {
        word: "hyper",
        within: "gateway-user/src/policy/",
        except: &[],
        in_tests: false,
    },
    Confined {
        word: "rustls",
        within: "gateway-user/src/policy/",
        except: &[],
        in_tests: false,
    },
    Confined {
        word: "hyper",
        within: "gateway-user/src/record/",
        except: &[],
        in_tests: false,
    },
    Confined {
        word: "rustls",
        within: "gateway-user/src/record/",
        except: &[],
        in_tests: false,
    },
    // Under its name in the first table, so that its users stand there.
    Confined {
        word: "gateway_detect",
        within: "gateway-user/src/",
        except: &["gateway-user/src/lib.rs"],
        in_tests: true,
    },
    Confined {
        word: "unsafe",
        within: "gateway-detect/",
        except: &[],
        in_tests: true,
    },
    Confined {
        word: "unsafe",
        within: "gateway-user/",
        except: &["gateway-user/src/sys/"],
        in_tests: true,
    },
    Confined {
        word: "unsafe",
        within: "gateway-common/",
        except: &[],
        in_tests: true,
    },
    Confined {
        word: "unsafe",
        within: "tests/",
        // A stand-in for an agent that makes calls no library makes.
        except: &["tests/src/bin/kernel-agent"],
        in_tests: true,
    },
    Confined {
        word: "unsafe",
        within: "xtask/",
        except: &[],
        in_tests: true,
    },
];
