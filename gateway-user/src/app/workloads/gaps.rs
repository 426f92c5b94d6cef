//! What hooks cannot judge in the workloads, and who has accepted it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::Workloads;
use crate::app::{UpError, containment};
use crate::config::Mode;
use crate::identity::{Acceptance, Workload};
use crate::kernel::{Gap, Hold};
use crate::record::Time;
use crate::trust::adopt;

/// How something is to be governed.
pub(in crate::app) struct Wanted {
    /// What the tag holds on to.
    pub(in crate::app) hold: Hold,
    pub(in crate::app) mode: Mode,
    pub(in crate::app) accepted: Option<Accepted>,
}

/// What somebody accepts although hooks cannot judge it.
pub(in crate::app) struct Accepted {
    /// The user who does.
    pub(in crate::app) by: u32,
    pub(in crate::app) found: Vec<Gap>,
}

impl Workloads {
    /// Number of processes below a folder.
    pub(in crate::app) fn processes(&self, folder: &Path) -> Result<usize, UpError> {
        Ok(self.kernel.processes(folder)?)
    }

    /// The processes at this place.
    pub(in crate::app) fn members(&self, place: &Path) -> BTreeSet<u32> {
        adopt::members(&self.kernel.folder(place))
    }

    /// What hooks cannot judge in a place, tagged or not. Blocks for a moment.
    pub(in crate::app) async fn gaps(&self, place: &Path) -> Result<Vec<Gap>, UpError> {
        let tags = self.kernel.tags()?;
        let tagged = tags.into_iter().find(|tag| tag.place == place);
        let (kernel, place) = (self.kernel.clone(), place.to_owned());
        let looking = tokio::task::spawn_blocking(move || {
            let workload = tagged.map(|tag| tag.workload);
            containment::whole(|after| kernel.survey(&place, workload, after))
        });
        Ok(looking.await.map_err(|_| UpError::Ended)??)
    }

    /// The same of a process with its descendants; refuses one that cannot be taken in.
    pub(in crate::app) fn gaps_of(&self, pid: u32) -> Result<Vec<Gap>, UpError> {
        self.kernel.check_process(pid)?;
        Ok(containment::whole(|after| {
            Ok(self.kernel.survey_process(pid, after))
        })?)
    }

    /// Puts on record what somebody accepts.
    pub(super) fn accept(
        &self,
        workload: &Workload,
        place: &Path,
        accepted: Option<Accepted>,
    ) -> Result<(), UpError> {
        let Some(Accepted { by, found }) = accepted else {
            return Ok(());
        };
        for gap in &found {
            tracing::warn!(workload = workload.name, uid = by, %gap, "accepted although hooks cannot contain it");
        }
        let acceptance = Acceptance {
            path: place.to_owned(),
            uid: by,
            at: Time::now().to_string(),
            found,
        };
        Ok(self.gateway.registry.accept(workload.number, acceptance)?)
    }

    /// Who has accepted what, as `status --json` shows it.
    pub(in crate::app) fn accepted(&self, workload: &Workload, places: &[&Path]) -> Vec<Value> {
        let by_hand = self.gateway.registry.accepted(workload.number).into_iter();
        let by_hand = by_hand.filter(|accepted| places.contains(&accepted.path.as_path()));
        let by_hand = by_hand.map(|accepted| {
            json!({
                "path": accepted.path,
                "by": format!("uid {}", accepted.uid),
                "at": accepted.at,
                "found": accepted.found.iter().map(Gap::to_string).collect::<Vec<_>>(),
            })
        });
        let configured = self
            .configured
            .iter()
            .filter(|listed| listed.accept_uncontained && places.contains(&listed.place.as_path()));
        let configured =
            configured.map(|listed| json!({"path": listed.place, "by": "configuration"}));
        by_hand.chain(configured).collect()
    }
}
