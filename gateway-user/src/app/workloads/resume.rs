//! What a daemon does with the workloads of the one before: lets go what is no longer configured, listens again for the rest.

use std::path::Path;
use std::sync::Arc;

use super::Workloads;
use crate::app::{UpError, scratch};
use crate::config::Config;
use crate::identity::Saved;
use crate::kernel::{Hold, Neighbour};
use crate::listener::Listeners;
use crate::sys::inherit::Kept;

impl Workloads {
    /// Programs of others where the hooks are.
    pub(in crate::app) fn neighbours(&self) -> Result<Vec<Neighbour>, UpError> {
        Ok(self.kernel.neighbours()?)
    }

    /// Lets go what the configuration had listed and no longer does.
    pub(super) fn retire(&self) -> Result<(), UpError> {
        for tag in self.kernel.tags()? {
            let listed = self
                .configured
                .iter()
                .any(|listed| listed.place == tag.place);
            if tag.hold == Hold::Configured && !listed {
                tracing::warn!(
                    place = %tag.place.display(),
                    "no longer configured, so no longer governed"
                );
                self.untag(&tag.place)?;
            }
        }
        Ok(())
    }

    /// Listens again for the workloads of an earlier daemon. One that nothing is tagged as may have lost its identity.
    pub(super) async fn resume(
        &self,
        saved: Vec<Saved>,
        config: &Config,
        kept: &mut Kept,
    ) -> Result<(), UpError> {
        let tags = self.kernel.tags()?;
        for saved in saved {
            let own = tags.iter().filter(|tag| tag.workload == saved.number);
            let place = own.clone().next().map(|tag| tag.place.as_path());
            let by_hand: Vec<&Path> = saved
                .places
                .iter()
                .filter(|place| !place.configured)
                .map(|place| place.path.as_path())
                .collect();
            let Some(identity) = config.identity(&saved.identity) else {
                if saved.identity == scratch::IDENTITY {
                    // Nobody plays in it any more.
                    place.map_or(Ok(()), |place| self.kernel.untag(place))?;
                } else if place.is_some() || !by_hand.is_empty() {
                    return Err(UpError::Orphan {
                        name: saved.name,
                        identity: saved.identity,
                    });
                }
                self.kernel.release(saved.number)?;
                self.gateway.registry.forget(saved.number)?;
                continue;
            };
            let listeners = Listeners::rebind(saved.v4, saved.v6, kept).await;
            let listeners = listeners.map_err(|source| UpError::Listen {
                name: saved.name.clone(),
                source,
            })?;
            let rules = self.rules(&saved.name, place)?;
            // What the configuration says now counts more than what held before.
            let listed = self.listed(&saved.name, place);
            let mode = listed.map_or(saved.mode, |listed| listed.mode);
            let limits = self.limits(&saved.name, place, identity);
            self.gateway.keeper.limit(&saved.name, limits)?;
            let workload = self.start(
                saved.number,
                saved.name,
                Arc::clone(identity),
                rules,
                listeners,
                saved.mode,
            )?;
            self.switch(&workload, mode)?;
            // After a reboot they are on record alone; what an earlier version had tagged is in the kernel alone.
            let tagged = own
                .filter(|tag| tag.hold == Hold::ByHand)
                .map(|tag| tag.place.as_path());
            for place in by_hand.into_iter().chain(tagged) {
                self.hold(place, saved.number, Hold::ByHand)?;
            }
        }
        Ok(())
    }
}
