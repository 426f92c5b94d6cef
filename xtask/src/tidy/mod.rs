//! What a compiler does not check: the direction of imports, which crate may be named where, module docs, file sizes, words that must
//! not be in the tree, that every invariant of ARCHITECTURE.md names a test that exists, and that the bypass ledger of SECURITY.md and
//! the tests agree.
//!
//! In: the files that git tracks, and new ones that it does not ignore. Out: every problem with its file and line; one is enough to fail.

mod architecture;
mod code;
mod files;
mod house;
mod imports;
mod ledger;

use std::{fs, path::Path, process::Command};

use anyhow::bail;

use crate::shell;

/// A file of the tree. Files that are not UTF-8 are not here.
struct Source {
    /// Relative to the workspace, with `/`.
    path: String,
    text: String,
}

/// Checks the whole tree.
pub(crate) fn check() -> anyhow::Result<()> {
    let sources = sources(&shell::workspace())?;
    let problems = [
        files::check(&sources),
        imports::check(&sources),
        architecture::check(&sources),
        ledger::check(&sources),
    ]
    .concat();
    println!("{}", files::sizes(&sources));
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{} problems\n{}", problems.len(), problems.join("\n"))
}

fn sources(workspace: &Path) -> anyhow::Result<Vec<Source>> {
    let listed = shell::output(
        Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(workspace),
    )?;
    let read = |path: &str| {
        fs::read_to_string(workspace.join(path))
            .ok()
            .map(|text| Source {
                path: path.to_owned(),
                text,
            })
    };
    Ok(listed.split_terminator('\0').filter_map(read).collect())
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}
