//! Terminates TLS with our leaf and builds verified TLS to the upstream.
//!
//! In: a connection that starts with a ClientHello ([`hello`]), then the workload's CA ([`Hello::complete`]); a connected
//! socket and the name that policy decided on ([`Upstream::connect`]). Out: clear streams, or errors that say who failed and
//! whether a client distrusts the CA.
//!
//! Invariants: the ClientHello is read whole before anything is answered; no 0-RTT on either side; nothing but a ClientHello
//! is sent upstream before the certificate has proven the very name; our own CAs never vouch for an upstream; aws-lc-rs is the
//! only provider, with X25519MLKEM768 first.
//!
//! Sources: RFC 8446, RFC 7301 (ALPN), RFC 6066 section 3 (SNI).

mod error;
mod hello;
mod peek;
mod roots;
mod upstream;
mod verify;

#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod hello_tests;
#[cfg(test)]
mod upstream_tests;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use error::{Distrust, TlsError, UpstreamTlsError, alert_in};
pub use hello::{Hello, hello};
pub use peek::{Peeked, peek};
pub use roots::{Given, Roots, RootsError, given};
pub use upstream::Upstream;

/// HTTP/2 in ALPN.
pub const H2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN.
pub const HTTP_1_1: &[u8] = b"http/1.1";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
