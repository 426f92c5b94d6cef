//! What policy is told of a call, and what of it policy changes before the agent gets it.

use bytes::Bytes;

use super::Tools;
use crate::detect;
use crate::keeper::Scrub;
use crate::mask::{self, Shape};
use crate::pipeline::ConnectionError;
use crate::policy::{Permit, PolicySet, TOOL_CALL};
use crate::protocol::calls::{self, CallsError};
use crate::protocol::transcript::ToolCall;
use crate::protocol::{Action, Fact, Facts};

/// What is known of a call.
pub(super) struct Known {
    /// As a record may have it but for what detectors find: without what an upstream echoes of the held credential.
    pub(super) call: ToolCall,
    pub(super) action: Action,
    pub(super) findings: Vec<detect::Finding>,
    /// The call and its facts without what detectors find.
    pub(super) shown: ToolCall,
    pub(super) kept: Facts,
    /// Whether its arguments could be read.
    pub(super) read: Result<(), CallsError>,
}

/// A call as policy lets it go on to be decided.
pub(super) struct Patched {
    pub(super) call: ToolCall,
    /// As the model wrote it, for the record, where that is otherwise.
    pub(super) written: Option<ToolCall>,
    /// What was put into it, as obligations.
    pub(super) labels: Vec<String>,
}

impl Tools {
    /// What policy is told of a call.
    pub(super) fn known(
        &self,
        call: &ToolCall,
        policies: &PolicySet,
    ) -> Result<Known, ConnectionError> {
        let call = self.without_credential(call)?;
        let (findings, shown) = examined(&call, policies);
        let (mut facts, mut kept) = (self.facts.clone(), self.facts.clone());
        let mut read = calls::facts(&call, &mut facts);
        // Most calls have nothing that a record leaves out.
        if shown == call {
            kept = facts.clone();
        } else {
            read = read.and_then(|()| calls::facts(&shown, &mut kept));
        }
        let names = findings
            .iter()
            .flat_map(|finding| [finding.detector.to_string(), finding.class.to_string()]);
        let names: Fact = names.collect();
        facts.set("findings", names.clone());
        kept.set("findings", names);
        Ok(Known {
            call,
            action: Action {
                name: TOOL_CALL,
                facts,
            },
            findings,
            shown,
            kept,
            read,
        })
    }

    /// A call with what permits put into its arguments.
    pub(super) fn patched(
        &self,
        mut call: ToolCall,
        policies: &PolicySet,
    ) -> Result<Patched, ConnectionError> {
        let (mut written, mut labels) = (None, Vec::new());
        if policies.patches() {
            let known = self.known(&call, policies)?;
            let patch = policies.patch(&self.connection.query(&self.resource, &known.action));
            // What is no object stays as it is, and the decision on it finds that the patch is not in it.
            if let Ok(Some(arguments)) = patch.apply(&call.arguments) {
                call.arguments = arguments;
                written = Some(known.shown);
                labels = patch.labels().collect();
            }
        }
        Ok(Patched {
            call,
            written,
            labels,
        })
    }

    /// The arguments with which a permitted call goes on, or why it does not.
    pub(super) fn goes_on(&self, call: &ToolCall, permit: &Permit) -> Result<String, String> {
        let arguments = &call.arguments;
        if self.masks.cover(permit.masks()) {
            return Ok(arguments.clone());
        }
        let masked = masked(arguments, &self.connection.masks(permit));
        let masked = masked.map(|(arguments, _)| arguments);
        masked.ok_or_else(|| UNMASKED.to_owned())
    }

    /// What an upstream echoes of the held credential is in no record.
    fn without_credential(&self, call: &ToolCall) -> Result<ToolCall, ConnectionError> {
        let (keeper, service) = (&self.connection.gateway.keeper, &self.resource.name);
        let mut call = call.clone();
        if keeper.holds(service) {
            let scrub: Scrub = keeper.scrub(service)?;
            let scrubbed = scrub.whole(call.arguments.as_bytes());
            call.arguments = String::from_utf8_lossy(&scrubbed).into_owned();
        }
        Ok(call)
    }
}

/// Arguments with what a set finds in them masked, and what that is.
fn masked(arguments: &str, set: &mask::Set) -> Option<(String, Vec<detect::Finding>)> {
    let bytes = Bytes::copy_from_slice(arguments.as_bytes());
    let masked = mask::body(&bytes, Shape::Json, set)
        .or_else(|_| mask::body(&bytes, Shape::Text, set))
        .ok()?;
    let arguments = String::from_utf8(masked.bytes.into()).ok()?;
    Some((arguments, masked.findings))
}

/// What detectors find in a call, and the call without any of it.
fn examined(call: &ToolCall, policies: &PolicySet) -> (Vec<detect::Finding>, ToolCall) {
    let everything = mask::Set::all().with(policies.detectors());
    let (arguments, findings) = masked(&call.arguments, &everything)
        .unwrap_or_else(|| ("[withheld]".to_owned(), Vec::new()));
    let name = call.name.clone();
    (findings, ToolCall { name, arguments })
}

const UNMASKED: &str = "what policy wants masked in its arguments cannot be masked there";
