//! A daemon, an identity that may do nothing unless a test says so, a cgroup that is tagged as it, and one that is not.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tests::harness::{Daemon, Lab, cgroup_root};

/// The identity of everything that is governed here.
pub(crate) const IDENTITY: &str = "hostile-agent";

/// Fields are dropped in this order: the processes and their cgroup go, then the daemon, then what it runs in.
pub(crate) struct World {
    /// Tagged as [`IDENTITY`].
    pub(crate) governed: Cgroup,
    /// Not tagged: for control runs.
    pub(crate) free: Cgroup,
    pub(crate) daemon: Daemon,
    pub(crate) lab: Lab,
}

impl World {
    /// No policy, no service.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Self::with("", "")
    }

    /// With more in its `tollgate.toml`, and with policies.
    pub(crate) fn with(more: &str, policies: &str) -> anyhow::Result<Self> {
        Self::begin(&[], policies, |_| Ok(more.to_owned()))
    }

    /// With a service that holds a bearer token, at this address; reading there is permitted.
    pub(crate) fn holding(name: &str, at: IpAddr, ca: &str, secret: &str) -> anyhow::Result<Self> {
        let policy = "@id(\"all\") permit (principal, action, resource == Service::\"held\");";
        Self::begin(&[(at, name)], policy, |lab| held(lab, name, ca, secret))
    }

    /// With these names in the host's own file, these policies, and what else `more` puts into the lab and `tollgate.toml`.
    pub(crate) fn begin(
        names: &[(IpAddr, &str)],
        policies: &str,
        more: impl FnOnce(&Lab) -> anyhow::Result<String>,
    ) -> anyhow::Result<Self> {
        Lab::sweep(PREFIX)?;
        sweep()?;
        let lab = Lab::enter(PREFIX, names)?;
        lab.write("policies/policies.cedar", policies)?;
        let more = more(&lab)?;
        lab.configure(&format!("[[identity]]\nid = {IDENTITY:?}\n\n{more}"))?;
        let daemon = Daemon::start(&lab)?;
        let world = Self {
            governed: Cgroup::new("governed")?,
            free: Cgroup::new("free")?,
            daemon,
            lab,
        };
        let folder = world.governed.path().to_str().context("a path")?;
        world
            .daemon
            .run(&["tag", "--as", IDENTITY, "--cgroup", folder])?
            .success()?;
        Ok(world)
    }

    /// The CA of the governed cgroup.
    pub(crate) fn ca(&self) -> anyhow::Result<String> {
        let status = self.status()?;
        let path = status["workloads"][0]["ca"].as_str().context("a CA")?;
        Ok(fs::read_to_string(path)?)
    }

    /// Refusals of the kernel part so far, by reason.
    pub(crate) fn refused(&self) -> anyhow::Result<Value> {
        Ok(self.status()?["refused"].take())
    }

    /// What `tollgate status` says.
    pub(crate) fn status(&self) -> anyhow::Result<Value> {
        let status = self.daemon.run(&["status", "--json"])?.success()?;
        Ok(serde_json::from_str(&status)?)
    }

    /// Has the doctor try these ways; the head of its report, and a row for each. The exit code agrees with the rows.
    pub(crate) fn tried(&self, ways: &[&str]) -> anyhow::Result<(Value, Vec<Value>)> {
        let mut arguments = vec!["doctor", "--escapes", "--json"];
        arguments.extend(ways.iter().flat_map(|way| ["--only", way]));
        let report = self.daemon.run(&arguments)?;
        let mut lines = report.stdout.lines().map(serde_json::from_str);
        let head = lines.next().context(report.stderr)??;
        let rows: Vec<Value> = lines.collect::<Result<_, _>>()?;
        ensure!(rows.len() == ways.len(), "{rows:#?}");
        let escaped = rows.iter().any(|row| row["verdict"] == "escaped");
        ensure!(report.status.success() != escaped, "{rows:#?}");
        Ok((head, rows))
    }

    /// Wants each of these ways to work without Tollgate, and to end in an error, soon, when it is governed.
    pub(crate) fn closed(&self, ways: &[&str]) -> anyhow::Result<Vec<Value>> {
        let rows = self.tried(ways)?.1;
        for row in &rows {
            ensure!(row["control"] == "arrived", "without Tollgate: {row}");
            ensure!(row["verdict"] == "closed", "{row}");
            ensure!(row["ms"].as_u64() < Some(1500), "a hang is no error: {row}");
        }
        Ok(rows)
    }
}

/// A service that holds a bearer token, as `tollgate.toml` has it.
pub(crate) fn held(lab: &Lab, host: &str, ca: &str, secret: &str) -> anyhow::Result<String> {
    let ca = lab.write("service-ca.pem", ca)?;
    let file = lab.write("secret", secret)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let held = format!("{{ header = \"authorization\", prefix = \"Bearer \", file = {file:?} }}");
    Ok(format!(
        "[[service]]\nname = \"held\"\nhosts = [{host:?}]\nca = {ca:?}\ncredential = {held}\n"
    ))
}

/// A cgroup of the suite; what runs in it is killed with it.
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{serial}-{name}", process::id());
        let path = cgroup_root()?.join(name);
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A program whose first instruction runs in here.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&self.0)
            .arg(program);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            eprintln!("{error:#}");
        }
    }
}

/// Removes the cgroups of runs that were killed.
fn sweep() -> anyhow::Result<()> {
    for folder in fs::read_dir(cgroup_root()?)? {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&folder.path())?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    drop(fs::write(folder.join("cgroup.kill"), "1"));
    let children = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten();
    for child in children.filter(|child| child.path().is_dir()) {
        remove(&child.path())?;
    }
    // Busy until the last killed process is gone.
    let started = Instant::now();
    while let Err(error) = fs::remove_dir(folder) {
        if started.elapsed() > tests::harness::patience(Duration::from_secs(5)) {
            bail!("cannot remove {}: {error}", folder.display());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

const PREFIX: &str = "tollgate-escape-";
