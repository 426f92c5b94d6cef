//! Requests that carry a signature of AWS (SigV4) over themselves: what of them must leave as it came.
//!
//! In: a head. Out: the names of the headers that are signed, if any are; the body is signed with them. Nothing is verified: what cannot be read
//! as a signature is the provider's to refuse.
//! Source: the AWS general reference, "Signing AWS API requests".

use http::{HeaderMap, header};

/// A signature over a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The headers that it covers, in lower case.
    headers: Vec<String>,
}

impl Signature {
    /// The signature of a request, in its header or in its target.
    #[must_use]
    pub fn of(headers: &HeaderMap, target: &str) -> Option<Self> {
        let values = headers.get_all(header::AUTHORIZATION).iter();
        let mut values = values.filter_map(|value| value.to_str().ok());
        let list = match values.find(|value| starts(value, "AWS4-")) {
            Some(value) => value
                .split([' ', ','])
                .find_map(|part| part.strip_prefix("SignedHeaders=")),
            None => {
                let (_, query) = target.split_once('?')?;
                query
                    .split('&')
                    .find(|pair| starts(pair, "X-Amz-Signature="))?;
                query
                    .split('&')
                    .find_map(|pair| pair.strip_prefix("X-Amz-SignedHeaders="))
            }
        };
        let list = list.unwrap_or_default().replace("%3B", ";");
        let names = list.split(';').filter(|name| !name.is_empty());
        let headers = names.map(str::to_ascii_lowercase).collect();
        Some(Self { headers })
    }

    /// Whether it covers a header.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.headers.iter().any(|signed| signed == name)
    }

    /// Whether it still holds for these headers in place of those. `Host` is the target's own name.
    #[must_use]
    pub fn holds(&self, before: &HeaderMap, after: &HeaderMap) -> bool {
        let kept = |name: &&String| {
            let values = |headers: &HeaderMap| {
                let values = headers.get_all(name.as_str()).iter();
                values.cloned().collect::<Vec<_>>()
            };
            *name == "host" || values(before) == values(after)
        };
        self.headers.iter().all(|name| kept(&name))
    }
}

fn starts(text: &str, prefix: &str) -> bool {
    let start = text.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn signatures_stand_in_the_header_or_in_the_target() {
        let signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=00";
        let (tight, none) = (signed.replace(", ", ","), HeaderMap::new());
        for authorization in [signed, &tight] {
            let signature = Signature::of(&headers(&[("authorization", authorization)]), "/");
            let signature = signature.unwrap();
            assert!(signature.covers("content-type") && signature.covers("x-amz-date"));
            assert!(!signature.covers("accept-encoding"));
        }
        let target = "/p?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host%3Brange&X-Amz-Signature=00";
        assert!(Signature::of(&none, target).unwrap().covers("range"));
        for (authorization, target) in [
            ("Bearer ABSKexample", "/p"),
            ("Basic YTpi", "/p?x-amz-date=1"),
        ] {
            assert_eq!(
                Signature::of(&headers(&[("authorization", authorization)]), target),
                None
            );
        }
        // One without a list covers the body all the same.
        let bare = headers(&[("authorization", "aws4-ecdsa-p256-sha256 x")]);
        assert_eq!(Signature::of(&bare, "/"), Some(Signature::default()));
    }

    #[test]
    fn a_signature_holds_for_as_long_as_what_it_covers_stays() {
        let authorization = "AWS4-HMAC-SHA256 SignedHeaders=host;range;x-a, Signature=0";
        let before = headers(&[
            ("authorization", authorization),
            ("range", "bytes=0-"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("x-b", "3"),
        ]);
        let signature = Signature::of(&before, "/").unwrap();
        let after = |change: fn(&mut HeaderMap)| {
            let mut after = before.clone();
            change(&mut after);
            signature.holds(&before, &after)
        };
        assert!(after(|headers| drop(headers.remove("x-b"))));
        assert!(after(|headers| drop(
            headers.insert("host", "h".parse().unwrap())
        )));
        assert!(!after(|headers| drop(headers.remove("range"))));
        assert!(!after(|headers| drop(
            headers.insert("x-a", "1".parse().unwrap())
        )));
    }
}
