//! Before a command starts it looks whether what it is to trust is in place; where it is not, nothing starts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use gateway_user::trust::{Launch, LaunchError, launch};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

use crate::cgroup::Cgroup;

/// Launches a program that leaves a file behind, without a daemon; some paths are empty for it.
fn launched(
    cgroup: &Cgroup,
    folder: &Path,
    hide: Vec<PathBuf>,
) -> anyhow::Result<Result<u8, LaunchError>> {
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    name.push(DnType::OrganizationName, "Tollgate");
    name.push(DnType::CommonName, "Tollgate CA for agent");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = params.self_signed(&KeyPair::generate()?)?.pem();
    let run = folder.join("run");
    fs::create_dir_all(&run)?;
    let trace = folder.join("started");
    let command = ["touch".into(), trace.clone().into_os_string()];
    let launched = launch(
        Launch {
            ca_pem,
            cgroup: cgroup.0.clone(),
            user: None,
            command: command.into(),
            environment: std::env::vars_os()
                .filter(|(name, _)| name == "PATH")
                .collect(),
            untouched: Vec::new(),
            env_extra: Vec::new(),
            hide,
            scratch: run.join("launch"),
            network: None,
            substitute: false,
        },
        |_| {},
        |_| {},
    );
    assert_eq!(trace.exists(), launched.is_ok(), "{launched:?}");
    Ok(launched)
}

#[test]
fn a_launch_whose_ca_is_not_in_place_does_not_start() -> anyhow::Result<()> {
    let cgroup = Cgroup::new("probed")?;
    let made = tempfile::tempdir_in("/var/tmp")?;
    let folder = fs::canonicalize(made.path())?;
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    // The control: with all in place it starts.
    assert_eq!(
        launched(&cgroup, &folder, Vec::new())?.context("the control run")?,
        0
    );
    fs::remove_file(folder.join("started"))?;

    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    let union = folder.join("run/launch/union.pem");
    for hidden in [Path::new(bundle), &union] {
        let refused = launched(&cgroup, &folder, vec![hidden.to_owned()])?;
        let error = refused.err().context("it started")?;
        let said = format!("{} does not have the CA", hidden.display());
        assert!(error.to_string().starts_with(&said), "{error}");
        assert_eq!(error.code(), 1);
    }
    let folders = vec!["/etc/ssl/certs".into()];
    let error = launched(&cgroup, &folder, folders)?
        .err()
        .context("it started")?;
    let said = format!("{bundle} cannot be read as the command's user");
    assert!(error.to_string().starts_with(&said), "{error}");
    Ok(())
}
