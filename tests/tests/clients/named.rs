//! Files of certificates that variables of the caller name: launches, and what is tagged, have what they hold, and the CA; one that
//! cannot be read is told.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use tests::harness::{WAIT, finish};

use crate::{
    adopted::{all, ask, start},
    cgroup::Cgroup,
    world::{IDENTITY, World, clients, python},
};

const NAME: &str = "named.trust.test";

/// A folder below /run, of which a launch has its own.
struct Below(PathBuf);

impl Below {
    fn new() -> anyhow::Result<Self> {
        let folder = PathBuf::from(format!("/run/tollgate-test-{}", std::process::id()));
        fs::create_dir_all(folder.join("folder"))?;
        Ok(Self(folder))
    }

    fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn what_a_variable_names_below_run_is_kept_and_what_cannot_be_read_is_told() -> anyhow::Result<()> {
    let world = World::new()?;
    let below = Below::new()?;
    let corp = world.upstream.authority.pem().trim().to_owned();
    let file = below.file("corp.pem", &corp)?;
    below.file("folder/corp.pem", &corp)?;
    let missing = below.0.join("missing.pem").display().to_string();
    let folder = below.0.join("folder").display().to_string();
    let named = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "npm_config_cafile"];
    for name in named {
        let mut command = world.daemon.tagged(IDENTITY, "sh");
        command.env(name, &file).env("SSL_CERT_DIR", &folder);
        command
            .env("PIP_CERT", &missing)
            .env("AWS_CA_BUNDLE", &missing);
        let print = format!("cat \"${name}\"; echo =; cat \"${{SSL_CERT_DIR%%:*}}/corp.pem\"");
        let finished = finish(command.args(["-c", &print]), "", WAIT)?;
        let stderr = finished.stderr.clone();
        let printed = finished.success()?;
        let (bundle, listed) = printed.split_once("\n=\n").context("nothing printed")?;
        ensure!(
            bundle.contains(&corp) && bundle.matches("BEGIN").count() == 2,
            "{name}: {bundle}"
        );
        ensure!(listed.contains(&corp), "{listed}");
        ensure!(
            stderr.matches(&missing).count() == 1
                && stderr.contains("AWS_CA_BUNDLE, PIP_CERT")
                && !stderr.contains(&file),
            "{stderr}"
        );
    }
    Ok(())
}

#[test]
fn what_a_variable_of_a_running_process_names_has_the_ca_too() -> anyhow::Result<()> {
    let cgroup = Cgroup::new("named")?;
    let world = World::with(&[NAME], "")?;
    let script = clients("trust/kept.py").display().to_string();
    let (private, _) = world
        .upstream
        .authority
        .certificate(&["a.test".to_owned()])?;
    let private = private.pem();
    let file = world.lab.write("private.pem", &private)?;
    let set = format!("REQUESTS_CA_BUNDLE={}", file.display());
    let own = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "env",
        &set,
    ];
    let mut agent = start(&cgroup, &own, &[&*python()?, &script, NAME])?;
    assert_eq!(ask(&mut agent)?, all("untrusted"));

    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    assert_eq!(ask(&mut agent)?, all(200), "{}", world.daemon.log());
    let seen = |pid: u32| {
        let below = file.strip_prefix("/").unwrap_or(&file).to_owned();
        fs::read_to_string(Path::new(&format!("/proc/{pid}/root")).join(below))
    };
    let inside = seen(agent.pid())?;
    ensure!(
        inside.starts_with(&private) && inside.len() > private.len(),
        "{inside}"
    );
    assert_eq!(fs::read_to_string(&file)?, private);

    world
        .daemon
        .run(&["untag", "--cgroup", cgroup.folder()?])?
        .success()?;
    assert_eq!(seen(agent.pid())?, private);
    Ok(())
}
