//! What the command line says: the only place that writes to standard output and standard error.
//!
//! A reader that has gone has seen enough: what is left to say is dropped, and the command does and returns what it would have otherwise. Any
//! other error of standard output fails the command. The macros of the standard library panic on both, because Rust ignores SIGPIPE.

use std::fmt::Display;
use std::io::{self, Write};

use super::Failure;

/// Writes to standard output.
pub(super) fn print(text: impl Display) -> Result<(), Failure> {
    taken(write(io::stdout().lock(), text))
}

/// Writes a line to standard output.
pub(super) fn line(text: impl Display) -> Result<(), Failure> {
    print(format_args!("{text}\n"))
}

/// Says to standard error what has gone wrong. When nobody can be told, the exit code still tells.
pub(super) fn complain(text: impl Display) {
    drop(write(
        io::stderr().lock(),
        format_args!("tollgate: {text}\n"),
    ));
}

/// What a write to standard output means for the command.
pub(super) fn taken(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
            code: 1,
            message: format!("cannot write to standard output: {error}"),
        }),
        _ => Ok(()),
    }
}

/// In one piece, so that a line is never cut by another process's.
fn write(mut out: impl Write, text: impl Display) -> io::Result<()> {
    out.write_all(text.to_string().as_bytes())?;
    out.flush()
}
