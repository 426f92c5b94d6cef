//! Every prefix of every protocol, with paused time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{Instant, sleep};

use super::prefix::{PREFACE, name};
use super::*;

/// A first flight, the protocol it belongs to, and how many of its bytes are needed to know.
const FLIGHTS: [(&[u8], Wire, usize); 22] = [
    (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        Wire::Tls,
        6,
    ),
    (
        b"\x16\x03\x03\x00\x01\x01\x16\x03\x03\x00\x01\x00",
        Wire::Tls,
        6,
    ),
    (b"\x16\x03\x01\x02\x00\x02", Wire::Unknown, 6),
    (b"\x16\x03\x01\x00\x00\x01", Wire::Unknown, 5),
    (b"\x16\x03\x01\x40\x01\x01", Wire::Unknown, 5),
    (b"\x16\x03\x09\x00\x10\x01", Wire::Unknown, 3),
    (b"\x16\x02\x00\x00\x10\x01", Wire::Unknown, 2),
    (b"\x15\x03\x01\x00\x02\x02\x28", Wire::Unknown, 1),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Wire::Http1, 4),
    (b"POST /v1/chat/completions HTTP/1.1\r\n", Wire::Http1, 5),
    (b"PATCH /x HTTP/1.1\r\n", Wire::Http1, 6),
    (b"PROPFIND /dav HTTP/1.1\r\n", Wire::Http1, 24),
    (b"M-SEARCH * HTTP/1.0\n", Wire::Http1, 20),
    (b"CONNECT a:443 HTTP/1.1\r\n", Wire::Http1, 24),
    (b"CONNECT {\"verbose\":false}\r\n", Wire::Unknown, 27),
    (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04",
        Wire::Http2,
        24,
    ),
    (b"PRI * HTTP/1.1\r\n", Wire::Http1, 16),
    (b"PRI * HTTP/2.0\r\n\r\nGET", Wire::Unknown, 19),
    (b"EHLO client.example\r\n", Wire::Unknown, 21),
    (b"*1\r\n$4\r\nPING\r\n", Wire::Unknown, 1),
    (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Wire::Unknown, 1),
    (b"GET/ HTTP/1.1\r\n", Wire::Unknown, 4),
];

#[test]
fn every_prefix_is_undecided_until_the_byte_that_decides() {
    for (flight, wire, needed) in FLIGHTS {
        for length in 0..=flight.len() {
            let expected = (length >= needed).then_some(wire);
            assert_eq!(name(&flight[..length]), expected, "{:?}", &flight[..length]);
        }
    }
}

#[test]
fn a_method_has_a_bound() {
    assert_eq!(name(&[b'A'; 32]), None);
    assert_eq!(name(&[b'A'; 33]), Some(Wire::Unknown));
}

proptest! {
    #[test]
    fn an_answer_never_changes(bytes in prop::collection::vec(any::<u8>(), 0..40), start in 0..FLIGHTS.len(), keep in 0usize..28) {
        let flight = FLIGHTS[start].0;
        let mut all = flight[..keep.min(flight.len())].to_vec();
        all.extend(bytes);
        let mut answer = None;
        for length in 0..=all.len() {
            let now = name(&all[..length]);
            prop_assert!(answer.is_none() || now == answer);
            answer = now;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_prefix_then_silence_is_decided_in_time_and_replayed() {
    for (flight, wire, needed) in FLIGHTS {
        for length in 1..=flight.len() {
            let (mut client, server) = duplex(4096);
            client.write_all(&flight[..length]).await.unwrap();
            let started = Instant::now();
            let mut sniffed = classify(server, Deadlines::default()).await.unwrap();
            let (expected, after) = match length >= needed {
                true => (wire, Duration::ZERO),
                false => (Wire::Unknown, Duration::from_secs(10)),
            };
            assert_eq!((sniffed.wire, started.elapsed()), (expected, after));
            assert_eq!(sniffed.io.prefix(), &flight[..length]);
            drop(client);
            let mut replayed = Vec::new();
            sniffed.io.read_to_end(&mut replayed).await.unwrap();
            assert_eq!(replayed, &flight[..length]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_prefix_then_eof_is_decided_at_once() {
    for (flight, wire, needed) in FLIGHTS {
        for length in 1..=flight.len() {
            let (mut client, server) = duplex(4096);
            client.write_all(&flight[..length]).await.unwrap();
            drop(client);
            let started = Instant::now();
            let sniffed = classify(server, Deadlines::default()).await.unwrap();
            let expected = if length >= needed {
                wire
            } else {
                Wire::Unknown
            };
            assert_eq!(
                (sniffed.wire, started.elapsed()),
                (expected, Duration::ZERO)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_come_one_by_one_are_read_no_further_than_needed() {
    for (flight, wire, needed) in FLIGHTS {
        let (mut client, server) = duplex(4096);
        let send = async {
            for byte in flight {
                client.write_all(&[*byte]).await.unwrap();
                sleep(Duration::from_millis(100)).await;
            }
            client
        };
        let (sniffed, client) = tokio::join!(classify(server, Deadlines::default()), send);
        let mut sniffed = sniffed.unwrap();
        assert_eq!((sniffed.wire, sniffed.io.prefix().len()), (wire, needed));
        drop(client);
        let mut replayed = Vec::new();
        sniffed.io.read_to_end(&mut replayed).await.unwrap();
        assert_eq!(replayed, flight);
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_second_of_silence_means_that_the_server_speaks_first() {
    let (_client, server) = duplex(64);
    let started = Instant::now();
    let sniffed = classify(server, Deadlines::default()).await.unwrap();
    assert_eq!(sniffed.wire, Wire::ServerFirst);
    assert_eq!(started.elapsed(), Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_without_a_byte_is_told_apart() {
    let (client, server) = duplex(64);
    drop(client);
    assert!(matches!(
        classify(server, Deadlines::default()).await,
        Err(SniffError::Closed)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_line_without_end_is_unknown_at_the_bound_and_kept_whole() {
    let (mut client, server) = duplex(64 * 1024);
    let mut line = b"REPORT /".to_vec();
    line.resize(20_000, b'a');
    client.write_all(&line).await.unwrap();
    drop(client);
    let mut sniffed = classify(server, Deadlines::default()).await.unwrap();
    assert_eq!(
        (sniffed.wire, sniffed.io.prefix().len()),
        (Wire::Unknown, 8 * 1024)
    );
    let mut replayed = Vec::new();
    sniffed.io.read_to_end(&mut replayed).await.unwrap();
    assert_eq!(replayed, line);
}

#[tokio::test]
async fn writes_pass_through_vectored_ones_too() {
    let (mut client, server) = duplex(64);
    let mut io = Prefixed::new(PREFACE.to_vec(), server);
    assert!(io.is_write_vectored());
    let written = io
        .write_vectored(&[
            std::io::IoSlice::new(b"one "),
            std::io::IoSlice::new(b"two"),
        ])
        .await
        .unwrap();
    assert_eq!(written, 7);
    io.shutdown().await.unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"one two");
}

#[tokio::test]
async fn a_prefix_is_read_in_pieces_of_any_size() {
    for size in 1..=PREFACE.len() + 1 {
        let (mut client, server) = duplex(64);
        client.write_all(b"rest").await.unwrap();
        drop(client);
        let mut io = Prefixed::new(PREFACE.to_vec(), server);
        let (mut all, mut piece) = (Vec::new(), vec![0; size]);
        loop {
            let length = io.read(&mut piece).await.unwrap();
            if length == 0 {
                break;
            }
            all.extend_from_slice(&piece[..length]);
        }
        assert_eq!(all, [PREFACE, b"rest"].concat());
    }
}
