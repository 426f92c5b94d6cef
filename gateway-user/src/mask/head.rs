//! The head of a request: its path, query and headers carry values out as well as its body does. Those of an answer carry them in.
//!
//! Credentials stay where requests present them: policy knows of those by `context.credential`. Of an answer what stays is what HTTP itself
//! reads: how the body is framed and coded, what caches go by, cookies and challenges.

use std::convert::Infallible;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Set;
use super::document::{any, binary, named};
use crate::detect::Finding;
use crate::protocol::{credentials, form};

/// Masks path and query of a target; `None` where nothing is to be masked. A value cannot leave its segment or parameter.
pub fn target(target: &str, set: &Set, found: &mut Vec<Finding>) -> Option<String> {
    let target = Target::of(target);
    let Ok(path) = form::edited(target.path, form::PATH, |segment, _| {
        Ok::<_, Infallible>(any(segment, set, found))
    });
    let query = target
        .query
        .and_then(|query| parameters(query, credentials::carries, set, found));
    target.with(path, query)
}

/// The two parts of a request target, which are written otherwise.
pub(super) struct Target<'t> {
    pub(super) path: &'t str,
    pub(super) query: Option<&'t str>,
}

impl<'t> Target<'t> {
    pub(super) fn of(target: &'t str) -> Self {
        match target.split_once('?') {
            Some((path, query)) => Self {
                path,
                query: Some(query),
            },
            None => Self {
                path: target,
                query: None,
            },
        }
    }

    /// The target with another path or query; `None` where neither is another.
    pub(super) fn with(&self, path: Option<String>, query: Option<String>) -> Option<String> {
        if path.is_none() && query.is_none() {
            return None;
        }
        let path = path.as_deref().unwrap_or(self.path);
        Some(match query.as_deref().or(self.query) {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        })
    }
}

/// Masks names and values, each behind its name, which tells what it is; not the parameters whose name `stays`.
pub(super) fn parameters(
    text: &str,
    stays: fn(&str) -> bool,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Option<String> {
    let (mut out, mut changed) = (String::with_capacity(text.len()), false);
    for pair in text.split_inclusive('&') {
        let new = (!stays(pair.trim_end_matches('&')))
            .then(|| parameter(pair, set, found))
            .flatten();
        changed |= new.is_some();
        out.push_str(new.as_deref().unwrap_or(pair));
    }
    changed.then_some(out)
}

fn parameter(pair: &str, set: &Set, found: &mut Vec<Finding>) -> Option<String> {
    let mut name = String::new();
    let Ok(new) = form::edited(pair, form::FORM, |piece, separator| {
        let new = named(piece, &name, set, found);
        name = if separator == Some('=') {
            piece.to_owned()
        } else {
            String::new()
        };
        Ok::<_, Infallible>(new)
    });
    new
}

/// Masks the values of headers, of the opening of a WebSocket or not.
pub fn headers(headers: &mut HeaderMap, websocket: bool, set: &Set, found: &mut Vec<Finding>) {
    for (name, value) in headers.iter_mut() {
        if let Some(new) = self::value(name, value, websocket, set, found) {
            *value = new;
        }
    }
}

/// Masks the values of an answer's headers or trailers. Where an answer leads to stays: it may be signed as a whole, and whoever follows it asks again.
pub fn answer(headers: &mut HeaderMap, set: &Set, found: &mut Vec<Finding>) {
    for (_, value) in headers.iter_mut().filter(|(name, _)| !stays(name)) {
        let new = binary(value.as_bytes(), set, found);
        if let Some(new) = new.and_then(|new| HeaderValue::from_bytes(&new).ok()) {
            *value = new;
        }
    }
}

fn stays(name: &HeaderName) -> bool {
    READ_BY_HTTP.contains(name) || name.as_str().starts_with("sec-websocket-")
}

/// What is found in headers.
#[must_use]
pub fn found(headers: &HeaderMap, websocket: bool, set: &Set) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, value) in headers {
        self::value(name, value, websocket, set, &mut found);
    }
    found
}

fn value(
    name: &HeaderName,
    value: &HeaderValue,
    websocket: bool,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Option<HeaderValue> {
    let stays = [header::HOST, header::CONTENT_LENGTH].contains(name)
        || credentials::is_secret(name)
        // It may have one.
        || websocket && *name == header::SEC_WEBSOCKET_PROTOCOL;
    let new = (!stays).then(|| binary(value.as_bytes(), set, found))??;
    HeaderValue::from_bytes(&new).ok()
}

/// Of an answer, with what starts WebSockets.
const READ_BY_HTTP: &[HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::PROXY_AUTHENTICATE,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::WWW_AUTHENTICATE,
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const CARD: &str = "4111 1111 1111 1111";

    fn masked(text: &str) -> Option<String> {
        let mut found = Vec::new();
        let new = target(text, &Set::new(["pii", "secrets"]), &mut found);
        assert_eq!(new.is_some(), !found.is_empty(), "{text}");
        new
    }

    #[test]
    fn a_target_is_read_as_its_server_reads_it() {
        let token = ["AK", "IA", "Q3EGTNR7XMS2KDLP"].concat();
        for (sent, leaves) in [
            (
                "/people/anna%2esmith@corp.com/x?a=1",
                "/people/%5BREDACTED%3Aemail%5D/x?a=1",
            ),
            (
                "/p?q=card+4111%201111+1111+1111&a=%7e",
                "/p?q=card%20%5BREDACTED%3Acredit-card%5D&a=%7e",
            ),
            (
                "/p?args=%7B%22to%22%3A%22anna.smith%40corp.com%22%7D",
                "/p?args=%7B%22to%22%3A%22%5BREDACTED%3Aemail%5D%22%7D",
            ),
            (
                "/p?password=Tr0ub4dor-and-3",
                "/p?password=%5BREDACTED%3Apassword%5D",
            ),
        ] {
            assert_eq!(masked(sent).as_deref(), Some(leaves), "{sent}");
        }
        // A credential of its own is policy's to judge as that.
        for sent in [
            format!("/p?access_token={token}"),
            format!("/p?k%65y={token}"),
        ] {
            assert_eq!(masked(&sent), None, "{sent}");
        }
        // Not what only looks like one, or cannot be read to its end.
        for sent in [
            format!("/p?q={token}"),
            format!("/p?q=token={token}"),
            format!("/p?q=1;key={token}"),
            format!("/p?q={token}%"),
            format!("/p?q=%zz;{token}"),
            format!("/p?token=%ff&{token}"),
            format!("/p/{token}%FF"),
        ] {
            let leaves = masked(&sent).unwrap();
            assert!(!leaves.contains(&token), "{leaves}");
        }
        for sent in [
            "/v1/models?limit=20&after=model-3",
            "/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            "/v1beta/models/gemini:streamGenerateContent?alt=sse",
            "/p?pageToken=CAUQAA&cursor=WyIyMDI0Il0&page_token=EAAaBlBUOkNBVQ",
            "/commit/3b18e512dba79e4c8300dd08aeb37f8e728b8dad/0c1f?v=1700000000",
            "/?sig&&=;",
            "*",
        ] {
            assert_eq!(masked(sent), None, "{sent}");
        }
    }

    #[test]
    fn headers_carry_values_too() {
        let set = Set::new(["pii", "secrets"]);
        let mut sent = HeaderMap::new();
        let token = ["AK", "IA", "Q3EGTNR7XMS2KDLP"].concat();
        for (name, value) in [
            ("x-note", CARD),
            ("referer", "https://a.example/?to=anna.smith@corp.com"),
            ("authorization", &format!("Bearer {token}")),
            ("cookie", &format!("s={token}")),
            ("sec-websocket-protocol", &format!("key.{token}")),
        ] {
            sent.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        assert_eq!(found(&sent, true, &set).len(), 2);
        let mut leaves = sent.clone();
        headers(&mut leaves, true, &set, &mut Vec::new());
        assert_eq!(leaves["x-note"], "[REDACTED:credit-card]");
        assert_eq!(leaves["referer"], "https://a.example/?to=[REDACTED:email]");
        for name in ["authorization", "cookie", "sec-websocket-protocol"] {
            assert_eq!(leaves[name], sent[name]);
        }
        // Elsewhere that is a header like any, and so is what picks an account or tells a type.
        assert_eq!(found(&sent, false, &set).len(), 3);
        for name in ["openai-project", "content-type", "if-none-match"] {
            let name = HeaderName::from_static(name);
            let sent = [(name, format!("x; {CARD}").parse().unwrap())];
            assert_eq!(found(&sent.into_iter().collect(), false, &set).len(), 1);
        }
    }

    #[test]
    fn what_http_reads_of_an_answer_stays_and_the_rest_is_masked() {
        let token = ["AK", "IA", "Q3EGTNR7XMS2KDLP"].concat();
        let kept = format!("s={token}");
        let signed = format!("https://a.example/x?to=anna.smith@corp.com&access_token={token}");
        for (name, says, leaves) in [
            ("x-owner", "anna.smith@corp.com", "[REDACTED:email]"),
            (
                "grpc-message",
                "no card 4111 1111 1111 1111",
                "no card [REDACTED:credit-card]",
            ),
            (
                "content-disposition",
                "attachment; filename=\"anna.smith@corp.com.csv\"",
                "attachment; filename=\"[REDACTED:email].csv\"",
            ),
            ("location", &signed, &signed),
            ("set-cookie", &kept, &kept),
            ("content-type", CARD, CARD),
            ("content-length", "4111111111111111", "4111111111111111"),
            ("sec-websocket-protocol", &kept, &kept),
            (
                "x-request-id",
                "req_011CSHoEeqs5C35K2UUqR7Fy",
                "req_011CSHoEeqs5C35K2UUqR7Fy",
            ),
            ("x-ratelimit-remaining-tokens", "149999984", "149999984"),
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let mut headers: HeaderMap = [(name.clone(), says.parse().unwrap())]
                .into_iter()
                .collect();
            let mut found = Vec::new();
            answer(&mut headers, &Set::new(["pii", "secrets"]), &mut found);
            assert_eq!(headers[&name], leaves);
            assert_eq!(found.len(), usize::from(says != leaves), "{name}");
        }
    }

    #[test]
    fn what_clients_say_of_themselves_is_nobodys() {
        let set = Set::new(["pii", "secrets"]);
        for (name, value) in [
            ("user-agent", "OpenAI/Python 3.51.0"),
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.85 Safari/537.36",
            ),
            (
                "user-agent",
                "Boto3/1.44.8 md/Botocore#1.44.8 ua/2.1 os/linux#6.18.0 md/arch#x86_64 lang/python#3.12.1 md/pyimpl#CPython cfg/retry-mode#legacy",
            ),
            ("user-agent", "google-genai-sdk/3.6.1 gl-python/3.12.1"),
            ("x-stainless-runtime-version", "3.12.1"),
            ("x-stainless-read-timeout", "600"),
            (
                "idempotency-key",
                "stainless-python-retry-5f0c1d3e-8f1b-4c2e-9a77-0d7f3c1b2a90",
            ),
            (
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
            (
                "baggage",
                "sentry-trace_id=771a43a4192642f0b136d5159a501700,sentry-public_key=49d0f7386ad645858ae85020e393bef3",
            ),
            ("x-request-id", "req_011CSHoEeqs5C35K2UUqR7Fy"),
            (
                "x-amz-content-sha256",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            ("if-modified-since", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ] {
            let mut sent = HeaderMap::new();
            sent.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
            assert_eq!(found(&sent, false, &set), [], "{name}: {value}");
        }
    }
}
