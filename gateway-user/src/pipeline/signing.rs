//! Signs a request with the key of AWS that is held for its service.
//!
//! In: the request as it leaves. Out: the headers that carry the signature, in place of whatever the agent had signed with.

use http::HeaderMap;

use super::Connection;
use super::inspect::{Ready, Unfit};
use crate::amazon;
use crate::keeper::Signable;
use crate::protocol::Why;

/// Puts the signature into `headers`, which are otherwise as they leave.
pub(super) fn sign(
    connection: &Connection,
    ready: &Ready,
    target: &str,
    body: Option<&[u8]>,
    headers: &mut HeaderMap,
) -> Result<(), Unfit> {
    let unsignable = |reason: String| Unfit {
        why: Why::Unavailable,
        reason,
    };
    let host = &ready.head.host;
    let region = amazon::region(host)
        .ok_or_else(|| unsignable(format!("{host} does not tell the region to sign for")))?;
    let body = body.ok_or_else(|| unsignable("its body cannot be signed unread".to_owned()))?;
    for name in REPLACED {
        headers.remove(*name);
    }
    let service = ready.resource.name.as_str();
    let mut signed = Vec::new();
    for name in headers.keys().filter(|name| is_signed(name.as_str())) {
        let values = headers.get_all(name).iter();
        let values: Result<Vec<&str>, _> = values.map(|value| value.to_str()).collect();
        let values = values.map_err(|_| unsignable(format!("{name} is no text to sign")))?;
        signed.push((name.as_str().to_owned(), values.join(",")));
    }
    let method = ready.head.method.as_str();
    let signable = Signable::new(method, target, signed, body, region, SERVICE);
    let fills = connection.gateway.keeper.signature(service, signable);
    for fill in fills.map_err(|error| unsignable(error.to_string()))? {
        fill.set(headers);
    }
    Ok(())
}

fn is_signed(name: &str) -> bool {
    ["host", "content-type"].contains(&name) || name.starts_with("x-amz-")
}

/// AWS's name of Bedrock's runtime where requests are signed.
const SERVICE: &str = "bedrock";
/// What belongs to the agent's own signature.
const REPLACED: &[&str] = &[
    "authorization",
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-security-token",
];
