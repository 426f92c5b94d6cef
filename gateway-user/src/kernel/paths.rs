//! Tags by path: whatever cgroup is at a path now, and whatever is made there later, belongs to a workload.
//!
//! The kernel tags a new cgroup by itself, daemon or not ([`gateway_common::path`]); what is left to a daemon is the egress program, which it
//! attaches when it hears of the cgroup or when it starts. Order when tagging: the path first, then whatever is there already, so that
//! a cgroup that appears meanwhile is tagged by one or the other.

use std::path::{Path, PathBuf};

use gateway_common::scope::{PathTag, origin};

use super::{
    cgroup::{self, Cgroup},
    error::KernelError,
    tagging::State,
};

/// What a tag holds on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The path, because the configuration lists it.
    Configured,
    /// The path, because somebody asked for it.
    ByHand,
    /// The one cgroup that was tagged; what is made in its place is another.
    Cgroup,
}

/// A tag as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Path of the cgroup from the root of the hierarchy.
    pub place: PathBuf,
    /// Whose it is.
    pub workload: u32,
    /// What the tag holds on to.
    pub hold: Hold,
    /// The cgroup, if there is one now.
    pub here: Option<Here>,
}

/// A tagged cgroup that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here {
    /// Its folder.
    pub folder: PathBuf,
    /// The egress program is attached. Until it is, no socket can be made there.
    pub egress: bool,
}

impl State {
    /// Tags a place. What is there already is governed at once, with its processes.
    pub(super) fn tag_place(
        &mut self,
        place: &Path,
        workload: u32,
        hold: Hold,
    ) -> Result<(), KernelError> {
        let key = cgroup::key(place)?;
        self.check_tag(place, workload)?;
        let before = self.maps.path_tag(&key)?;
        let origin = match hold {
            Hold::Configured => origin::CONFIGURED,
            Hold::ByHand | Hold::Cgroup => origin::BY_HAND,
        };
        self.maps.set_path(&key, PathTag { workload, origin })?;
        let result = self.govern_place(place, workload);
        if result.is_err() && before.is_none() {
            // Nothing half tagged; the first error is the one to report.
            let _ = self.untag_place(place);
        }
        result
    }

    /// Takes away every tag that a place has, with the lineage that came from it.
    pub(super) fn untag_place(&mut self, place: &Path) -> Result<(), KernelError> {
        let key = cgroup::key(place)?;
        let by_path = self.maps.path_tag(&key)?;
        self.maps.remove_path(&key)?;
        let here = Cgroup::find(&self.mount, place);
        let by_id = match &here {
            Some(cgroup) => self.maps.tag(cgroup.id)?,
            None => None,
        };
        if by_path.is_none() && by_id.is_none() {
            return Err(KernelError::NotTagged {
                path: place.to_owned(),
            });
        }
        if let Some(cgroup) = here {
            self.untag(cgroup.id)?;
        }
        // Who came from an earlier cgroup at this path is let go with the path, unless the workload has another place.
        if let Some(PathTag { workload, .. }) = by_path
            && !self.tags()?.iter().any(|tag| tag.workload == workload)
        {
            self.unmark(|lineage| lineage.workload == workload)?;
        }
        self.maps.switch()
    }

    /// Every tag: paths, whether a cgroup is there or not, and cgroups that were tagged for themselves.
    pub(super) fn tags(&mut self) -> Result<Vec<Tagged>, KernelError> {
        let mut cgroups = self.present()?;
        let mut tags = Vec::new();
        for (place, tag) in self.maps.path_tags()? {
            let folder = cgroup::folder(&self.mount, &place);
            let here = cgroups
                .iter()
                .position(|(path, _, _)| *path == folder)
                .map(|at| cgroups.swap_remove(at));
            tags.push(Tagged {
                place,
                workload: tag.workload,
                hold: match tag.origin {
                    origin::CONFIGURED => Hold::Configured,
                    _ => Hold::ByHand,
                },
                here: here.map(|(folder, _, tag)| Here {
                    folder,
                    egress: tag.egress != 0,
                }),
            });
        }
        for (folder, _, tag) in cgroups {
            tags.push(Tagged {
                place: cgroup::place(&self.mount, &folder)?,
                workload: tag.workload,
                hold: Hold::Cgroup,
                here: Some(Here {
                    folder,
                    egress: tag.egress != 0,
                }),
            });
        }
        tags.sort_by(|a, b| a.place.cmp(&b.place));
        Ok(tags)
    }

    /// Governs every tagged path whose cgroup the kernel has tagged alone. One that fails does not keep the others from it; the first error is
    /// told.
    pub(super) fn settle(&mut self) -> Result<(), KernelError> {
        let mut result = Ok(());
        if self.over {
            return result;
        }
        for (place, tag) in self.maps.path_tags()? {
            let Some(cgroup) = Cgroup::find(&self.mount, &place) else {
                continue;
            };
            let stands = self.maps.tag(cgroup.id)?;
            if stands.is_none_or(|stands| stands.egress == 0) {
                let governed = self.govern_cgroup(&cgroup, tag.workload);
                // It may have gone meanwhile, and then there is nothing to govern.
                if Cgroup::find(&self.mount, &place).as_ref() == Some(&cgroup) {
                    result = result.and(governed);
                }
            }
        }
        result
    }

    /// Refuses a workload that is not known, and tags above, below or in place of others.
    pub(super) fn check_tag(&mut self, place: &Path, workload: u32) -> Result<(), KernelError> {
        if self.maps.scope(workload)?.is_none() {
            return Err(KernelError::NoScope { workload });
        }
        let near = self.tags()?.into_iter().find(|tag| {
            let nested = tag.place.starts_with(place) || place.starts_with(&tag.place);
            nested && (tag.place != place || tag.workload != workload)
        });
        match near {
            Some(tag) => Err(KernelError::AlreadyTagged { path: tag.place }),
            None => Ok(()),
        }
    }

    fn govern_place(&mut self, place: &Path, workload: u32) -> Result<(), KernelError> {
        let mut here = Cgroup::find(&self.mount, place);
        if here.is_none() {
            // One that was being made when the path was tagged may have been too early for it.
            cgroup::wait_for_mkdir(&self.mount)?;
            here = Cgroup::find(&self.mount, place);
        }
        let Some(cgroup) = here else { return Ok(()) };
        self.check_own(&cgroup)?;
        self.take_over(&cgroup, workload)
    }
}
