//! `tollgate trust unit`: the drop-in that gives a service a view of its own.
//!
//! The unit gets private mounts; the daemon puts the CA into them when it sees the service, and its variables name the system's bundle, which is
//! there with and without Tollgate. A variable that the unit has itself stays: the daemon puts the CA into the file that it names as well.

mod own;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::own::Own;
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
    /// Also for a unit that is not there yet
    #[arg(long, requires = "write")]
    force: bool,
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
    let own = own::read(&unit, &flags.folder, FILE);
    if !own.exists {
        let message = format!("there is no unit {name}");
        if flags.write && !flags.force {
            let hint = "its drop-in is written all the same with --force";
            return Err(failure(9, format!("{message}: {hint}")));
        }
        out::complain(message);
    }
    if let Some(reason) = &own.unsure {
        out::complain(format_args!(
            "{reason}: a variable of the drop-in may come before one that {name} has itself"
        ));
    }
    let (text, kept) = drop_in(&own);
    if !kept.is_empty() {
        out::complain(format_args!("{name} has {}: {KEPT}", kept.join(", ")));
    }
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

/// Its text, and the variables that are left out because the unit has them.
fn drop_in(own: &Own) -> (String, Vec<String>) {
    let bundle = BUNDLES.iter().find(|path| PathBuf::from(path).exists());
    let of_unit = |pair: &String| {
        let name = pair.split('=').next().unwrap_or_default();
        own.names.contains(name)
    };
    let (kept, set): (Vec<String>, Vec<String>) =
        variables_naming(bundle.unwrap_or(&BUNDLE)).partition(of_unit);
    let names = kept.iter().filter_map(|pair| pair.split('=').next());
    let kept: Vec<String> = names.map(str::to_owned).collect();
    let comments = kept.iter();
    let comments = comments.map(|name| format!("# {name} is not set here: {KEPT}\n"));
    let comments: String = comments.collect();
    let set = set.iter().map(|pair| format!("Environment={pair}\n"));
    let set: String = set.collect();
    let text = format!(
        "# Written by `tollgate trust unit`. The service sees mounts of its own, into which Tollgate puts the CA of its workload.\n\
         {comments}[Service]\nPrivateMounts=yes\n{set}"
    );
    (text, kept)
}

/// What is said of a variable that the unit has.
const KEPT: &str =
    "what the unit has itself stays, and Tollgate puts the CA into the file that it names";

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
        let (text, kept) = drop_in(&Own::default());
        assert!(text.contains("\nPrivateMounts=yes\n"));
        assert!(text.contains("\nEnvironment=NODE_EXTRA_CA_CERTS=/etc/"));
        assert!(!text.contains("NODE_OPTIONS") && !text.contains("PGSSLROOTCERT"));
        assert!(kept.is_empty());
    }

    #[test]
    fn a_variable_that_the_unit_has_is_left_to_it() {
        let own = Own {
            names: ["SSL_CERT_FILE", "PATH"].map(str::to_owned).into(),
            ..Own::default()
        };
        let (text, kept) = drop_in(&own);
        assert!(!text.contains("Environment=SSL_CERT_FILE="), "{text}");
        assert!(
            text.contains("\n# SSL_CERT_FILE is not set here: "),
            "{text}"
        );
        assert!(text.contains("\nEnvironment=REQUESTS_CA_BUNDLE="), "{text}");
        assert_eq!(kept, ["SSL_CERT_FILE"]);
    }
}
