//! One boot: qemu with software emulation, two processors so that races are real, no disk and no network.
//!
//! In: a kernel and its RAM disk. Out: what the guest wrote on the serial line, kept beside the build's logs, read for the marks that the
//! first process writes. No mark, no result: a guest that hangs is ended at the deadline, and one that panics ends by itself.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::{kernel::Kernel, nice, program};
use crate::shell;

/// Begins each line in which the guest's first process says how far it is.
pub(super) const MARK: &str = "TOLLGATE-VM";

/// What a boot said.
pub(super) struct Report {
    text: String,
    log: PathBuf,
    took: Duration,
}

/// Boots, waits for the guest to end, and reads what it said.
pub(super) fn run(kernel: &Kernel, image: &Path) -> anyhow::Result<Report> {
    let folder = shell::built()?.join("xtask-logs");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let log = folder.join(format!("vm-{}.log", kernel.release));
    let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let started = Instant::now();
    let mut command = nice(&program(QEMU)?.display().to_string());
    command
        .args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "2048"])
        .args(["-nodefaults", "-no-reboot", "-display", "none"])
        .args(["-serial", "stdio", "-append", COMMAND_LINE])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(image);
    let child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot start {QEMU}"))?;
    wait(Guest(child), &log)?;
    Ok(Report {
        text: String::from_utf8_lossy(&fs::read(&log)?).replace('\r', ""),
        log,
        took: started.elapsed(),
    })
}

/// A machine that does not outlive this one's interest in it.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(mut guest: Guest, log: &Path) -> anyhow::Result<()> {
    let end = Instant::now() + LIMIT;
    while guest.0.try_wait()?.is_none() {
        if Instant::now() > end {
            bail!(
                "not done after {} min; the serial line's log: {}",
                LIMIT.as_secs() / 60,
                log.display()
            );
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

impl Report {
    /// How each suite ended; an error if any did not end well.
    pub(super) fn verdict(&self, suites: &[&str]) -> anyhow::Result<String> {
        let failed =
            |what: String| anyhow::anyhow!("{what}; the serial line's log: {}", self.log.display());
        if self.mark("booted").is_none() {
            return Err(failed(format!("it did not boot\n{}", self.end())));
        }
        let mut summary = Vec::new();
        for suite in suites {
            let code = self
                .mark(suite)
                .ok_or_else(|| failed(format!("{suite} did not end\n{}", self.end())))?;
            if code != "0" {
                return Err(failed(format!("{suite}: {}", self.failures())));
            }
        }
        for result in self.lines("test result: ok. ") {
            summary.push(result.split("; finished").next().unwrap_or(result));
        }
        Ok(format!(
            "ok: {} in {} s",
            summary.join(" | "),
            self.took.as_secs()
        ))
    }

    fn mark(&self, name: &str) -> Option<&str> {
        self.lines(&format!("{MARK} {name} ")).next()
    }

    /// The rest of each line that has this in it: the kernel's own messages may stand before it.
    fn lines<'a>(&'a self, start: &str) -> impl Iterator<Item = &'a str> {
        self.text
            .lines()
            .filter_map(move |line| Some(line.split_once(start)?.1.trim()))
    }

    /// The names under the last heading `failures:` of each suite, and the result.
    fn failures(&self) -> String {
        let names: Vec<&str> = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("---- ")?.strip_suffix(" stdout ----"))
            .collect();
        if names.is_empty() {
            return format!("refused to run\n{}", self.end());
        }
        format!("{} failed: {}", names.len(), names.join(", "))
    }

    fn end(&self) -> String {
        let lines: Vec<&str> = self.text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    }
}

const QEMU: &str = "qemu-system-x86_64";

/// Debian's own choice of LSMs, in which `bpf` is one from 6.1 on. A panic ends the machine.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 quiet";
/// For everything on one kernel: the kernel suite takes about seven minutes on a slow machine.
const LIMIT: Duration = Duration::from_secs(45 * 60);
const SHOWN: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        Report {
            text: text.to_owned(),
            log: PathBuf::from("log"),
            took: Duration::from_secs(7),
        }
    }

    #[test]
    fn without_its_marks_nothing_has_passed() {
        let passed = "TOLLGATE-VM booted 6.1\ntest result: ok. 9 passed; 0 failed; finished in 3s\n[1] kernel: TOLLGATE-VM kernel 0\n";
        let said = report(passed).verdict(&["kernel"]).ok();
        assert_eq!(said.as_deref(), Some("ok: 9 passed; 0 failed in 7 s"));
        assert!(report(passed).verdict(&["kernel", "escape"]).is_err());
        assert!(report("Kernel panic").verdict(&["kernel"]).is_err());
        let failed = "TOLLGATE-VM booted 6.1\n---- bind::a stdout ----\nTOLLGATE-VM kernel 101\n";
        let error = report(failed).verdict(&["kernel"]).err();
        assert!(error.is_some_and(|error| error.to_string().contains("1 failed: bind::a")));
    }
}
