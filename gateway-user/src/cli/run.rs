//! The child's side of `tollgate run`: who the command runs as, and with which environment it starts.

use std::ffi::CString;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::{self, Gid, Uid, User};
use thiserror::Error;

use crate::trust::RunAs;

/// Why no user could be chosen for the command.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum UserError {
    /// `--user` names nobody.
    #[error("no user {0:?} on this host")]
    Unknown(String),
    /// `SUDO_UID` or `SUDO_GID` is not what sudo sets.
    #[error("{0} is not a number: pass --user")]
    NotANumber(&'static str),
    /// The user database could not be read.
    #[error("cannot look up user {0:?}: {1}")]
    Lookup(String, Errno),
}

/// The user of the command: the one `--user` names, else the one who called sudo, else `None`, which is root without
/// capabilities.
pub(super) fn user(flag: Option<&str>) -> Result<Option<RunAs>, UserError> {
    let variable = |name| std::env::var(name).ok();
    choose(
        flag,
        variable("SUDO_UID").as_deref(),
        variable("SUDO_GID").as_deref(),
    )
}

/// The user who called sudo; `None` is root itself.
pub(super) fn caller() -> Result<Option<u32>, UserError> {
    let uid = std::env::var("SUDO_UID").ok();
    let uid = uid.map(|uid| uid.parse().map_err(|_| UserError::NotANumber("SUDO_UID")));
    Ok(uid.transpose()?.filter(|uid| *uid != 0))
}

fn choose(
    flag: Option<&str>,
    sudo_uid: Option<&str>,
    sudo_gid: Option<&str>,
) -> Result<Option<RunAs>, UserError> {
    let chosen = match (flag, sudo_uid) {
        (Some(name), _) => named(name)?,
        (None, Some(uid)) => {
            let uid = uid.parse().map_err(|_| UserError::NotANumber("SUDO_UID"))?;
            let gid = sudo_gid
                .and_then(|gid| gid.parse().ok())
                .ok_or(UserError::NotANumber("SUDO_GID"))?;
            numbered(uid, gid)?
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(chosen).filter(|user| user.uid != 0))
}

/// By name, or by number where no user has that name.
fn named(name: &str) -> Result<RunAs, UserError> {
    let lookup = |error| UserError::Lookup(name.into(), error);
    let by_number = || {
        name.parse()
            .map_or(Ok(None), |uid| User::from_uid(Uid::from_raw(uid)))
    };
    let user = match User::from_name(name).map_err(lookup)? {
        Some(user) => Some(user),
        None => by_number().map_err(lookup)?,
    };
    with_groups(user.ok_or_else(|| UserError::Unknown(name.into()))?)
}

/// A user who called sudo need not be in the database that we see.
fn numbered(uid: u32, gid: u32) -> Result<RunAs, UserError> {
    let known = User::from_uid(Uid::from_raw(uid))
        .map_err(|error| UserError::Lookup(uid.to_string(), error))?;
    match known {
        Some(user) => with_groups(user),
        None => Ok(RunAs {
            uid,
            gid,
            groups: vec![gid],
            home: PathBuf::from("/"),
            name: uid.to_string(),
        }),
    }
}

fn with_groups(user: User) -> Result<RunAs, UserError> {
    let failed = |error| UserError::Lookup(user.name.clone(), error);
    let name = CString::new(user.name.as_str()).map_err(|_| failed(Errno::EINVAL))?;
    let groups = unistd::getgrouplist(&name, user.gid).map_err(failed)?;
    Ok(RunAs {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
        home: user.dir,
        name: user.name,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_flag_comes_before_sudo() {
        let daemon = choose(Some("daemon"), Some("0"), Some("0"))
            .unwrap()
            .unwrap();
        assert_eq!((daemon.uid, daemon.name.as_str()), (1, "daemon"));
        assert!(daemon.groups.contains(&daemon.gid));
        assert_eq!(choose(Some("1"), None, None).unwrap(), Some(daemon));
    }

    #[test]
    fn sudo_comes_before_root() {
        assert_eq!(
            choose(None, Some("1"), Some("1")).unwrap().unwrap().name,
            "daemon"
        );
        let stranger = choose(None, Some("3999999"), Some("7")).unwrap().unwrap();
        assert_eq!(
            (stranger.uid, stranger.gid, stranger.groups),
            (3_999_999, 7, vec![7])
        );
        assert_eq!(choose(None, None, None), Ok(None));
        assert_eq!(
            choose(Some("root"), Some("1"), Some("1")),
            Ok(None),
            "root is root without capabilities"
        );
        assert_eq!(choose(None, Some("0"), Some("0")), Ok(None));
    }

    #[test]
    fn nobody_is_an_error() {
        assert_eq!(
            choose(Some("no-such-user"), None, None),
            Err(UserError::Unknown("no-such-user".into()))
        );
        assert_eq!(
            choose(None, Some("x"), Some("1")),
            Err(UserError::NotANumber("SUDO_UID"))
        );
        assert_eq!(
            choose(None, Some("1"), None),
            Err(UserError::NotANumber("SUDO_GID"))
        );
    }
}
