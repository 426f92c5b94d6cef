//! `cargo xtask fuzz`: searches with libFuzzer for bytes that break a property of `tests::fuzz`.
//!
//! In: a target, or all; how long. Out: what was found new stays in the cache, and a failing input is named, to be put into the committed
//! corpus. Coverage counters are flags of the stable compiler, so that no nightly is needed; the C++ part of libFuzzer needs g++.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, bail};

use crate::{cache, shell};

/// Fuzzes each of these targets for so many seconds; with `merge` puts what adds coverage into the committed corpus.
pub(crate) fn run(targets: &[String], seconds: u64, merge: bool) -> anyhow::Result<()> {
    let corpora = shell::workspace().join("tests/fuzz/corpus");
    let program = build()?;
    let mut known: Vec<String> = Vec::new();
    for folder in fs::read_dir(&corpora).context("no committed corpus")? {
        known.push(folder?.file_name().to_string_lossy().into_owned());
    }
    known.sort_unstable();
    if let Some(unknown) = targets.iter().find(|target| !known.contains(target)) {
        bail!("no fuzz target \"{unknown}\" (known: {})", known.join(", "));
    }
    let chosen = if targets.is_empty() { &known } else { targets };
    for target in chosen {
        let committed = corpora.join(target);
        let found = cache::root()?.join("fuzz").join(target);
        fs::create_dir_all(&found).with_context(|| format!("cannot create {}", found.display()))?;
        let mut command = Command::new(&program);
        command.env("FUZZ_TARGET", target).current_dir(&found);
        command.args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"]);
        if merge {
            command.arg("-merge=1").args([&committed, &found]);
        } else {
            println!("fuzz: {target} for {seconds} s");
            command
                .arg(format!("-max_total_time={seconds}"))
                .arg("-print_final_stats=1")
                .arg(format!(
                    "-artifact_prefix={}/",
                    artifacts(target)?.display()
                ))
                .args([&found, &committed]);
        }
        shell::run(&mut command).with_context(|| {
            format!("{target} fails: put the input named above into {}, mend it, and run `cargo xtask test proxy`", committed.display())
        })?;
    }
    Ok(())
}

fn artifacts(target: &str) -> anyhow::Result<PathBuf> {
    let folder = cache::root()?.join("fuzz-failures").join(target);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Builds the driver with coverage counters in every crate.
fn build() -> anyhow::Result<PathBuf> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let manifest = shell::workspace().join("tests/fuzz/Cargo.toml");
    let target = cache::root()?.join("fuzz-target");
    // The workspace's versions; cargo adds libFuzzer's to them.
    fs::copy(
        shell::workspace().join("Cargo.lock"),
        manifest.with_file_name("Cargo.lock"),
    )
    .context("cannot copy Cargo.lock")?;
    let mut command = shell::cargo(&["build", "--release", "--manifest-path"]);
    // Naming the platform keeps the flags away from build scripts and macros.
    command
        .arg(&manifest)
        .args(["--target", &platform])
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("RUSTFLAGS", COVERAGE);
    shell::run(&mut command)?;
    Ok(target.join(platform).join("release/fuzz"))
}

/// What libFuzzer reads: counters for each edge, their places, and the operands of comparisons.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=4";
