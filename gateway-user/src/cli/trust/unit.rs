//! `tollgate trust unit`: the drop-in that gives a service a view of its own.
//!
//! The unit gets private mounts; the daemon puts the CA into them when it sees the service, and its variables name the system's bundle, which is
//! there with and without Tollgate.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::super::{Common, Failure, out};
use super::{BUNDLE, failure};
use crate::trust::variables_naming;

#[derive(Args)]
pub(crate) struct Unit {
    /// The unit
    name: String,
    /// Put it where systemd reads it
    #[arg(long)]
    write: bool,
    /// Below this folder
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/etc/systemd/system",
        hide = true
    )]
    folder: PathBuf,
}

pub(super) fn unit(_common: &Common, flags: &Unit) -> Result<ExitCode, Failure> {
    let unit =
        crate::unit::Unit::parse(&flags.name).map_err(|error| failure(2, error.to_string()))?;
    let name = unit.name();
    if !name.ends_with(".service") {
        return Err(failure(
            2,
            format!("{name} is no service, and only services have mounts of their own"),
        ));
    }
    let text = drop_in();
    if !flags.write {
        out::print(text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = flags.folder.join(format!("{name}.d"));
    let path = folder.join(FILE);
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, text));
    written.map_err(|error| failure(5, format!("cannot write {}: {error}", path.display())))?;
    out::line(format_args!("wrote {}", path.display()))?;
    out::line(format_args!(
        "next: systemctl daemon-reload && systemctl restart {name}"
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn drop_in() -> String {
    let bundle = BUNDLES.iter().find(|path| PathBuf::from(path).exists());
    let variables: String = variables_naming(bundle.unwrap_or(&BUNDLE))
        .map(|pair| format!("Environment={pair}\n"))
        .collect();
    format!(
        "# Written by `tollgate trust unit`. The service sees mounts of its own, into which Tollgate puts the CA of its workload.\n\
         [Service]\nPrivateMounts=yes\n{variables}"
    )
}

const FILE: &str = "50-tollgate-trust.conf";

const BUNDLES: &[&str] = &[
    BUNDLE,
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drop_in_gives_mounts_and_additive_variables() {
        let text = drop_in();
        assert!(text.contains("\nPrivateMounts=yes\n"));
        assert!(text.contains("\nEnvironment=NODE_EXTRA_CA_CERTS=/etc/"));
        assert!(!text.contains("NODE_OPTIONS") && !text.contains("PGSSLROOTCERT"));
    }
}
