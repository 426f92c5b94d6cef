//! A body that was searched and in which nothing is found: it need not be searched again to be masked.
//!
//! In: what a search for everything found. Out: whether masking the same bytes would change nothing. Invariant: it says so only where the
//! bytes are read as the same and by the very same detectors, as that which found nothing.

use std::sync::Arc;

use super::{Set, Shape};
use crate::detect::{Detectors, Finding};

/// As what a body was searched, and by which detectors, where they found nothing.
#[derive(Clone, Debug)]
pub struct Clean {
    shape: Shape,
    detectors: Arc<Detectors>,
}

impl Clean {
    /// Of a body in which `set` found this; `None` where something is found, or not everything was searched for.
    #[must_use]
    pub fn of(found: &[Finding], shape: Shape, set: &Set) -> Option<Self> {
        (set.all && found.is_empty()).then(|| Self {
            shape,
            detectors: Arc::clone(&set.detectors),
        })
    }

    /// Whether masking the same body as `shape` by `set` changes nothing.
    #[must_use]
    pub fn covers(&self, shape: Shape, set: &Set) -> bool {
        self.shape == shape && Arc::ptr_eq(&self.detectors, &set.detectors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::findings;

    fn searched(body: &[u8], set: &Set) -> Option<Clean> {
        let found = findings(body, Shape::Json, set);
        Clean::of(&found.expect("a document"), Shape::Json, set)
    }

    #[test]
    fn what_has_no_findings_is_masked_already() {
        let everything = Set::all();
        let clean = searched(br#"{"a":"nothing"}"#, &everything).expect("nothing is found");
        assert!(clean.covers(Shape::Json, &everything));
        let some = Set::new(["pii"]).with(&everything.detectors);
        assert!(clean.covers(Shape::Json, &some));
        // Read otherwise, or by others, something may be there.
        assert!(!clean.covers(Shape::Text, &everything));
        assert!(!clean.covers(Shape::Json, &Set::all()));
    }

    #[test]
    fn what_was_not_searched_for_everything_is_not_clean() {
        let body = br#"{"a":"ada@example.com"}"#;
        assert!(searched(body, &Set::all()).is_none());
        assert!(searched(body, &Set::new(["secrets"])).is_none());
    }
}
