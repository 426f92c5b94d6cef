//! Tagging and untagging cgroups, and what a new daemon does with the tags it finds.
//!
//! Order when tagging: the egress program first, then the tag, then the lineage of every task that is already there, walked twice, because
//! a task that forks during the first walk can hide its child from it. From the moment the tag stands, forks inherit.
//! Then what was open before is ended ([`super::sever`]).

use std::{fs::File, io, path::PathBuf};

use gateway_common::scope::{Lineage, Tag, slot};

use super::{
    cgroup::{self, Cgroup},
    error::KernelError,
    host,
    maps::Maps,
    pins::{self, Pins},
    process,
    programs::Programs,
};

/// The parts that tagging works on.
pub(super) struct State {
    pub(super) programs: Programs,
    pub(super) maps: Maps,
    pub(super) pins: Pins,
    pub(super) mount: PathBuf,
    /// Everything has been taken down.
    pub(super) over: bool,
}

impl State {
    /// Tags one cgroup, not its path; tagging it again for the same workload walks its tasks again.
    pub(super) fn tag(&mut self, cgroup: &Cgroup, workload: u32) -> Result<(), KernelError> {
        let place = cgroup::place(&self.mount, &cgroup.path)?;
        self.check_tag(&place, workload)?;
        self.check_own(cgroup)?;
        let result = self.take_over(cgroup, workload);
        if result.is_err() {
            // Nothing half tagged; the first error is the one to report.
            let _ = self.untag(cgroup.id);
        }
        result
    }

    /// Refuses the cgroup that Tollgate itself runs in.
    pub(super) fn check_own(&self, cgroup: &Cgroup) -> Result<(), KernelError> {
        let daemon = u32::try_from(self.maps.fact(slot::DAEMON)?).unwrap_or(0);
        if [daemon, host::own_pid()]
            .iter()
            .any(|pid| cgroup.holds(&self.mount, *pid))
        {
            return Err(KernelError::BadCgroup {
                path: cgroup.path.clone(),
                reason: "it holds Tollgate itself; run the daemon in another cgroup",
            });
        }
        Ok(())
    }

    /// Takes a tag away: first the tag, then the lineage that came from it, then the egress program.
    pub(super) fn untag(&mut self, cgroup: u64) -> Result<(), KernelError> {
        self.maps.remove_tag(cgroup)?;
        self.unmark(|lineage| lineage.cgroup == cgroup)?;
        let pin = self.pins.egress(cgroup);
        pins::unpin_link(&pin).map_err(|source| KernelError::Pins { path: pin, source })?;
        self.maps.switch()
    }

    /// Takes lineages away. Whoever carries one forks meanwhile; without a tag their number only shrinks.
    pub(super) fn unmark(&mut self, such: impl Fn(&Lineage) -> bool) -> Result<(), KernelError> {
        for _ in 0..MAX_PASSES {
            let marked = self.maps.descendants(&such)?;
            if marked.is_empty() {
                return Ok(());
            }
            for tgid in marked {
                self.maps.remove_lineage(tgid)?;
            }
        }
        let left = self.maps.descendants(such)?.len();
        Err(KernelError::ForkStorm { left })
    }

    /// Every tag whose cgroup is still there. Who left a cgroup that was then removed keeps its lineage, and gets nothing; its sockets keep
    /// the egress program, which is dropped with the tag when the last of them is closed.
    pub(super) fn present(&mut self) -> Result<Vec<(PathBuf, u64, Tag)>, KernelError> {
        let tags = self.maps.tags()?;
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let mut paths = cgroup::paths(&self.mount).map_err(|source| KernelError::Tasks {
            path: self.mount.clone(),
            source,
        })?;
        let mut present = Vec::new();
        for (id, tag) in tags {
            match paths.remove(&id) {
                Some(path) => present.push((path, id, tag)),
                None => {
                    let pin = self.pins.egress(id);
                    if self.programs.keeps_egress(&pin)? {
                        continue;
                    }
                    self.maps.remove_tag(id)?;
                    pins::unpin_link(&pin)
                        .map_err(|source| KernelError::Pins { path: pin, source })?;
                }
            }
        }
        self.maps.switch()?;
        Ok(present)
    }

    /// Is this thread group marked, or in a tagged cgroup?
    pub(super) fn governs(&mut self, tgid: u32) -> Result<bool, KernelError> {
        if self.maps.has_lineage(tgid)? {
            return Ok(true);
        }
        let tagged = self.present()?;
        Ok(tagged
            .into_iter()
            .any(|(path, id, _)| Cgroup { path, id }.holds(&self.mount, tgid)))
    }

    /// Does this thread group run, and is it not governed? Of one that is ending or gone nobody can say so: its marks go first.
    pub(super) fn is_free(&mut self, tgid: u32) -> Result<bool, KernelError> {
        let governed = self.governs(tgid)?;
        Ok(!governed && process::look(tgid).is_some_and(|process| process.runs))
    }

    /// Puts this daemon's egress program where an earlier daemon had tagged.
    pub(super) fn adopt(&mut self) -> Result<(), KernelError> {
        for (path, id, tag) in self.present()? {
            if tag.egress != 0 {
                self.attach_egress(&Cgroup { path, id })?;
            }
        }
        self.settle()?;
        self.maps.switch()
    }

    /// Governs a cgroup, and ends what was open in it when nobody governed it.
    pub(super) fn take_over(&mut self, cgroup: &Cgroup, workload: u32) -> Result<(), KernelError> {
        let before = self.maps.tag(cgroup.id)?;
        self.govern_cgroup(cgroup, workload)?;
        match before {
            Some(_) => Ok(()),
            None => self.sever(cgroup, workload),
        }
    }

    pub(super) fn govern_cgroup(
        &mut self,
        cgroup: &Cgroup,
        workload: u32,
    ) -> Result<(), KernelError> {
        self.attach_egress(cgroup)?;
        self.maps.set_tag(
            cgroup.id,
            Tag {
                workload,
                egress: 1,
            },
        )?;
        for _ in 0..2 {
            self.mark_tasks(cgroup, workload)?;
        }
        Ok(())
    }

    pub(super) fn attach_egress(&mut self, cgroup: &Cgroup) -> Result<(), KernelError> {
        let folder = File::open(&cgroup.path).map_err(|_| KernelError::NoCgroup {
            path: cgroup.path.clone(),
        })?;
        self.programs
            .attach_egress(&folder, &self.pins.egress(cgroup.id))
    }

    /// Marks every thread group that has a task in the subtree.
    fn mark_tasks(&mut self, cgroup: &Cgroup, workload: u32) -> Result<(), KernelError> {
        let failed = |source: io::Error| KernelError::Tasks {
            path: cgroup.path.clone(),
            source,
        };
        for tgid in cgroup.members().map_err(failed)? {
            let Some(before) = process::look(tgid) else {
                continue;
            };
            self.maps.set_lineage(
                tgid,
                Lineage {
                    cgroup: cgroup.id,
                    workload,
                    pad: 0,
                },
            )?;
            // Ended meanwhile: nobody would remove the mark, and the number may be somebody else's by now.
            if process::look(tgid)
                .filter(|after| after.alive && after.start == before.start)
                .is_none()
            {
                self.maps.remove_lineage(tgid)?;
            }
        }
        Ok(())
    }
}

/// Passes over the marked tasks of a cgroup that is being let go, before it is said that they multiply too fast.
const MAX_PASSES: u32 = 1000;
