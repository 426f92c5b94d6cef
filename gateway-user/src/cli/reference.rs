//! Completion scripts and the manual, made from the very definitions that parse the command line.
//!
//! In: a shell's name, or a folder. Out: a script on standard output, or `tollgate.1` and a page for each command. Needs no
//! configuration, no daemon and no root. Fails when the folder cannot be written.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure, out};

#[derive(Args)]
pub(super) struct Completions {
    /// Whose completion
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Args)]
pub(super) struct Man {
    /// The folder for the pages; made if it is missing
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn completions(flags: &Completions) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut Cli::command(), "tollgate", &mut script);
    out::print(String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(flags: &Man) -> Result<ExitCode, Failure> {
    let written = std::fs::create_dir_all(&flags.dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &flags.dir));
    written.map_err(|error| Failure {
        code: 1,
        message: format!(
            "cannot write the manual to {}: {error}",
            flags.dir.display()
        ),
    })?;
    out::line(format_args!("wrote the manual to {}", flags.dir.display()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use clap::ValueEnum;

    use super::*;

    /// Every command with its path, such as `policy test`.
    fn walk(command: &clap::Command, path: &str, visit: &mut impl FnMut(&clap::Command, &str)) {
        visit(command, path);
        for inner in command.get_subcommands() {
            walk(inner, &format!("{path} {}", inner.get_name()), visit);
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        let mut seen = 0;
        walk(&Cli::command(), "tollgate", &mut |command, path| {
            seen += 1;
            assert!(
                command.get_about().is_some(),
                "`{path}` does not say what it does"
            );
            let examples = command.get_after_help().map(ToString::to_string);
            let name = path.split(' ').nth(1).unwrap_or("tollgate");
            assert!(
                examples.is_some_and(|text| text.contains("Example") && text.contains(name)),
                "`{path} --help` shows no example of itself"
            );
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "`{path}` does not say what {} is",
                    argument.get_id()
                );
            }
        });
        assert!(seen > 15, "only {seen} commands were walked");
    }

    #[test]
    fn every_example_parses() {
        walk(&Cli::command(), "tollgate", &mut |command, path| {
            let text = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            for line in text.lines() {
                let Some(at) = line.find("tollgate ") else {
                    continue;
                };
                // Prose quotes its commands; examples stand at the end of a line.
                if line.contains('`') {
                    continue;
                }
                let typed = line[at..].split(" && ").next().unwrap_or_default();
                let typed = typed.split(" > ").next().unwrap_or_default();
                let typed = typed.split("   ").next().unwrap_or_default();
                let parsed = Cli::command().try_get_matches_from(unquoted(typed));
                assert!(parsed.is_ok(), "`{path}` shows `{typed}`: {parsed:?}");
            }
        });
    }

    /// Words as a shell splits them, with double quotes.
    fn unquoted(typed: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (index, part) in typed.split('"').enumerate() {
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn every_command_has_a_page_and_every_shell_a_script() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("man1");
        man(&Man { dir: dir.clone() }).unwrap();
        walk(&Cli::command(), "tollgate", &mut |_, path| {
            let page = dir.join(format!("{}.1", path.replace(' ', "-")));
            let text = std::fs::read_to_string(&page).unwrap_or_default();
            assert!(text.contains("Example"), "{}", page.display());
        });
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "tollgate", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("approvals"), "{shell}");
        }
    }
}
