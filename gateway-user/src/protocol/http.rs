//! HTTP requests: the one reading of a request head that policy decides on and the upstream receives.
//!
//! In: a parsed head from hyper, and what is known of the connection. Out: a [`Head`], or a [`HeadError`] for every request two
//! parsers could read differently. Sources: RFC 9110 (7.2 Host, 7.6.1 Connection), RFC 9112 (3.2 request target, 6.1).

use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Version};

use super::llm::bedrock;
use super::target::{normal_host, normal_path, port};
use super::websocket::{self, HandshakeError};
use super::{Action, Facts};
use crate::amazon;

/// A request head, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Method, case-sensitive.
    pub method: Method,
    /// In its normal form ([`normal_host`]).
    pub host: String,
    /// In its normal form ([`normal_path`]): what policy decides on.
    pub path: String,
    /// What the upstream receives as its target: path and query as sent.
    pub target: String,
    /// `host[:port]` as sent, for Host and `:authority` to the upstream.
    pub authority: String,
    /// Whether it asks for a WebSocket.
    pub websocket: bool,
}

/// Requests that are refused before policy is asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum HeadError {
    #[error(
        "CONNECT opens a tunnel that nobody could judge: connect to the destination itself, without a proxy"
    )]
    Connect,
    #[error("a request needs exactly one Host")]
    HostCount,
    #[error("Host \"{0}\" is not a name (xn-- beyond ASCII) or an address, with an optional port")]
    HostSyntax(String),
    #[error("the request target names {target} but Host names {host}")]
    TargetDisagrees { target: String, host: String },
    #[error("TLS was opened for {sni} but the request is for {host}")]
    NameDisagrees { sni: String, host: String },
    #[error("the connection goes to port {dialled} but the request names port {named}")]
    PortDisagrees { dialled: u16, named: u16 },
    #[error(
        "the request path has dot segments, backslashes, encoded separators, or hides them in another encoding"
    )]
    Path,
    #[error("only the chunked transfer coding is understood")]
    TransferEncoding,
    #[error("{method} cannot stand for another method: send that method itself")]
    Method { method: Method },
    #[error(transparent)]
    WebSocket(#[from] HandshakeError),
}

/// Reads the head of a request on a connection that was dialled to the port `dialled` and, under TLS, opened for `tls_name`.
///
/// # Errors
/// A [`HeadError`] for each ambiguity.
pub fn read(parts: &Parts, tls_name: Option<&str>, dialled: u16) -> Result<Head, HeadError> {
    let websocket = websocket::asked(parts);
    let method = match websocket {
        // Over HTTP/2 it is a CONNECT that stands for this.
        true => Method::GET,
        false if parts.method == Method::CONNECT => return Err(HeadError::Connect),
        false => parts.method.clone(),
    };
    let authority = authority(parts)?;
    let host =
        normal_host(authority.host()).ok_or_else(|| syntax(authority.as_str().as_bytes()))?;
    if let Some(sni) = tls_name.filter(|sni| *sni != host) {
        return Err(HeadError::NameDisagrees {
            sni: sni.to_owned(),
            host: shown(&host),
        });
    }
    let default = if tls_name.is_some() { 443 } else { 80 };
    let named = authority.port_u16().unwrap_or(default);
    // Clients of a non-default port must say so; those that leave it out mean the port they dialled.
    if authority.port().is_some() && named != dialled {
        return Err(HeadError::PortDisagrees { dialled, named });
    }
    chunked_only(&parts.headers)?;
    // Frameworks take the method from these; what was decided on as reading would then write.
    let mut overrides = METHOD_OVERRIDES.iter();
    if reads(&method) && overrides.any(|name| parts.headers.contains_key(*name)) {
        return Err(HeadError::Method { method });
    }
    if websocket {
        websocket::check(parts)?;
    }
    let asked = parts.uri.path();
    // Amazon's names of models have slashes in them.
    let path = normal_path(asked)
        .or_else(|| bedrock::normal_path(asked).filter(|_| amazon::is_runtime(&host)));
    Ok(Head {
        method,
        websocket,
        host,
        path: path.ok_or(HeadError::Path)?,
        target: parts
            .uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), |target| target.as_str().to_owned()),
        authority: authority.as_str().to_owned(),
    })
}

/// Whether the body is framed in a way that everybody reads alike.
///
/// # Errors
/// It has another transfer coding than `chunked`.
pub fn chunked_only(headers: &HeaderMap) -> Result<(), HeadError> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        Ok(())
    } else {
        Err(HeadError::TransferEncoding)
    }
}

fn authority(parts: &Parts) -> Result<Authority, HeadError> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => Some(parse_authority(host.as_bytes())?),
        (Some(_), Some(_)) => return Err(HeadError::HostCount),
    };
    match (parts.uri.authority(), host) {
        (None, Some(host)) => Ok(host),
        (None, None) => Err(HeadError::HostCount),
        (Some(target), None) if parts.version >= Version::HTTP_2 => {
            parse_authority(target.as_str().as_bytes())
        }
        (Some(_), None) => Err(HeadError::HostCount),
        (Some(target), Some(host)) if target.as_str().eq_ignore_ascii_case(host.as_str()) => {
            Ok(host)
        }
        (Some(target), Some(host)) => Err(HeadError::TargetDisagrees {
            target: target.to_string(),
            host: host.to_string(),
        }),
    }
}

fn parse_authority(bytes: &[u8]) -> Result<Authority, HeadError> {
    let authority = Authority::try_from(bytes).map_err(|_| syntax(bytes))?;
    let numbered = authority
        .as_str()
        .rsplit_once(':')
        .is_none_or(|(_, text)| text.ends_with(']') || port(text).is_some());
    if authority.as_str().contains('@') || !numbered {
        return Err(syntax(bytes));
    }
    Ok(authority)
}

fn syntax(host: &[u8]) -> HeadError {
    let shown = &host[..host.len().min(MAX_SHOWN)];
    HeadError::HostSyntax(String::from_utf8_lossy(shown).into_owned())
}

/// As much of a client's text as belongs into logs and records.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

/// The action of a request that no more specific protocol claims.
#[must_use]
pub fn action(head: &Head, facts: Facts) -> Action {
    Action {
        name: name(head),
        facts: with_request(head, facts),
    }
}

/// What a request does, if no more specific protocol claims it.
#[must_use]
pub fn name(head: &Head) -> &'static str {
    if head.websocket {
        "http.websocket"
    } else {
        action_name(&head.method)
    }
}

/// What a request does, by its method alone.
#[must_use]
pub fn action_name(method: &Method) -> &'static str {
    if reads(method) {
        "http.read"
    } else {
        "http.write"
    }
}

fn reads(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

/// Adds what every HTTP action knows of its request.
#[must_use]
pub fn with_request(head: &Head, mut facts: Facts) -> Facts {
    facts.set("method", head.method.as_str());
    facts.set("path", head.path.as_str());
    facts
}

/// Removes what belongs to one connection only (RFC 9110, 7.6.1), and the offer of another protocol version.
pub fn end_to_end(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    // Trailers are end to end, and gRPC refuses requests that do not announce them.
    let trailers = headers
        .get(header::TE)
        .is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    for name in &nominated {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
    if trailers {
        headers.insert(header::TE, http::HeaderValue::from_static("trailers"));
    }
}

/// `expect` has been answered here. `alt-svc` is not hop by hop, but HTTP/3 would leave the path that is governed.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "expect",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
    "alt-svc",
    "keep-alive",
    "proxy-connection",
    "http2-settings",
];

const METHOD_OVERRIDES: &[&str] = &[
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// The longest name DNS has.
const MAX_SHOWN: usize = 255;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http::Request;

    use super::*;

    fn head(target: &str, hosts: &[&str], tls: Option<&str>) -> Result<Head, HeadError> {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        read(&request.body(()).unwrap().into_parts().0, tls, 443)
    }

    #[test]
    fn one_host_that_agrees_with_sni_is_read() {
        let head = head(
            "/v1/%63hat?x=1",
            &["API.openai.com."],
            Some("api.openai.com"),
        )
        .unwrap();
        assert_eq!(
            (head.host.as_str(), head.path.as_str(), head.target.as_str()),
            ("api.openai.com", "/v1/chat", "/v1/%63hat?x=1")
        );
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        let sni = Some("a.test");
        assert_eq!(head("/", &[], sni), Err(HeadError::HostCount));
        assert_eq!(
            head("/", &["a.test", "a.test"], sni),
            Err(HeadError::HostCount)
        );
        assert!(matches!(
            head("/", &["b.test"], sni),
            Err(HeadError::NameDisagrees { .. })
        ));
        assert!(matches!(
            head("/", &["a.test:444"], sni),
            Err(HeadError::PortDisagrees { .. })
        ));
        assert!(matches!(
            head("http://b.test/", &["a.test"], sni),
            Err(HeadError::TargetDisagrees { .. })
        ));
        for host in ["u@a.test", "a.test:", "a.test:x", "a test", ""] {
            assert!(
                matches!(head("/", &[host], sni), Err(HeadError::HostSyntax(_))),
                "{host}"
            );
        }
        for path in [
            "/a/../b",
            "/a/%2e%2e/b",
            "/a%2fb",
            "/a/./b",
            "/%zz",
            "/a%5cb",
            "/%00",
        ] {
            assert_eq!(head(path, &["a.test"], sni), Err(HeadError::Path), "{path}");
        }
    }

    #[test]
    fn a_read_cannot_stand_for_a_write() {
        let with = |method: &str| {
            let request = Request::builder().method(method).uri("/");
            let request = request.header("host", "a.test");
            let request = request.header("X-HTTP-Method-Override", "DELETE");
            read(&request.body(()).unwrap().into_parts().0, None, 80)
        };
        assert!(matches!(with("GET"), Err(HeadError::Method { .. })));
        assert!(with("POST").is_ok());
    }

    #[test]
    fn connection_headers_stay_on_their_connection() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-secret"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
        ] {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        end_to_end(&mut headers);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["te", "x-kept"]);
    }

    #[test]
    fn methods_that_change_nothing_read() {
        for (method, name) in [
            (Method::GET, "http.read"),
            (Method::HEAD, "http.read"),
            (Method::POST, "http.write"),
            (Method::DELETE, "http.write"),
        ] {
            assert_eq!(action_name(&method), name, "{method}");
        }
    }
}
