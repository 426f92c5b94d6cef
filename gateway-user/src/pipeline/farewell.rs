//! The end of an HTTP/1 connection on which an upgrade was asked for and not made.
//!
//! hyper leaves such a connection to whoever waits for the upgrade: dropped, it would end without TLS's goodbye, which libraries take
//! for an attack.

use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use crate::tasks::Tasks;

/// The upgrade that a request asked for; whoever does not take it says goodbye in its place. It lies among the request's extensions.
#[derive(Clone)]
pub(super) struct Upgrade(Arc<Farewell>);

struct Farewell {
    upgrade: Mutex<Option<OnUpgrade>>,
    tasks: Tasks,
}

impl Upgrade {
    /// Takes care of the upgrade that a request asks for, if it does.
    pub(super) fn keep(extensions: &mut Extensions, tasks: &Tasks) {
        if let Some(upgrade) = extensions.remove::<OnUpgrade>() {
            extensions.insert(Self(Arc::new(Farewell {
                upgrade: Mutex::new(Some(upgrade)),
                tasks: tasks.clone(),
            })));
        }
    }

    /// The upgrade, which is then the caller's.
    pub(super) fn take(&self) -> Option<OnUpgrade> {
        self.0.take()
    }
}

impl Farewell {
    fn take(&self) -> Option<OnUpgrade> {
        let mut upgrade = self.upgrade.lock().unwrap_or_else(PoisonError::into_inner);
        upgrade.take()
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let Some(upgrade) = self.take() else { return };
        self.tasks.spawn(async move {
            if let Ok(connection) = upgrade.await {
                drop(TokioIo::new(connection).shutdown().await);
            }
        });
    }
}
