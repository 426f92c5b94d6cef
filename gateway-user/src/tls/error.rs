//! What can go wrong in TLS, told apart by who must act on it.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};
use thiserror::Error;

use super::RootsError;
use super::verify::SelfSigned;
use crate::keeper::KeeperError;

/// Why a client's TLS could not be terminated.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The ClientHello did not come in time.
    #[error("no complete ClientHello within {0:?}")]
    HelloTimeout(Duration),
    /// The ClientHello, with the headers of its records, is larger than 64 KiB.
    #[error("the ClientHello is larger than 64 KiB")]
    HelloTooLarge,
    /// The client closed before its ClientHello was complete.
    #[error("the client closed the connection within its ClientHello")]
    HelloClosed,
    /// What came is not a ClientHello that can be served.
    #[error("the ClientHello cannot be served: {0}")]
    Hello(rustls::Error),
    /// The name that the client asks for is none.
    #[error("the ClientHello asks for {0:?}, which is not a DNS name")]
    Name(String),
    /// No leaf could be had.
    #[error(transparent)]
    Leaf(#[from] KeeperError),
    /// The client offers application protocols, but none that is spoken here.
    #[error("the client offers no application protocol that is spoken here")]
    NoCommonAlpn,
    /// The client says that it does not trust the CA.
    #[error("the client distrusts our CA (alert {})", alert_name(*.0))]
    Distrusted(AlertDescription),
    /// The client left without a word once it had the certificate, as event-driven clients do that do not trust a CA.
    #[error(
        "the client closed the connection after it received our certificate: it probably distrusts our CA"
    )]
    ClosedAfterCertificate,
    /// The client completed the handshake and left without a word inside: it verifies the certificate only then, as GnuTLS and who pins a key do.
    #[error(
        "the client closed the connection after the handshake without a request: it may pin the certificate, or not trust our CA"
    )]
    ClosedAfterHandshake,
    /// The client found the certificate unacceptable. Java and Chromium say so when they do not trust the CA; OpenSSL and
    /// rustls when they do, and something else is wrong.
    #[error("the client does not accept our certificate (alert {})", alert_name(*.0))]
    CertificateRefused(AlertDescription),
    /// The client ended the handshake for another reason.
    #[error("the client ended the handshake (alert {})", alert_name(*.0))]
    Alert(AlertDescription),
    /// The handshake did not end in time.
    #[error("the TLS handshake did not end within {0:?}")]
    HandshakeTimeout(Duration),
    /// The handshake failed on this side.
    #[error("the TLS handshake failed: {0}")]
    Handshake(rustls::Error),
    /// Reading or writing failed.
    #[error("the connection failed during the TLS handshake: {0}")]
    Io(io::Error),
}

/// How sure it is that a client distrusts the CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It said so.
    Certain,
    /// It behaves like one.
    Probable,
    /// It depends on its TLS library.
    Unclear,
}

impl TlsError {
    /// Does this failure mean that the client distrusts the CA?
    pub fn distrust(&self) -> Option<Distrust> {
        match self {
            Self::Distrusted(_) => Some(Distrust::Certain),
            Self::ClosedAfterCertificate | Self::ClosedAfterHandshake => Some(Distrust::Probable),
            Self::CertificateRefused(_) => Some(Distrust::Unclear),
            _ => None,
        }
    }

    /// A failure before the ClientHello was complete.
    pub(super) fn in_hello(error: io::Error) -> Self {
        use rustls::{Error, InvalidMessage};
        match tls_error(error) {
            Ok(Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge)) => {
                Self::HelloTooLarge
            }
            Ok(error) => Self::Hello(error),
            // The TLS library's buffer of 64 KiB is full; a socket knows no such error.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Self::HelloTooLarge,
            Err(error) if is_closed(&error) => Self::HelloClosed,
            Err(error) => Self::Io(error),
        }
    }

    /// A failure before the first byte inside; an alert says why, as in the handshake.
    pub(crate) fn after_handshake(error: io::Error) -> Self {
        match Self::in_handshake(error) {
            alert @ (Self::Distrusted(_) | Self::CertificateRefused(_)) => alert,
            _ => Self::ClosedAfterHandshake,
        }
    }

    /// A failure after the ClientHello, that is, after our certificate was sent.
    pub(super) fn in_handshake(error: io::Error) -> Self {
        use AlertDescription as Alert;
        match tls_error(error) {
            Ok(rustls::Error::NoApplicationProtocol) => Self::NoCommonAlpn,
            Ok(rustls::Error::AlertReceived(alert)) => match alert {
                Alert::UnknownCA | Alert::BadCertificate => Self::Distrusted(alert),
                Alert::CertificateUnknown
                | Alert::CertificateExpired
                | Alert::CertificateRevoked
                | Alert::UnsupportedCertificate => Self::CertificateRefused(alert),
                _ => Self::Alert(alert),
            },
            Ok(error) => Self::Handshake(error),
            Err(error) if is_closed(&error) => Self::ClosedAfterCertificate,
            Err(error) => Self::Io(error),
        }
    }
}

/// Why TLS to an upstream failed. The texts are for people: they may stand in a refusal.
#[derive(Debug, Error)]
pub enum UpstreamTlsError {
    /// The service's own roots cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The certificate's time is over.
    #[error("the certificate of {name} expired {days} days ago")]
    Expired {
        /// The name that was to be proven.
        name: String,
        /// Whole days since then.
        days: u64,
    },
    /// The certificate's time has not come.
    #[error("the certificate of {name} is not valid yet")]
    NotYetValid {
        /// The name that was to be proven.
        name: String,
    },
    /// No trusted root stands behind the certificate.
    #[error(
        "the certificate of {name} is not signed by a trusted root (give a private one with the service's `ca`)"
    )]
    UnknownIssuer {
        /// The name that was to be proven.
        name: String,
    },
    /// The certificate is for others.
    #[error("the certificate presented for {name} is for {}", list(.presented))]
    WrongName {
        /// The name that was to be proven.
        name: String,
        /// What the certificate is for.
        presented: Vec<String>,
    },
    /// The certificate vouches for itself.
    #[error(
        "the certificate of {name} is self-signed and not trusted (give it with the service's `ca`)"
    )]
    SelfSigned {
        /// The name that was to be proven.
        name: String,
    },
    /// The certificate, or one above it, was not signed by the key that it names.
    #[error("the certificate of {name} has a signature that does not fit")]
    Signature {
        /// The name that was to be proven.
        name: String,
    },
    /// The certificate is not acceptable for another reason.
    #[error("the certificate of {name} is not acceptable: {error}")]
    Certificate {
        /// The name that was to be proven.
        name: String,
        /// The reason.
        error: CertificateError,
    },
    /// The server ended the handshake.
    #[error("{name} ended the TLS handshake (alert {})", alert_name(*.alert))]
    Alert {
        /// The name that was to be proven.
        name: String,
        /// What it said.
        alert: AlertDescription,
    },
    /// The server left.
    #[error("{name} closed the connection during the TLS handshake")]
    Closed {
        /// The name that was to be proven.
        name: String,
    },
    /// The server does not speak TLS, or not one that can be spoken here.
    #[error("the TLS handshake with {name} failed: {error}")]
    Handshake {
        /// The name that was to be proven.
        name: String,
        /// What is wrong.
        error: rustls::Error,
    },
    /// The server was too slow.
    #[error("the TLS handshake with {name} did not end within {after:?}")]
    Timeout {
        /// The name that was to be proven.
        name: String,
        /// The deadline.
        after: Duration,
    },
    /// Reading or writing failed.
    #[error("the connection to {name} failed during the TLS handshake: {error}")]
    Io {
        /// The name that was to be proven.
        name: String,
        /// What the system said.
        error: io::Error,
    },
}

impl UpstreamTlsError {
    pub(super) fn new(name: String, error: io::Error) -> Self {
        use CertificateError as Bad;
        match tls_error(error) {
            Ok(rustls::Error::InvalidCertificate(error)) => match error {
                Bad::ExpiredContext { time, not_after } => Self::Expired {
                    name,
                    days: time.as_secs().saturating_sub(not_after.as_secs()) / (24 * 60 * 60),
                },
                Bad::NotValidYetContext { .. } => Self::NotYetValid { name },
                Bad::UnknownIssuer => Self::UnknownIssuer { name },
                Bad::BadSignature => Self::Signature { name },
                Bad::Other(other) if other.0.is::<SelfSigned>() => Self::SelfSigned { name },
                Bad::NotValidForNameContext { presented, .. } => {
                    Self::WrongName { name, presented }
                }
                error => Self::Certificate { name, error },
            },
            Ok(rustls::Error::AlertReceived(alert)) => Self::Alert { name, alert },
            Ok(error) => Self::Handshake { name, error },
            Err(error) if is_closed(&error) => Self::Closed { name },
            Err(error) => Self::Io { name, error },
        }
    }
}

/// The alert by which the peer ended TLS, if one stands among the causes of `error`. A server that wants a certificate says so only
/// when the handshake is over for the client.
#[must_use]
pub fn alert_in(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::AlertReceived(alert)) = tls {
            return Some(alert_name(*alert));
        }
        cause = error.source();
    }
    None
}

/// The TLS library's error inside an I/O error, if that is what it is.
fn tls_error(error: io::Error) -> Result<rustls::Error, io::Error> {
    error.downcast::<rustls::Error>()
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe
    )
}

/// An alert as the RFC writes it: `unknown_ca` for `UnknownCA`.
fn alert_name(alert: AlertDescription) -> String {
    let camel = format!("{alert:?}");
    let mut name = String::with_capacity(camel.len() + 4);
    let mut after_lower = false;
    for c in camel.chars() {
        if c.is_ascii_uppercase() && after_lower {
            name.push('_');
        }
        after_lower = c.is_ascii_lowercase();
        name.push(c.to_ascii_lowercase());
    }
    name
}

fn list(names: &[String]) -> String {
    match names.len() {
        0 => String::from("no name at all"),
        1..=MAX_LISTED => names.join(", "),
        more => format!(
            "{} and {} more",
            names[..MAX_LISTED].join(", "),
            more - MAX_LISTED
        ),
    }
}

/// Certificates of large sites list hundreds.
const MAX_LISTED: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(alert: AlertDescription) -> TlsError {
        let error = rustls::Error::AlertReceived(alert);
        TlsError::in_handshake(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn alerts_tell_how_sure_distrust_is() {
        use AlertDescription as Alert;
        assert_eq!(alert(Alert::UnknownCA).distrust(), Some(Distrust::Certain));
        assert_eq!(
            alert(Alert::BadCertificate).distrust(),
            Some(Distrust::Certain)
        );
        assert_eq!(
            alert(Alert::CertificateUnknown).distrust(),
            Some(Distrust::Unclear)
        );
        assert_eq!(alert(Alert::InternalError).distrust(), None);
        assert_eq!(
            alert(Alert::UnknownCA).to_string(),
            "the client distrusts our CA (alert unknown_ca)"
        );
        for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset] {
            assert_eq!(
                TlsError::in_handshake(kind.into()).distrust(),
                Some(Distrust::Probable)
            );
            assert_eq!(TlsError::in_hello(kind.into()).distrust(), None);
        }
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        let names: Vec<_> = (0..9).map(|index| format!("n{index}")).collect();
        assert_eq!(list(&names), "n0, n1, n2, n3, n4 and 4 more");
        assert_eq!(list(&names[..2]), "n0, n1");
        assert_eq!(list(&[]), "no name at all");
    }
}
