//! Launches when a CA is followed by the next: they brought what they trust from their beginning, and it is renewed in place.

use std::sync::PoisonError;
use std::time::Instant;

use super::cas::Given;
use super::{AGAIN, Adoption};
use crate::app::launches;
use crate::trust::adopt;

/// What a launch has: these CAs, or since when it could not be renewed.
pub(super) enum Launched {
    Given(Vec<String>),
    Failed(Instant),
}

impl Adoption {
    /// Renews what launches were given. One that is being made has nothing yet and is looked at again.
    pub(super) fn tend_launches(&self, who: &str, cas: &Given) {
        let Ok(folder) = launches::folder(&self.paths) else {
            return;
        };
        let run = std::fs::canonicalize(&self.paths.run);
        let run = run.unwrap_or_else(|_| self.paths.run.clone());
        let mut launched = self.launched.lock().unwrap_or_else(PoisonError::into_inner);
        launched.retain(|launch, _| launch.exists());
        for launch in launches::below(&folder.join(who)) {
            match launched.get(&launch) {
                Some(Launched::Given(had)) if *had == cas.hashes => continue,
                Some(Launched::Failed(since)) if since.elapsed() < AGAIN => continue,
                _ => {}
            }
            let Some(id) = launch.file_name() else {
                continue;
            };
            let scratch = run.join(id);
            let renewed = adopt::members(&launch).into_iter();
            let mut renewed = renewed
                .map(|pid| adopt::renew_launch(pid, &cas.pem, &scratch))
                .filter_map(Result::transpose);
            match renewed.next() {
                None => {}
                Some(Ok(files)) => {
                    if files > 0 {
                        tracing::info!(launch = %launch.display(), files, "its CAs are others now; what it was given is renewed");
                    }
                    launched.insert(launch, Launched::Given(cas.hashes.clone()));
                }
                Some(Err(error)) => {
                    tracing::warn!(launch = %launch.display(), %error, "it refuses the gateway once the next CA signs");
                    launched.insert(launch, Launched::Failed(Instant::now()));
                }
            }
        }
    }
}
