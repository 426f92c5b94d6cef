//! The gateway's own doors: what it is told through, and what it keeps. Success is the escape here; nothing has to arrive.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::unistd::Pid;
use serde_json::Value;

use super::Attempt;
use super::scene::Scene;
use crate::config::Mode;
use crate::control::{ClientError, Request, What, call_within};
use crate::sys::{descriptor, launch};

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt::new(
        "ask-status",
        "asking the daemon through its control socket, as root",
        "a governed peer is refused",
        |scene| ask(scene, &Request::Status),
    )
    .by_root()
    .counts_by_success(),
    Attempt::new(
        "untag",
        "letting itself go (untag)",
        "a governed peer is refused",
        |scene| {
            ask(
                scene,
                &Request::Untag {
                    what: What::Cgroup("/tollgate-doctor-none".into()),
                },
            )
        },
    )
    .by_root()
    .counts_by_success(),
    Attempt::new(
        "tag",
        "taking on another identity (tag)",
        "a governed peer is refused",
        |scene| {
            let what = What::Pid(std::process::id());
            ask(
                scene,
                &Request::Tag {
                    identity: "tollgate-doctor-none".to_owned(),
                    what,
                    mode: Mode::Observe,
                    accept_uncontained: true,
                    dry_run: false,
                    listen: Vec::new(),
                },
            )
        },
    )
    .by_root()
    .counts_by_success(),
    Attempt::new(
        "approve",
        "approving its own question",
        "a governed peer is refused",
        |scene| {
            ask(
                scene,
                &Request::Approve {
                    id: "0".repeat(16),
                    reason: None,
                },
            )
        },
    )
    .by_root()
    .counts_by_success(),
    Attempt::new(
        "files",
        "keys, ledger, pins and control socket, as an ordinary user",
        "modes of files and folders",
        |scene| {
            let mut outcome = Err(io::ErrorKind::NotFound.into());
            for file in &scene.files {
                match File::open(file)
                    .map(drop)
                    .or_else(|error| listed(file, error))
                {
                    Ok(()) => return Ok(()),
                    Err(error) => outcome = Err(error),
                }
            }
            outcome
        },
    )
    .by_nobody()
    .counts_by_success(),
    Attempt::new(
        "daemon-memory",
        "memory, environment or descriptors of one of the gateway's processes, as an ordinary user",
        "another user's processes, which cannot be looked into",
        |scene| {
            let mut outcome = Err(io::ErrorKind::NotFound.into());
            for pid in &scene.processes {
                match look_into(*pid) {
                    Ok(()) => return Ok(()),
                    Err(error) => outcome = Err(error),
                }
            }
            outcome
        },
    )
    .by_nobody()
    .counts_by_success(),
];

/// The gateway's processes, of its status.
pub(super) fn processes(status: &Value) -> Vec<u32> {
    let rows = status["processes"].as_array().into_iter().flatten();
    let numbers = rows.filter_map(|row| row["pid"].as_u64()?.try_into().ok());
    numbers.collect()
}

fn look_into(pid: u32) -> io::Result<()> {
    let at = |name: &str| format!("/proc/{pid}/{name}");
    File::open(at("mem"))
        .or_else(|_| File::open(at("environ")))
        .map(drop)
        .or_else(|_| std::fs::read_link(at("fd/0")).map(drop))
        .or_else(|_| {
            let process = launch::pidfd(Pid::from_raw(pid.cast_signed()))?;
            descriptor::of_process(process.as_fd(), 0).map(drop)
        })
}

/// A socket cannot be opened, but its folder can be looked into.
fn listed(path: &std::path::Path, error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(nix::libc::ENXIO) => Ok(()),
        _ => Err(error),
    }
    .or_else(|error| std::fs::read_dir(path).map(drop).map_err(|_| error))
}

/// Whatever the daemon says but that a governed process may ask nothing is an answer.
fn ask(scene: &Scene, request: &Request) -> io::Result<()> {
    match call_within(
        &scene.control,
        request,
        Some(std::time::Duration::from_secs(3)),
    ) {
        Ok(_) => Ok(()),
        Err(ClientError::Refused { code: 5, message }) => Err(io::Error::other(message)),
        Err(ClientError::Refused { .. }) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}
