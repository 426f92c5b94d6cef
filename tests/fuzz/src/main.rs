//! libFuzzer around the targets of `tests::fuzz`; `FUZZ_TARGET` names the one that runs.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tests::fuzz::{TARGETS, Target};

fuzz_target!(|data: &[u8]| {
    static CHOSEN: OnceLock<&Target> = OnceLock::new();
    let target = CHOSEN.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        match TARGETS.iter().find(|target| target.name == name) {
            Some(target) => target,
            None => panic!("FUZZ_TARGET is {name:?}, which is no target"),
        }
    });
    (target.run)(data);
});
