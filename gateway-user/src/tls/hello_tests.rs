//! ClientHellos cut at every byte and over many records.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

use super::*;
use crate::sniff::Prefixed;

/// The records that a client starts with.
fn first_flight(name: &str, alpn: Vec<Vec<u8>>) -> Vec<u8> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = alpn;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut flight = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut flight).unwrap();
    }
    flight
}

fn both() -> Vec<Vec<u8>> {
    vec![H2.to_vec(), HTTP_1_1.to_vec()]
}

/// The same handshake message in records of another size.
fn reframed(flight: &[u8], size: usize) -> Vec<u8> {
    let (mut rest, mut message) = (flight, Vec::new());
    while let [_, _, _, high, low, after @ ..] = rest {
        let (fragment, next) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        message.extend_from_slice(fragment);
        rest = next;
    }
    let mut records = Vec::new();
    for fragment in message.chunks(size) {
        records.extend([22, 3, 1]);
        records.extend(u16::try_from(fragment.len()).unwrap().to_be_bytes());
        records.extend_from_slice(fragment);
    }
    records
}

async fn read(parts: &[&[u8]]) -> Result<Hello<DuplexStream>, TlsError> {
    let (mut client, server) = duplex(64);
    let send = async {
        for part in parts {
            if client.write_all(part).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        client
    };
    let (hello, _client) = tokio::join!(hello(server), send);
    hello
}

#[tokio::test]
async fn a_hello_is_read_whole_at_every_split() {
    let flight = first_flight("API.OpenAI.com", both());
    for split in 0..=flight.len() {
        let (left, right) = flight.split_at(split);
        let hello = read(&[left, right]).await.unwrap();
        assert_eq!(hello.sni(), Some("api.openai.com"));
        assert_eq!(hello.alpn(), both());
    }
}

#[tokio::test]
async fn a_peeked_hello_is_named_and_nothing_of_it_is_used_up() {
    for (size, split) in [(16_384, 5), (16_384, 100), (1, 77), (200, 300)] {
        let flight = reframed(&first_flight("API.OpenAI.com", both()), size);
        let (mut client, server) = duplex(64);
        let (left, right) = flight.split_at(split);
        let send = async {
            client.write_all(left).await.unwrap();
            tokio::task::yield_now().await;
            client.write_all(right).await.unwrap();
            client.write_all(b"early").await.unwrap();
            client.shutdown().await.unwrap();
        };
        let (peeked, ()) = tokio::join!(peek(Prefixed::new(Vec::new(), server)), send);
        assert_eq!(peeked.sni.unwrap().unwrap(), "api.openai.com");
        let (mut io, mut all) = (peeked.io, Vec::new());
        io.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [&flight[..], b"early"].concat());
    }
    for broken in [
        &b"\x16\x03\x01\x00\x05nonsense"[..],
        b"\x16\x03\x01\x02\x00\x01",
    ] {
        let (mut client, server) = duplex(64);
        client.write_all(broken).await.unwrap();
        client.shutdown().await.unwrap();
        let peeked = peek(Prefixed::new(Vec::new(), server)).await;
        assert!(peeked.sni.is_err());
        assert_eq!(peeked.io.prefix(), broken);
    }
}

#[tokio::test]
async fn a_hello_is_read_whole_in_records_of_every_size() {
    let flight = first_flight("api.openai.com", both());
    for size in (1..64).chain([100, 500, 1000, 1400]) {
        let records = reframed(&flight, size);
        let bytes: Vec<_> = records.chunks(7).collect();
        let hello = read(&bytes).await.unwrap();
        assert_eq!(
            (hello.sni(), hello.alpn()),
            (Some("api.openai.com"), both().as_slice())
        );
    }
}

#[tokio::test]
async fn a_hello_of_many_records_is_read_whole() {
    let names: Vec<_> = (0..4400)
        .map(|index| format!("protocol-{index}").into_bytes())
        .collect();
    let flight = first_flight("api.openai.com", names.clone());
    assert!(
        flight.len() > 60_000 && flight[3..5] == [0x40, 0],
        "{}",
        flight.len()
    );
    for records in [flight.clone(), reframed(&flight, 1000)] {
        let hello = read(&[&records]).await.unwrap();
        assert_eq!(
            (hello.sni(), hello.alpn()),
            (Some("api.openai.com"), names.as_slice())
        );
    }
}

#[tokio::test]
async fn a_hello_above_64_kib_is_refused() {
    let claims_too_much = [vec![22, 3, 1, 0x40, 0, 1, 1, 0, 0], vec![0; 0x4000 - 4]].concat();
    let names = (0..3000)
        .map(|index| format!("protocol-{index}").into_bytes())
        .collect();
    let mostly_headers = reframed(&first_flight("api.openai.com", names), 1);
    for records in [claims_too_much, mostly_headers] {
        let result = read(&[&records]).await;
        assert!(matches!(result, Err(TlsError::HelloTooLarge)), "{result:?}");
    }
}

#[tokio::test]
async fn names_are_normal_or_refused() {
    for (sent, expected) in [
        ("api.openai.comX", Ok(Some("api.openai.com"))),
        ("API.openai.org_", Err(())),
        ("api.openai.com", Ok(Some("api.openai.com"))),
        ("127.0.0.1", Ok(None)),
        ("10.10.10.10.ab", Ok(None)),
    ] {
        let mut flight = first_flight(sent, Vec::new());
        let patch = |flight: &mut Vec<u8>, from: &[u8], to: &[u8]| {
            let at = flight
                .windows(from.len())
                .position(|window| window == from)
                .unwrap();
            flight[at..at + to.len()].copy_from_slice(to);
        };
        match sent {
            "api.openai.comX" => patch(&mut flight, b"comX", b"com."),
            "API.openai.org_" => patch(&mut flight, b"org_", b"or!."),
            // Some clients put an address where only a name may stand: it counts as none.
            "10.10.10.10.ab" => patch(&mut flight, b"10.10.10.10.ab", b"100.100.100.10"),
            _ => {}
        }
        let result = read(&[&flight]).await;
        let name = result.as_ref().map(Hello::sni).map_err(|_| ());
        assert_eq!(name, expected, "{sent}: {result:?}");
    }
}

#[tokio::test]
async fn without_a_name_the_dialled_address_is_what_the_leaf_is_for() {
    let dialled = "127.0.0.2".parse().unwrap();
    let hello = read(&[&first_flight("127.0.0.9", both())]).await.unwrap();
    assert_eq!(hello.name(dialled), ServerName::IpAddress(dialled.into()));
    let hello = read(&[&first_flight("api.openai.com", both())])
        .await
        .unwrap();
    assert_eq!(hello.name(dialled).to_str(), "api.openai.com");
}

#[tokio::test]
async fn what_is_not_a_hello_is_answered_with_an_alert() {
    let alert = [21, 3, 3, 0, 2, 1, 0];
    let server_hello = [22, 3, 3, 0, 4, 2, 0, 0, 0];
    let broken = [22, 3, 3, 0, 5, 1, 0, 0, 1, 0];
    for bytes in [&alert[..], &server_hello, &broken] {
        let (mut client, server) = duplex(1024);
        client.write_all(bytes).await.unwrap();
        let error = hello(server).await.unwrap_err();
        assert!(matches!(error, TlsError::Hello(_)), "{error:?}");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_within_its_hello_is_told_apart() {
    let flight = first_flight("api.openai.com", both());
    for length in [0, 1, 5, 6, 100, flight.len() - 1] {
        let (mut client, server) = duplex(4096);
        client.write_all(&flight[..length]).await.unwrap();
        drop(client);
        assert!(matches!(hello(server).await, Err(TlsError::HelloClosed)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hello_that_trickles_meets_the_deadline() {
    let flight = first_flight("api.openai.com", both());
    let (mut client, server) = duplex(4096);
    let started = Instant::now();
    let trickle = async {
        for byte in flight {
            if client.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let (read, ()) = tokio::join!(
        async {
            let result = hello(server).await;
            (result, started.elapsed())
        },
        trickle
    );
    assert!(matches!(read.0, Err(TlsError::HelloTimeout(_))));
    assert_eq!(read.1, Duration::from_secs(10));
}
