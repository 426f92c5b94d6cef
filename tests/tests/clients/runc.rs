//! Containers of runc: the host's programs under a root of their own, read-only, with a user that is not root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{
    cgroup::Cgroup,
    world::{Conversation, World, clients, python},
};
use tests::harness::{WAIT, cgroup_root, finish};

/// A container; it ends with this.
pub(crate) struct Container {
    pub(crate) agent: Conversation,
    /// What its image holds.
    pub(crate) root: PathBuf,
    /// Its cgroup.
    pub(crate) cgroup: PathBuf,
    id: String,
    runtime: PathBuf,
}

/// What a container is to run, and what else of the host's it sees.
pub(crate) struct Image<'a> {
    pub(crate) name: &'a str,
    pub(crate) program: &'a [String],
    pub(crate) seen: &'a [PathBuf],
    /// With the device of `tollgate trust cdi`.
    pub(crate) device: bool,
}

impl Container {
    /// Starts one below a cgroup.
    pub(crate) fn start(world: &World, cgroup: &Cgroup, image: &Image<'_>) -> anyhow::Result<Self> {
        let place = cgroup.0.strip_prefix(cgroup_root()?)?.display().to_string();
        let id = format!("tollgate-test-{}-{}", std::process::id(), image.name);
        let folder = bundle(world, &format!("/{place}/{id}"), image)?;
        let runtime = world.lab.path("runtime");
        let mut run = runc(&runtime);
        let agent = Conversation::start(run.args(["run", "--bundle"]).arg(&folder).arg(&id))?;
        Ok(Self {
            agent,
            root: folder.join("rootfs"),
            cgroup: cgroup.0.join(&id),
            id,
            runtime,
        })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut delete = runc(&self.runtime);
        drop(finish(
            delete.args(["delete", "--force", &self.id]),
            "",
            WAIT,
        ));
    }
}

fn runc(runtime: &Path) -> Command {
    let mut command = Command::new("runc");
    command.arg("--root").arg(runtime);
    command
}

/// A bundle whose root is the host's, read-only, but for what a container has of its own.
fn bundle(world: &World, cgroup: &str, image: &Image<'_>) -> anyhow::Result<PathBuf> {
    let folder = world.lab.path(&format!("bundle-{}", image.name));
    let root = folder.join("rootfs");
    for name in ["etc/ssl/certs/java", "proc", "dev", "usr", "root", "work"] {
        fs::create_dir_all(root.join(name))?;
    }
    for name in ["bin", "lib", "lib64", "sbin"] {
        let target = fs::read_link(Path::new("/").join(name))?;
        std::os::unix::fs::symlink(target, root.join(name))?;
    }
    for file in [
        "etc/ssl/certs/ca-certificates.crt",
        "etc/ssl/certs/java/cacerts",
        "etc/ssl/openssl.cnf",
    ] {
        fs::copy(Path::new("/").join(file), root.join(file))?;
    }
    fs::copy(world.lab.path("hosts"), root.join("etc/hosts"))?;
    let python = python()?;
    let base = fs::canonicalize(&python)?;
    let base = base.ancestors().nth(2).context("a prefix")?.to_owned();
    let environment = Path::new(&python).ancestors().nth(2);
    let environment = environment.context("a prefix")?.to_owned();
    let mounted = |path: &Path| json!({"destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"]});
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}),
        mounted(Path::new("/usr")),
        mounted(&environment),
        mounted(&clients("trust")),
    ];
    if !base.starts_with("/usr") {
        mounts.push(mounted(&base));
    }
    mounts.extend(image.seen.iter().map(|path| mounted(path)));
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 1000, "gid": 1000},
            "args": image.program,
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": mounts,
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}],
        },
    });
    if image.device {
        give_device(world, &mut config)?;
    }
    fs::write(folder.join("config.json"), config.to_string())?;
    Ok(folder)
}

/// What a runtime that knows CDI makes of the device.
fn give_device(world: &World, config: &mut Value) -> anyhow::Result<()> {
    let specification = world.daemon.run(&["trust", "cdi"])?.success()?;
    let specification: Value = serde_json::from_str(&specification)?;
    let edits = &specification["devices"][0]["containerEdits"];
    let variables = edits["env"].as_array().context("no variables")?.clone();
    let environment = config["process"]["env"].as_array_mut();
    environment.context("no environment")?.extend(variables);
    // It finds the daemon by what the specification says alone.
    let hook = edits["hooks"][0].clone();
    ensure!(hook["hookName"] == "createRuntime", "{hook}");
    config["hooks"] = json!({"createRuntime": [hook]});
    Ok(())
}
