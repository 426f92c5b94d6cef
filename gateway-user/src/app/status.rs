//! What is tagged, by what rule, and how it stands: a row of `tollgate status` for each workload.

use std::path::Path;

use serde_json::{Value, json};

use super::Daemon;
use super::control::{Refused, failed};
use super::workloads::{Governed, ON_HOST};
use crate::identity::Workload;
use crate::kernel::{Containment, Hold, Tagged};

impl Daemon {
    /// One workload with its tags.
    pub(super) fn workload_row(&self, governed: &Governed) -> Result<Value, Refused> {
        let (workload, tags) = governed;
        // The name says what was tagged: a cgroup, a unit, a process or launches.
        let rule = workload.name.split(':').next().unwrap_or_default();
        let rows = tags
            .iter()
            .map(|tag| self.tag_row(rule, tag))
            .collect::<Result<Vec<_>, _>>()?;
        let places: Vec<&Path> = tags.iter().map(|tag| tag.place.as_path()).collect();
        let folders = tags
            .iter()
            .filter_map(|tag| Some(&tag.here.as_ref()?.folder));
        let (level, launches) = self.launch_rows(workload, rule, tags);
        Ok(json!({
            "name": workload.name,
            "identity": workload.identity.id,
            "rule": rule,
            "mode": workload.mode.get(),
            "containment": level.shown(self.gateway.containment),
            "launches": launches,
            "listener": workload.v4,
            "listener6": workload.v6,
            "number": workload.number,
            "ca": super::ca_file(&self.config.paths, workload),
            "cas": self.adoption.authorities(workload),
            "next_ca_at": self.config.trust.next_at,
            "mounts": super::adoption::source(&self.config.paths),
            "trust": self.adoption.rows(workload.number),
            "opened": self.adoption.opened_rows(workload.number),
            "cgroups": folders.collect::<Vec<_>>(),
            "tags": rows,
            "uncontained": self.watch.rows(places.iter().copied()),
            "accepted": self.workloads.accepted(workload, &places),
        }))
    }

    /// The launches of a workload, and how it is contained: as the weakest of them.
    fn launch_rows(
        &self,
        workload: &Workload,
        rule: &str,
        tags: &[Tagged],
    ) -> (Containment, Vec<Value>) {
        // What the next one will be.
        let usual = match rule {
            "run" if !workload.name.ends_with(ON_HOST) => Containment::Construction,
            _ => Containment::Hooks,
        };
        if rule != "run" {
            return (usual, Vec::new());
        }
        let folders: Vec<_> = (tags.iter())
            .filter_map(|tag| Some(tag.here.as_ref()?.folder.as_path()))
            .collect();
        let mut launches = self.workloads.launched();
        launches.retain(|launch| {
            launch
                .parent()
                .is_some_and(|above| folders.contains(&above))
        });
        let levels = launches
            .iter()
            .map(|launch| self.workloads.containment(launch));
        let weakest = levels.min().unwrap_or(usual);
        let rows = launches.iter().map(|launch| {
            json!({
                "id": launch.file_name().map(|name| name.to_string_lossy()),
                "containment": self.workloads.containment(launch).shown(self.gateway.containment),
            })
        });
        (weakest, rows.collect())
    }

    fn tag_row(&self, rule: &str, tag: &Tagged) -> Result<Value, Refused> {
        let by = match tag.hold {
            Hold::Configured => "configuration",
            Hold::ByHand => "hand",
            Hold::Cgroup if rule == "pid" => "hand",
            Hold::Cgroup => "launch",
        };
        let (state, processes) = match &tag.here {
            None => ("absent", 0),
            Some(here) => {
                let processes = self.workloads.processes(&here.folder);
                let state = if here.egress { "governed" } else { "closed" };
                (state, processes.map_err(|error| failed(&error))?)
            }
        };
        Ok(json!({
            "path": tag.place,
            "by": by,
            "state": state,
            "processes": processes,
            "egress": tag.here.as_ref().is_some_and(|here| here.egress),
        }))
    }
}
