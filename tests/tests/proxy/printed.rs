//! What commands do when nobody reads on, and when what they say cannot be written.

use std::{
    fs::{self, File},
    io,
    process::{Command, Output, Stdio},
};

use tests::harness::gateway;

/// A command for a configuration of its own that `init` has written, with no daemon.
fn tollgate(folder: &std::path::Path, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(gateway()?);
    command
        .args(arguments)
        .env("TOLLGATE_CONFIG", folder.join("tollgate.toml"))
        .env("TOLLGATE_SOCKET", folder.join("none.sock"));
    Ok(command)
}

/// Its outcome when the reader of its output has gone before it says anything.
fn unread(mut command: Command) -> anyhow::Result<Output> {
    let (reader, writer) = io::pipe()?;
    drop(reader);
    Ok(command.stdout(writer).stderr(Stdio::piped()).output()?)
}

#[test]
fn a_reader_that_has_gone_changes_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let init = unread(tollgate(folder.path(), &["init"])?)?;
    assert!(init.status.success() && init.stderr.is_empty(), "{init:?}");
    assert!(fs::exists(folder.path().join("tollgate.toml"))?);
    for arguments in [
        &["doctor", "--json"][..],
        &["doctor"],
        &["policy", "check"],
        &["policy", "test"],
        &["trust", "cdi"],
        &["completions", "bash"],
        &["detect", "--list"],
        &["status"],
    ] {
        let read = tollgate(folder.path(), arguments)?.output()?;
        let unread = unread(tollgate(folder.path(), arguments)?)?;
        assert_eq!(unread.status, read.status, "{arguments:?}: {unread:?}");
        assert_eq!(unread.stderr, read.stderr, "{arguments:?}");
    }
    // Nor is there anybody to hear of a failure.
    let (reader, writer) = io::pipe()?;
    drop(reader);
    let mut failing = tollgate(folder.path(), &["status"])?;
    assert_eq!(failing.stderr(writer).status()?.code(), Some(8));
    Ok(())
}

#[test]
fn what_init_writes_warns_of_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for arguments in [&["init"][..], &["policy", "check"], &["policy", "test"]] {
        let output = tollgate(folder.path(), arguments)?.output()?;
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
    }
    Ok(())
}

#[test]
fn what_cannot_be_written_for_another_reason_fails_the_command() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    assert!(
        tollgate(folder.path(), &["init"])?
            .output()?
            .status
            .success()
    );
    for arguments in [&["policy", "check"][..], &["completions", "bash"]] {
        let full = File::options().write(true).open("/dev/full")?;
        let command = tollgate(folder.path(), arguments)?.stdout(full).output()?;
        let said = String::from_utf8_lossy(&command.stderr);
        assert_eq!(command.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.starts_with("tollgate: cannot write to standard output: "),
            "{said}"
        );
    }
    Ok(())
}
