//! Signatures of AWS (SigV4) over requests, with a held key.
//!
//! In: what of a request is signed, and the key. Out: the headers that carry the signature. The body is signed by its digest; the time, and the
//! token that may belong to a key, are signed as headers.
//! Source: the AWS general reference, "Signing AWS API requests"; botocore, for how it writes a path.

use aws_lc_rs::{digest, hmac};
use http::{HeaderName, HeaderValue, header};
use secrecy::zeroize::Zeroizing;

use crate::amazon;
use crate::calendar::civil;

/// What of a request is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signable {
    /// The method.
    pub method: String,
    /// Path and query as they leave.
    pub target: String,
    /// The headers that are signed.
    pub headers: Vec<(String, String)>,
    /// The SHA-256 of the body.
    pub body: [u8; 32],
    /// The region that is asked.
    pub region: String,
    /// AWS's name of the service.
    pub service: String,
}

impl Signable {
    /// Of a request with this body. `headers` are those that are signed, in lower case, `host` among them; each once.
    #[must_use]
    pub fn new(
        method: &str,
        target: &str,
        headers: Vec<(String, String)>,
        body: &[u8],
        region: &str,
        service: &str,
    ) -> Self {
        let mut digested = [0; 32];
        digested.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: digested,
            region: region.to_owned(),
            service: service.to_owned(),
        }
    }
}

impl Signable {
    /// Whether it goes to a host of Bedrock's in the region that is signed for: the key signs for nothing else, whoever asks.
    pub(super) fn is_for_bedrock(&self) -> bool {
        let mut hosts = self.headers.iter().filter(|(name, _)| name == "host");
        let (Some((_, host)), None) = (hosts.next(), hosts.next()) else {
            return false;
        };
        let host = host.split(':').next().unwrap_or_default();
        self.service == "bedrock" && amazon::region(host) == Some(&self.region)
    }
}

/// A key as its file has it: `ID:SECRET`, or `ID:SECRET:TOKEN`.
pub(super) struct Key<'a> {
    id: &'a str,
    secret: &'a str,
    token: Option<&'a str>,
}

impl<'a> Key<'a> {
    /// `None` where the text is no key.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(':');
        let (id, secret, token) = (parts.next()?, parts.next()?, parts.next());
        let whole = |part: &str| !part.is_empty() && !part.contains(' ');
        let all = [Some(id), Some(secret), token];
        (parts.next().is_none() && all.into_iter().flatten().all(whole)).then_some(Self {
            id,
            secret,
            token,
        })
    }

    /// What of it is secret.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &'a str> {
        [Some(self.secret), self.token].into_iter().flatten()
    }

    /// The headers that carry the signature of a request, made at `now`, in seconds since 1970. `None` where one cannot be written.
    pub(super) fn sign(
        &self,
        signable: &Signable,
        now: i64,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let time = Time::of(now);
        let mut headers = signable.headers.clone();
        headers.push((DATE.to_owned(), time.full.clone()));
        if let Some(token) = self.token {
            headers.push((TOKEN.to_owned(), token.to_owned()));
        }
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let scope = format!(
            "{}/{}/{}/aws4_request",
            time.day, signable.region, signable.service
        );
        let canonical = Zeroizing::new(canonical(signable, &headers, &names));
        let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("{ALGORITHM}\n{}\n{scope}\n{digest}", time.full);
        let signature = hex(self.key(&time.day, signable, text.as_bytes()).as_ref());
        let id = self.id;
        let authorization = format!(
            "{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        let mut carried = vec![
            (header::AUTHORIZATION, authorization),
            (HeaderName::from_static(DATE), time.full),
        ];
        carried.extend(
            self.token
                .map(|token| (HeaderName::from_static(TOKEN), token.to_owned())),
        );
        let carried = carried.into_iter().map(|(name, value)| {
            let mut value = HeaderValue::from_str(&value).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        carried.collect()
    }

    /// A key for a day, a region and a service is made of the secret; with it the text is signed.
    fn key(&self, day: &str, signable: &Signable, text: &[u8]) -> hmac::Tag {
        let secret = Zeroizing::new(format!("AWS4{}", self.secret));
        let parts = [day, &signable.region, &signable.service, "aws4_request"];
        let first = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let key = parts.into_iter().fold(first, |key, part| {
            hmac::Key::new(
                hmac::HMAC_SHA256,
                hmac::sign(&key, part.as_bytes()).as_ref(),
            )
        });
        hmac::sign(&key, text)
    }
}

/// The request in the one form that both sides sign.
fn canonical(signable: &Signable, headers: &[(String, String)], names: &str) -> String {
    let (path, query) = signable
        .target
        .split_once('?')
        .unwrap_or((&signable.target, ""));
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut out = format!(
        "{}\n{}\n{}\n",
        signable.method,
        escaped(path),
        pairs.join("&")
    );
    for (name, value) in headers {
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        out.push_str(&format!("{name}:{}\n", words.join(" ")));
    }
    out.push_str(&format!("\n{names}\n{}", hex(&signable.body)));
    out
}

/// A path without empty segments, whose escapes are escaped once more.
fn escaped(path: &str) -> String {
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let mut out = String::with_capacity(path.len() + 8);
    for byte in segments.join("/").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    let end = if path.len() > 1 && path.ends_with('/') {
        "/"
    } else {
        ""
    };
    format!("/{out}{end}")
}

/// A moment as AWS writes it.
struct Time {
    day: String,
    full: String,
}

impl Time {
    /// Of seconds since 1970.
    fn of(seconds: i64) -> Self {
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, date) = civil(days);
        let day = format!("{year:04}{month:02}{date:02}");
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let full = format!("{day}T{hour:02}{minute:02}{second:02}Z");
        Self { day, full }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: &str = "x-amz-date";
const TOKEN: &str = "x-amz-security-token";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, full) in [
            (0, "19700101T000000Z"),
            (951_827_696, "20000229T123456Z"),
            (1_440_938_160, "20150830T123600Z"),
            (1_709_251_199, "20240229T235959Z"),
            (4_102_444_800, "21000101T000000Z"),
        ] {
            assert_eq!(Time::of(seconds).full, full);
        }
    }

    /// The case `get-vanilla-query-order-key-case` of AWS's own suite, and what botocore makes of a request of Bedrock's.
    #[test]
    fn signatures_are_those_that_others_make() {
        let empty = digest::digest(&digest::SHA256, b"")
            .as_ref()
            .try_into()
            .unwrap();
        let mut signable = Signable {
            method: "GET".to_owned(),
            target: "/?Param2=value2&Param1=value1".to_owned(),
            headers: vec![("host".to_owned(), "example.amazonaws.com".to_owned())],
            body: empty,
            region: "us-east-1".to_owned(),
            service: "service".to_owned(),
        };
        let key = Key::parse(concat!(
            "AKID",
            "EXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        ))
        .unwrap();
        let signed = key.sign(&signable, 1_440_938_160).unwrap();
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
        assert_eq!(
            signed[0],
            (header::AUTHORIZATION, expected.parse().unwrap())
        );
        assert_eq!(signed[1].1, "20150830T123600Z");
        assert_eq!(signed.len(), 2);
        signable = Signable {
            method: "POST".to_owned(),
            target: "/model/us.amazon.nova-lite-v1%3A0/converse".to_owned(),
            headers: vec![
                ("content-type".to_owned(), "application/json".to_owned()),
                (
                    "host".to_owned(),
                    "bedrock-runtime.us-east-1.amazonaws.com".to_owned(),
                ),
            ],
            body: digest::digest(&digest::SHA256, b"{}")
                .as_ref()
                .try_into()
                .unwrap(),
            service: "bedrock".to_owned(),
            ..signable
        };
        let key = Key::parse(concat!(
            "AKID",
            "EXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:token/="
        ))
        .unwrap();
        let signed = key.sign(&signable, 1_440_938_160).unwrap();
        let said = signed[0].1.to_str().unwrap();
        assert!(said.ends_with("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=2ca14479ec54578d45be0331a3107c40bf96e7d02806bfd2ed348ce7af4f431e"), "{said}");
        assert_eq!(signed[2].1, "token/=");
        assert!(signed.iter().all(|(_, value)| value.is_sensitive()));
    }

    #[test]
    fn keys_have_two_parts_or_three() {
        for text in ["a", "a:", ":b", "a:b:", "a:b:c:d", "a b:c", ""] {
            assert!(Key::parse(text).is_none(), "{text}");
        }
        let secrets = |text| {
            Key::parse(text)
                .unwrap()
                .secrets()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(secrets("a:b"), "b");
        assert_eq!(secrets("a:b:c"), "b c");
    }
}
