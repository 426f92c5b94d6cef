//! Real TLS clients against our termination: trust, distrust and ALPN.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, NamedGroup, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::server;

use super::*;
use crate::keeper::{Authority, Keeper};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
const HTTP: [&[u8]; 2] = [H2, HTTP_1_1];

fn authorities() -> (TempDir, Arc<Authority>, Arc<Authority>) {
    let state = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(state.path()).unwrap();
    let (one, other) = (
        keeper.authority("one").unwrap(),
        keeper.authority("other").unwrap(),
    );
    (state, one, other)
}

/// A client that verifies with webpki and trusts `root` alone.
fn client(
    root: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    alpn: &[&[u8]],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

fn dialled() -> IpAddr {
    IpAddr::from([127, 0, 0, 2])
}

type Both = (
    Result<server::TlsStream<DuplexStream>, TlsError>,
    std::io::Result<TlsStream<DuplexStream>>,
);

async fn shake(connector: &TlsConnector, name: &str, authority: &Authority) -> Both {
    let (client, server) = duplex(16 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let serve = async {
        let hello = hello(server).await?;
        hello.complete(authority, dialled()).await
    };
    let connect = async {
        let mut io = connector.connect(name, client).await?;
        io.write_all(b"request").await?;
        Ok(io)
    };
    tokio::join!(serve, connect)
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served() {
    let (_state, authority, _) = authorities();
    for version in VERSIONS {
        for name in ["api.openai.com", "127.0.0.2"] {
            let (clear, client) = shake(
                &client(authority.signing().der(), version, &HTTP),
                name,
                &authority,
            )
            .await;
            let mut clear = clear.unwrap();
            client.unwrap();
            assert_eq!(clear.get_ref().1.protocol_version(), Some(version.version));
            let mut request = [0; 7];
            clear.read_exact(&mut request).await.unwrap();
            assert_eq!(&request, b"request");
        }
    }
}

#[tokio::test]
async fn the_post_quantum_group_comes_first() {
    assert_eq!(provider().kx_groups[0].name(), NamedGroup::X25519MLKEM768);
    let (_state, authority, _) = authorities();
    let (clear, _client) = shake(
        &client(authority.signing().der(), &TLS13, &[]),
        "a.example",
        &authority,
    )
    .await;
    let group = clear
        .unwrap()
        .get_ref()
        .1
        .negotiated_key_exchange_group()
        .unwrap()
        .name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn the_clients_preference_decides_the_application_protocol() {
    let (_state, authority, _) = authorities();
    for (offered, agreed) in [
        (&[H2, HTTP_1_1][..], Some(H2)),
        (&[HTTP_1_1, H2], Some(HTTP_1_1)),
        (&[b"h3", b"http/1.0", HTTP_1_1], Some(HTTP_1_1)),
        (&[H2], Some(H2)),
        (&[], None),
    ] {
        let (clear, client) = shake(
            &client(authority.signing().der(), &TLS13, offered),
            "a.example",
            &authority,
        )
        .await;
        assert_eq!(clear.unwrap().get_ref().1.alpn_protocol(), agreed);
        assert_eq!(client.unwrap().get_ref().1.alpn_protocol(), agreed);
    }
    let (clear, client) = shake(
        &client(authority.signing().der(), &TLS13, &[b"postgresql"]),
        "a.example",
        &authority,
    )
    .await;
    assert!(matches!(clear, Err(TlsError::NoCommonAlpn)));
    assert!(
        client
            .unwrap_err()
            .to_string()
            .contains("NoApplicationProtocol")
    );
}

#[tokio::test]
async fn a_client_that_distrusts_says_so() {
    let (_state, authority, other) = authorities();
    for version in VERSIONS {
        let (clear, client) = shake(
            &client(other.signing().der(), version, &HTTP),
            "a.example",
            &authority,
        )
        .await;
        client.unwrap_err();
        let error = clear.unwrap_err();
        assert_eq!(error.distrust(), Some(Distrust::Certain));
        assert_eq!(
            error.to_string(),
            "the client distrusts our CA (alert unknown_ca)"
        );
    }
}

#[tokio::test]
async fn a_client_that_leaves_with_the_certificate_probably_distrusts() {
    let (_state, authority, _) = authorities();
    let (client_io, server) = duplex(16 * 1024);
    let connector = client(authority.signing().der(), &TLS13, &HTTP);
    let serve = async {
        let hello = hello(server).await?;
        hello.complete(&authority, dialled()).await
    };
    let leave = async {
        let (mut ours, relayed) = duplex(16 * 1024);
        let handshake = connector.connect(ServerName::try_from("a.example").unwrap(), relayed);
        let relay = async {
            let mut client_io = client_io;
            let mut bytes = vec![0; 16 * 1024];
            let length = ours.read(&mut bytes).await.unwrap();
            client_io.write_all(&bytes[..length]).await.unwrap();
            // The server's flight has come: leave without an answer.
            assert!(client_io.read(&mut bytes).await.unwrap() > 1000);
        };
        tokio::select! {
            _ = handshake => panic!("nothing was relayed back"),
            () = relay => {}
        }
    };
    let (clear, ()) = tokio::join!(serve, leave);
    let error = clear.unwrap_err();
    assert!(
        matches!(error, TlsError::ClosedAfterCertificate),
        "{error:?}"
    );
    assert_eq!(error.distrust(), Some(Distrust::Probable));
}

#[tokio::test]
async fn nothing_follows_the_handshake_unasked_and_no_session_is_resumed() {
    let (_state, authority, _) = authorities();
    for version in VERSIONS {
        let connector = client(authority.signing().der(), version, &HTTP);
        for _ in 0..2 {
            let (server, client) = shake(&connector, "a.example", &authority).await;
            let (mut server, mut client) = (server.unwrap(), client.unwrap());
            server.write_all(b"answer").await.unwrap();
            client.read_exact(&mut [0; 6]).await.unwrap();
            let client = client.get_ref().1;
            assert_eq!(client.tls13_tickets_received(), 0);
            assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_meets_the_deadline() {
    let (_state, authority, _) = authorities();
    let (client_io, server) = duplex(16 * 1024);
    let connector = client(authority.signing().der(), &TLS13, &HTTP);
    let (mut ours, relayed) = duplex(16 * 1024);
    let handshake = connector.connect(ServerName::try_from("a.example").unwrap(), relayed);
    let serve = async {
        let mut client_io = client_io;
        let mut flight = vec![0; 16 * 1024];
        let length = ours.read(&mut flight).await.unwrap();
        client_io.write_all(&flight[..length]).await.unwrap();
        let hello = hello(server).await.unwrap();
        let started = Instant::now();
        let result = hello.complete(&authority, dialled()).await;
        drop(client_io);
        (result, started.elapsed())
    };
    let (result, took) = tokio::select! {
        _ = handshake => panic!("nothing was relayed back"),
        served = serve => served,
    };
    assert!(matches!(result, Err(TlsError::HandshakeTimeout(_))));
    assert_eq!(took, Duration::from_secs(10));
}
