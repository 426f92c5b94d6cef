//! `tollgate detect`: what the detectors find in files, as a linter shows it. Needs no daemon.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::{Failure, out};
use crate::detect::{self, Detectors, Finding};
use crate::policy::PolicySet;

#[derive(Args)]
pub(super) struct Detect {
    /// What to read; standard input, if none is given or for `-`
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// List all detectors
    #[arg(long, conflicts_with = "files")]
    list: bool,
    /// A policy folder, whose detectors.toml counts, too
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    policies: Option<PathBuf>,
}

pub(super) fn detect(flags: &Detect) -> Result<ExitCode, Failure> {
    let detectors = match &flags.policies {
        Some(folder) => Arc::clone(PolicySet::load(folder)?.detectors()),
        None => Arc::default(),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    if flags.list {
        return list(&detectors, flags.json, &mut out).or_else(broken);
    }
    let mut found = false;
    let stdin = [PathBuf::from("-")];
    let files = if flags.files.is_empty() {
        &stdin[..]
    } else {
        &flags.files
    };
    for file in files {
        let name = file.display().to_string();
        let mut bytes = Vec::new();
        let read = match name.as_str() {
            "-" => io::stdin().lock().read_to_end(&mut bytes).map(|_| ()),
            _ => std::fs::read(file).map(|all| bytes = all),
        };
        read.map_err(|error| Failure {
            code: 9,
            message: format!("{name}: {error}"),
        })?;
        let name = if name == "-" { "<stdin>" } else { &name };
        match report(name, &bytes, &detectors, flags.json, &mut out) {
            Ok(any) => found |= any,
            Err(error) => return broken(error),
        }
    }
    if let Err(error) = out.flush() {
        return broken(error);
    }
    Ok(ExitCode::from(u8::from(found)))
}

fn report(
    name: &str,
    bytes: &[u8],
    detectors: &Detectors,
    json: bool,
    out: &mut impl Write,
) -> io::Result<bool> {
    let (mut line, mut start, mut offset, mut found) = (1, 0, 0, false);
    // Positions are told of the whole file, between what is no text too.
    let mut seen = 0;
    for chunk in bytes.utf8_chunks() {
        for Finding {
            detector,
            class,
            range,
            sample,
        } in detect::scan(chunk.valid(), detectors)
        {
            let at = offset + range.start;
            for (index, _) in bytes[seen..at]
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'\n')
            {
                line += 1;
                start = seen + index + 1;
            }
            seen = at;
            let column = String::from_utf8_lossy(&bytes[start..at]).chars().count() + 1;
            if json {
                let object = json!({
                    "file": name, "line": line, "column": column, "offset": at, "length": range.len(),
                    "detector": &*detector, "class": &*class, "sample": sample,
                });
                writeln!(out, "{object}")?;
            } else {
                writeln!(
                    out,
                    "{name}:{line}:{column}: {detector} ({class}): {sample}"
                )?;
            }
            found = true;
        }
        offset += chunk.valid().len() + chunk.invalid().len();
    }
    Ok(found)
}

fn list(detectors: &Detectors, json: bool, out: &mut impl Write) -> io::Result<ExitCode> {
    let custom = detectors
        .custom()
        .iter()
        .map(|rule| (rule.class(), rule.id(), "of detectors.toml"));
    let all = detect::built_in();
    let built_in = all
        .iter()
        .map(|known| (known.class, known.id, known.description));
    for (class, id, description) in built_in.chain(custom) {
        if json {
            writeln!(
                out,
                "{}",
                json!({"detector": id, "class": class, "description": description})
            )?;
        } else {
            writeln!(out, "{class:<8} {id:<28} {description}")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A reader that has enough is no failure.
fn broken(error: io::Error) -> Result<ExitCode, Failure> {
    out::taken(Err(error)).map(|()| ExitCode::SUCCESS)
}

pub(super) const AFTER: &str = "\
Shows where something was found and a masked sample, never the value. Exit code 0 when nothing was found, 1 when something was.

Examples:
  tollgate detect prompt.json
  git diff | tollgate detect
  tollgate detect --json --policies /etc/tollgate/policies logs/*.jsonl
  tollgate detect --list";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_by_line_and_column_and_never_by_value() -> io::Result<()> {
        let text = [
            "first\n\u{e9} write to ada@example.com\n".as_bytes(),
            b"\xff",
        ]
        .concat();
        let mut out = Vec::new();
        assert!(report(
            "a.txt",
            &text,
            &Detectors::default(),
            false,
            &mut out
        )?);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "a.txt:2:12: email (pii): a\u{2026}@\u{2026}.com\n"
        );
        let mut out = Vec::new();
        assert!(report(
            "b",
            b"\xff\n\xfe card 4111111111111111",
            &Detectors::default(),
            true,
            &mut out
        )?);
        let object: serde_json::Value = serde_json::from_slice(&out)?;
        assert_eq!(
            (object["line"].as_u64(), object["offset"].as_u64()),
            (Some(2), Some(9))
        );
        assert!(!String::from_utf8_lossy(&out).contains("4111111"));
        let mut out = Vec::new();
        assert!(!report(
            "c",
            b"nothing here",
            &Detectors::default(),
            false,
            &mut out
        )?);
        assert!(out.is_empty());
        Ok(())
    }

    #[test]
    fn the_documentation_lists_every_detector() {
        let page = include_str!("../../../docs/detectors.md");
        for known in detect::built_in() {
            let row = format!(
                "| `{}` | {} | {} |",
                known.id,
                known.class,
                known.description.replace('|', "\\|")
            );
            assert!(page.contains(&row), "docs/detectors.md lacks: {row}");
        }
    }
}
