//! Upstreams that prove their name, and those that do not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::keeper::Keeper;

const DAY: Duration = Duration::from_secs(86_400);

/// A root that is none of ours.
struct Root {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Root {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let name = format!("root {:?}", params.key_identifier(&key));
        params.distinguished_name.push(DnType::CommonName, name);
        Self {
            certificate: params.self_signed(&key).unwrap(),
            issuer: Issuer::new(params, key),
        }
    }

    fn roots(&self) -> Roots {
        Roots::new([self.certificate.der().clone()])
    }

    /// A server for `names` whose certificate is valid in these days, counted from today.
    fn server(&self, names: &[&str], days: std::ops::Range<i32>) -> TlsAcceptor {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let day = |day: i32| match day < 0 {
            true => SystemTime::now() - DAY * day.unsigned_abs(),
            false => SystemTime::now() + DAY * day.unsigned_abs(),
        };
        params.not_before = day(days.start).into();
        params.not_after = day(days.end).into();
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        acceptor(leaf.der(), &key, &HTTP)
    }
}

const HTTP: [&[u8]; 2] = [H2, HTTP_1_1];

fn acceptor(leaf: &CertificateDer<'static>, key: &KeyPair, alpn: &[&[u8]]) -> TlsAcceptor {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Connects and sends a secret once the name is proven. Gives what the client saw and what the server received in the clear.
async fn send(
    upstream: &Upstream,
    server: TlsAcceptor,
    name: &str,
) -> (Result<Option<Vec<u8>>, UpstreamTlsError>, Vec<u8>) {
    let (client, io) = duplex(16 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let serve = async {
        let mut received = Vec::new();
        if let Ok(mut io) = server.accept(io).await {
            // An alert of the client ends this with an error.
            drop(io.read_to_end(&mut received).await);
        }
        received
    };
    let connect = async {
        let mut io = upstream.connect(client, name, &HTTP).await?;
        io.write_all(b"secret").await.unwrap();
        io.shutdown().await.unwrap();
        // The server still sends tickets.
        drop(io.read_to_end(&mut Vec::new()).await);
        Ok(io.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
    };
    tokio::join!(connect, serve)
}

#[tokio::test]
async fn a_proven_name_is_served_also_when_it_is_an_address() {
    let root = Root::new();
    let upstream = Upstream::new(&root.roots(), None).unwrap();
    for name in ["api.openai.com", "127.0.0.2", "::1"] {
        let (sent, received) = send(&upstream, root.server(&[name], -1..1), name).await;
        assert_eq!(sent.unwrap().as_deref(), Some(H2));
        assert_eq!(received, b"secret");
    }
}

#[tokio::test]
async fn a_certificate_for_others_is_refused_before_anything_is_sent() {
    let root = Root::new();
    let upstream = Upstream::new(&root.roots(), None).unwrap();
    for (presented, wanted) in [
        ("api.anthropic.com", "api.openai.com"),
        ("*.openai.com", "openai.com"),
        ("*.openai.com", "a.b.openai.com"),
        ("127.0.0.3", "127.0.0.2"),
        ("localhost", "127.0.0.2"),
    ] {
        let (sent, received) = send(&upstream, root.server(&[presented], -1..1), wanted).await;
        let error = sent.unwrap_err();
        assert!(
            matches!(error, UpstreamTlsError::WrongName { .. }),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("the certificate presented for {wanted} is for ")),
            "{error}"
        );
        assert_eq!(received, b"");
    }
}

#[tokio::test]
async fn times_are_checked_and_told() {
    let root = Root::new();
    let upstream = Upstream::new(&root.roots(), None).unwrap();
    let (sent, received) = send(&upstream, root.server(&["a.example"], -9..-3), "a.example").await;
    assert_eq!(
        sent.unwrap_err().to_string(),
        "the certificate of a.example expired 3 days ago"
    );
    assert_eq!(received, b"");
    let (sent, received) = send(&upstream, root.server(&["a.example"], 3..9), "a.example").await;
    assert_eq!(
        sent.unwrap_err().to_string(),
        "the certificate of a.example is not valid yet"
    );
    assert_eq!(received, b"");
}

#[tokio::test]
async fn unknown_issuers_and_self_signed_certificates_are_refused() {
    let (root, other) = (Root::new(), Root::new());
    let upstream = Upstream::new(&other.roots(), None).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![String::from("a.example")])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    for (server, self_signed) in [
        (root.server(&["a.example"], -1..1), false),
        (acceptor(own.der(), &key, &HTTP), true),
    ] {
        let (sent, received) = send(&upstream, server, "a.example").await;
        let error = sent.unwrap_err();
        let told = match error {
            UpstreamTlsError::UnknownIssuer { .. } => false,
            UpstreamTlsError::SelfSigned { .. } => true,
            error => panic!("{error:?}"),
        };
        assert_eq!(told, self_signed);
        assert_eq!(received, b"");
    }
}

#[tokio::test]
async fn a_file_adds_roots_for_one_service() {
    let directory = tempfile::tempdir().unwrap();
    let (public, private) = (Root::new(), Root::new());
    let file = directory.path().join("private.pem");
    fs::write(&file, private.certificate.pem()).unwrap();
    let plain = Upstream::new(&public.roots(), None).unwrap();
    let extra = Upstream::new(&public.roots(), Some(&file)).unwrap();
    let private_server = || private.server(&["a.example"], -1..1);
    assert!(send(&plain, private_server(), "a.example").await.0.is_err());
    assert!(send(&extra, private_server(), "a.example").await.0.is_ok());
    assert!(
        send(&extra, public.server(&["a.example"], -1..1), "a.example")
            .await
            .0
            .is_ok()
    );
}

#[test]
fn unusable_files_of_roots_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let roots = Root::new().roots();
    let file = directory.path().join("ca.pem");
    let refused = || Upstream::new(&roots, Some(&file)).unwrap_err();
    assert!(matches!(refused(), RootsError::Read { .. }));
    fs::write(&file, "no certificate here").unwrap();
    assert!(matches!(refused(), RootsError::Empty { .. }));
    fs::write(
        &file,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(matches!(refused(), RootsError::Unusable { .. }));
    let keeper = Keeper::open(&directory.path().join("state")).unwrap();
    fs::write(&file, keeper.authority("agent").unwrap().pem()).unwrap();
    let error = refused();
    assert!(matches!(error, RootsError::Own { .. }));
    assert!(error.to_string().starts_with(file.to_str().unwrap()));
}

#[tokio::test]
async fn our_own_authority_never_vouches_for_an_upstream() {
    let state = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(state.path()).unwrap();
    let authority = keeper.authority("agent").unwrap();
    let upstream = Upstream::new(&Roots::new([authority.signing().der().clone()]), None).unwrap();
    let (client, io) = duplex(16 * 1024);
    let name = ServerName::try_from("a.example").unwrap();
    let serve = async {
        let hello = hello(io).await?;
        hello
            .complete(&authority, "127.0.0.2".parse().unwrap())
            .await
    };
    let (connected, served) = tokio::join!(upstream.connect(client, name.clone(), &HTTP), serve);
    assert!(matches!(
        connected.unwrap_err(),
        UpstreamTlsError::UnknownIssuer { .. }
    ));
    assert_eq!(served.unwrap_err().distrust(), Some(Distrust::Certain));
}

#[tokio::test]
async fn servers_that_do_not_shake_hands_are_told_apart() {
    let root = Root::new();
    let upstream = Upstream::new(&root.roots(), None).unwrap();
    let name = || ServerName::try_from("a.example").unwrap();

    let (client, server) = duplex(16 * 1024);
    let close = async { drop(server) };
    let (closed, ()) = tokio::join!(upstream.connect(client, name(), &HTTP), close);
    assert!(matches!(closed, Err(UpstreamTlsError::Closed { .. })));

    let (client, mut server) = duplex(16 * 1024);
    server
        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .await
        .unwrap();
    let spoke = upstream.connect(client, name(), &HTTP).await;
    assert!(matches!(spoke, Err(UpstreamTlsError::Handshake { .. })));

    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![String::from("a.example")]).unwrap();
    let leaf = leaf.signed_by(&key, &root.issuer).unwrap();
    let (sent, _) = send(
        &upstream,
        acceptor(leaf.der(), &key, &[b"postgresql"]),
        "a.example",
    )
    .await;
    let error = sent.unwrap_err().to_string();
    assert_eq!(
        error,
        "a.example ended the TLS handshake (alert no_application_protocol)"
    );
    let (sent, _) = send(&upstream, acceptor(leaf.der(), &key, &[]), "a.example").await;
    assert_eq!(sent.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_meets_the_deadline() {
    let upstream = Upstream::new(&Root::new().roots(), None).unwrap();
    let (client, _server) = duplex(16 * 1024);
    let name = ServerName::try_from("a.example").unwrap();
    let error = upstream.connect(client, name, &HTTP).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the TLS handshake with a.example did not end within 10s"
    );
}
