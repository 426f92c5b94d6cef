//! What disturbs the daemon: kills of it and of each of its processes, restarts, reloads, broken policies, guards.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::harness::{Daemon, Lab, WAIT, finish, processes};

use crate::{Shared, random::Random};

/// The daemon, or what is left of it.
pub(crate) struct Chaos<'a> {
    lab: &'a Lab,
    shared: &'a Shared,
    random: Random,
    daemon: Option<Daemon>,
}

impl<'a> Chaos<'a> {
    pub(crate) fn new(lab: &'a Lab, daemon: Daemon, shared: &'a Shared) -> Self {
        Self {
            lab,
            shared,
            random: Random::new(shared.seed, 0),
            daemon: Some(daemon),
        }
    }

    /// One disturbance, and some time for the agents.
    pub(crate) fn step(&mut self) -> anyhow::Result<()> {
        let what = *self.random.one(&[
            "kill",
            "kill",
            "kill a part",
            "kill a part",
            "restart",
            "reload",
            "broken policies",
            "guard",
            "quiet",
        ]);
        match what {
            "kill" => {
                self.kill()?;
                self.dead()?;
            }
            "kill a part" => {
                let parts = processes(self.running()?.pid());
                let part = *self.random.one(&parts);
                let _ = kill(Pid::from_raw(part.cast_signed()), Signal::SIGKILL);
                // The others end with it, or go on without it: both have to be safe.
                thread::sleep(self.random.between(50, 700));
                self.kill()?;
                self.dead()?;
            }
            "restart" => {
                let pid = self.running()?.pid();
                let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
                let end = Instant::now() + WAIT;
                while !self.running()?.has_ended()? {
                    anyhow::ensure!(Instant::now() < end, "the daemon does not stop");
                    thread::sleep(Duration::from_millis(10));
                }
                self.dead()?;
            }
            "reload" => {
                write_policies(self.lab)?;
                self.running()?.run(&["policy", "reload"])?.success()?;
            }
            "broken policies" => {
                self.lab
                    .write("policies/broken.cedar", "permit (everything")?;
                let told = self.running()?.run(&["policy", "reload"])?;
                anyhow::ensure!(!told.status.success(), "broken policies are in force");
                thread::sleep(self.random.between(50, 500));
                if self.random.below(3) == 0 {
                    // A daemon does not start with them, and everything stays closed.
                    self.running()?.crash()?;
                    anyhow::ensure!(
                        Daemon::start(self.lab).is_err(),
                        "it started with broken policies"
                    );
                    fs::remove_file(self.lab.path("policies/broken.cedar"))?;
                    self.dead()?;
                } else {
                    fs::remove_file(self.lab.path("policies/broken.cedar"))?;
                    self.running()?.run(&["policy", "reload"])?.success()?;
                }
            }
            "guard" => self.guard()?,
            _ => {}
        }
        self.shared.count(what);
        thread::sleep(self.random.between(100, 1500));
        Ok(())
    }

    /// A daemon that has run through its last request.
    pub(crate) fn end(mut self) -> anyhow::Result<Daemon> {
        self.running()?;
        self.daemon
            .take()
            .ok_or_else(|| anyhow::anyhow!("no daemon"))
    }

    /// Kills the daemon; its other processes have to end by themselves.
    fn kill(&mut self) -> anyhow::Result<()> {
        let daemon = self.running()?;
        let all = processes(daemon.pid());
        let _ = kill(Pid::from_raw(daemon.pid().cast_signed()), Signal::SIGKILL);
        let end = Instant::now() + WAIT;
        while !daemon.has_ended()? {
            anyhow::ensure!(Instant::now() < end, "the daemon cannot be killed");
            thread::sleep(Duration::from_millis(5));
        }
        let left = |pid: &&u32| std::path::Path::new("/proc").join(pid.to_string()).exists();
        let end = Instant::now() + Duration::from_secs(5);
        while let Some(pid) = all.iter().find(left) {
            if Instant::now() > end {
                self.shared
                    .violation(format!("process {pid} of the daemon outlives it"));
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn running(&mut self) -> anyhow::Result<&mut Daemon> {
        if self.daemon.is_none() {
            self.daemon = Some(Daemon::start(self.lab)?);
        }
        self.daemon
            .as_mut()
            .ok_or_else(|| anyhow::anyhow!("no daemon"))
    }

    /// Leaves the host without a daemon for a moment, sometimes with a guard, then starts one.
    fn dead(&mut self) -> anyhow::Result<()> {
        self.daemon = None;
        thread::sleep(self.random.between(0, 1200));
        if self.random.below(4) == 0 {
            self.guard()?;
            thread::sleep(self.random.between(0, 300));
        }
        self.running()?;
        Ok(())
    }

    fn guard(&mut self) -> anyhow::Result<()> {
        let config = self.lab.path("tollgate.toml");
        let mut command = Command::new(tests::harness::gateway()?);
        finish(command.args(["guard", "--config"]).arg(config), "", WAIT)?.success()?;
        Ok(())
    }
}

/// Requests to the permitted servers may pass, and nothing else.
pub(crate) fn write_policies(lab: &Lab) -> anyhow::Result<()> {
    lab.write(
        "policies/soak.cedar",
        "@id(\"files\")\npermit (principal in Group::\"agents\", action == Action::\"http.read\", resource == Service::\"files\");\n",
    )?;
    Ok(())
}
