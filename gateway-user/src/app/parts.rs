//! The processes beside this one: started before there are threads, watched to the end. When one of them ends, all do.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Pid, User};
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::answers::Answers;
use super::{UpError, adoption, certificates, credentials, proxy};
use crate::boundary::{Hello, Proxy, Tell, answer_all};
use crate::config::Config;
use crate::keeper::{Keeper, process};
use crate::sys::{exchange, launch, part, ready};

/// What the process of this name does instead of reading a command line.
#[must_use]
pub fn part(name: &OsStr) -> Option<fn() -> ExitCode> {
    [
        (process::NAME, process::main as fn() -> ExitCode),
        (proxy::NAME, proxy::main),
    ]
    .into_iter()
    .find_map(|(own, main)| (name == own).then_some(main))
}

/// Processes that have been started.
pub(super) struct Parts {
    keeper: process::Started,
    proxy: Child,
    orders: OwnedFd,
}

/// Processes that work.
pub(super) struct Working {
    keeper: Watched,
    proxy: Watched,
    /// Closed first, which tells the keeper to end.
    bond: Option<process::Bond>,
}

struct Watched {
    child: Child,
    ended: AsyncFd<OwnedFd>,
}

impl Parts {
    pub(super) fn start(environment: &[(&str, String)]) -> Result<Self, UpError> {
        let keeper = process::start(environment).map_err(failed(process::NAME))?;
        let (orders, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .map_err(|error| failed(proxy::NAME)(error.into()))?;
        let proxy = part::start(proxy::NAME, theirs, environment).map_err(failed(proxy::NAME))?;
        Ok(Self {
            keeper,
            proxy,
            orders,
        })
    }

    /// Hands over what there is to keep, then has the proxy open all it works with; returns how many policies there are.
    pub(super) fn open(
        self,
        path: &Path,
        config: &Config,
        answers: &Arc<Answers>,
    ) -> Result<(Keeper, Proxy, usize, Working), UpError> {
        let mut started = self.keeper;
        let mut descriptors = std::mem::take(&mut started.others);
        let (specs, shown) = (credentials(config), certificates(config));
        let rotation = adoption::rotation(config);
        let keeper = watched(process::NAME, started.child.id())?;
        let opened = started.open(&config.paths.state, &specs, &shown, rotation);
        let (asking, child, bond) = opened?;
        let working = Working {
            keeper: Watched {
                child,
                ended: keeper,
            },
            proxy: Watched {
                ended: watched(proxy::NAME, self.proxy.id())?,
                child: self.proxy,
            },
            bond: Some(bond),
        };
        asking.check()?;

        let (ours, theirs) = exchange::pairs(AT_ONCE).map_err(failed(proxy::NAME))?;
        answer_all(ours, answers).map_err(failed(proxy::NAME))?;
        descriptors.splice(0..0, theirs);
        let proxy = Proxy::new(self.orders).map_err(failed(proxy::NAME))?;
        let start = Tell::Start {
            config: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            user: proxy_user(),
            asks: AT_ONCE,
        };
        match proxy.start(&start, &descriptors)? {
            Hello::Ready { policies } => Ok((asking, proxy, policies, working)),
            Hello::Failed { code, message } => Err(UpError::Proxy { code, message }),
        }
    }
}

impl Working {
    /// Their names and numbers.
    pub(super) fn numbers(&self) -> [(&'static str, u32); 2] {
        [
            (process::NAME, self.keeper.child.id()),
            (proxy::NAME, self.proxy.child.id()),
        ]
    }

    /// Waits until a process ends that should not.
    pub(super) async fn ended(&self) -> UpError {
        // A process that cannot be watched counts as one that has ended.
        tokio::select! {
            _ = self.keeper.ended.readable() => UpError::PartEnded { name: process::NAME },
            _ = self.proxy.ended.readable() => UpError::PartEnded { name: proxy::NAME },
        }
    }

    /// Waits for the proxy, which has been told to stop.
    pub(super) async fn stopped(&self) {
        if timeout(STOP, self.proxy.ended.readable()).await.is_err() {
            tracing::error!("the proxy does not end, and is killed");
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        // The proxy has ended, or has to. It belongs to another user, and without CAP_KILL it ends with this process.
        if self.proxy.child.kill().is_ok() {
            drop(self.proxy.child.wait());
        }
        drop(self.bond.take());
        drop(self.keeper.child.wait());
    }
}

/// The user that the proxy becomes: `tollgate` where there is one, else a number that nobody gives out.
pub(super) fn proxy_user() -> u32 {
    let known = User::from_name("tollgate").ok().flatten();
    known.map_or(NOBODYS, |user| user.uid.as_raw())
}

/// Readable once the process has ended.
fn watched(name: &'static str, pid: u32) -> Result<AsyncFd<OwnedFd>, UpError> {
    let watch = || {
        let pid = i32::try_from(pid).map_err(io::Error::other)?;
        ready::readable(launch::pidfd(Pid::from_raw(pid))?)
    };
    watch().map_err(failed(name))
}

fn failed(name: &'static str) -> impl Fn(io::Error) -> UpError {
    move |source| UpError::Part { name, source }
}

/// A claim takes some tens of microseconds.
const AT_ONCE: usize = 4;
/// In a range that neither distributions nor systemd assign (60578 to 61183).
const NOBODYS: u32 = 61_084;
/// Longer than connections get to finish.
const STOP: Duration = Duration::from_secs(15);
