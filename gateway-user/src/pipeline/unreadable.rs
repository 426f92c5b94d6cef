//! What was no request that can be read one way only: on record, and answered.

use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Response, Version};

use super::exchange::{Context, Hangup, unfit_answer};
use super::http::Clear;
use super::inspect::Unfit;
use super::outcome::{self, Described, Refused};
use super::relay::Body;
use super::resource::Resource;
use super::{Connection, ConnectionError};
use crate::config::Scheme;
use crate::protocol::Why;
use crate::protocol::http::{self as protocol, HeadError};
use crate::record::Outcome;

/// Records what was no request at all; the client has been told by the library.
pub(super) async fn unparsed(
    connection: &Connection,
    clear: &Clear,
    status: Option<u16>,
    reason: &str,
) -> Result<(), ConnectionError> {
    let described = Described {
        action: "http",
        service: claimed(connection, clear).name,
        method: None,
        path: None,
        tool: None,
    };
    let entry = outcome::open_denied(connection, &described, clear.protocol(), reason).await?;
    let refused = Refused::new(entry, connection, &described, Why::Malformed, reason);
    connection.share.log(&refused.refusal.message);
    Ok(refused.close(status, Outcome::Refused, None).await?)
}

/// The service at the name that TLS was opened for, else at the address that was dialled.
fn claimed(connection: &Connection, clear: &Clear) -> Resource {
    let address = connection.origin.ip().to_canonical().to_string();
    let (scheme, host) = match &clear.tls_name {
        Some(name) => (Scheme::Tls, name),
        None => (Scheme::Plain, &address),
    };
    Resource::of(&connection.gateway, scheme, host, connection.origin)
}

/// Answers a request whose head cannot be read one way only, or that wants to be a tunnel past all decisions.
pub(super) async fn unreadable(
    context: &Context,
    parts: &Parts,
    error: &HeadError,
) -> Result<Response<Body>, Hangup> {
    let connect = matches!(error, HeadError::Connect);
    let described = Described {
        action: protocol::action_name(&parts.method),
        service: claimed(&context.connection, &context.clear).name,
        method: Some(parts.method.to_string()),
        path: connect.then(|| protocol::shown(&parts.uri.to_string())),
        tool: None,
    };
    let unfit = Unfit {
        why: if connect { Why::Policy } else { Why::Malformed },
        reason: error.to_string(),
    };
    let mut answer = unfit_answer(context, described, None, &unfit).await?;
    if connect && parts.version < Version::HTTP_2 {
        // What comes behind it was meant for the tunnel and must not be read as requests.
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    Ok(answer)
}
