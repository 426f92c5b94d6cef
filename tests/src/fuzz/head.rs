//! HTTP/1 requests: whatever arrives, what leaves is exactly the requests that were read, each with one framing.
//!
//! The bytes go through the parser that the gateway serves with, its reading of the head, and the writer it forwards with. What that
//! writes is read again by a parser of its own, which refuses everything that two servers could read differently.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gateway_user::protocol::http as protocol;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{Request, Response, Uri, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Duration, timeout};

/// A request, as far as it has to survive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    method: String,
    target: String,
    host: String,
    body: Vec<u8>,
}

pub(super) fn run(data: &[u8]) {
    let Some((&chunked, bytes)) = data.split_first() else {
        return;
    };
    super::paused(serve(bytes, chunked % 2 == 1));
}

/// Reads requests as the gateway does and forwards each.
async fn serve(bytes: &[u8], chunked: bool) {
    let (mut client, server) = duplex(bytes.len() + 1);
    let written = client.write_all(bytes).await;
    assert!(written.is_ok());
    drop(client.shutdown().await);
    let read = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let read = Arc::clone(&read);
        async move {
            let (parts, body) = request.into_parts();
            let head = protocol::read(&parts, None, 80);
            let body = body.collect().await;
            if let (Ok(head), Ok(body)) = (head, body) {
                let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                read.push((head, parts.headers, body.to_bytes()));
            }
            Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::new())))
        }
    });
    // The gateway's answers are not looked at; the client has nothing more to say.
    let answers = async {
        let mut sink = Vec::new();
        drop(client.read_to_end(&mut sink).await);
    };
    let serving = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(server), service);
    let (_, ()) = tokio::join!(timeout(DEADLINE, serving), answers);
    let read = std::mem::take(&mut *read.lock().unwrap_or_else(PoisonError::into_inner));
    for (head, mut headers, body) in read {
        let expected = Message {
            method: head.method.to_string(),
            target: head.target.clone(),
            host: head.authority.clone(),
            body: body.to_vec(),
        };
        protocol::end_to_end(&mut headers);
        let Ok(host) = header::HeaderValue::from_str(&head.authority) else {
            panic!("a host that no header can carry: {:?}", head.authority);
        };
        headers.insert(header::HOST, host);
        let Ok(target) = head.target.parse::<Uri>() else {
            panic!(
                "a target that was read but cannot be written: {:?}",
                head.target
            );
        };
        let mut request = Request::new(outgoing(body, chunked));
        *request.method_mut() = head.method;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        assert_eq!(forwarded(request).await, [expected]);
    }
}

/// A body of known or of unknown length.
fn outgoing(bytes: Bytes, chunked: bool) -> UnsyncBoxBody<Bytes, std::convert::Infallible> {
    if chunked {
        let frames = http_body_util::combinators::BoxBody::new(Full::new(bytes));
        Unsized(frames).boxed_unsync()
    } else {
        Full::new(bytes).boxed_unsync()
    }
}

/// What an upstream reads of one forwarded request.
async fn forwarded(
    request: Request<UnsyncBoxBody<Bytes, std::convert::Infallible>>,
) -> Vec<Message> {
    let (gateway, upstream) = duplex(1 << 20);
    let Ok((mut sender, connection)) =
        hyper::client::conn::http1::handshake(TokioIo::new(gateway)).await
    else {
        panic!("no connection to the upstream");
    };
    let sending = async move {
        drop(timeout(DEADLINE, sender.send_request(request)).await);
    };
    let (read, _, ()) = tokio::join!(
        upstream_reads(upstream),
        timeout(DEADLINE, connection),
        sending
    );
    strict(&read)
}

/// Every byte until the gateway is quiet; nothing is answered.
async fn upstream_reads(mut upstream: DuplexStream) -> Vec<u8> {
    let (mut read, mut buffer) = (Vec::new(), vec![0; 4096]);
    while let Ok(Ok(length @ 1..)) = timeout(QUIET, upstream.read(&mut buffer)).await {
        read.extend_from_slice(&buffer[..length]);
    }
    read
}

/// Requests by the letter of RFC 9112, without any of its leniencies.
fn strict(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let Some(end) = find(bytes, b"\r\n\r\n") else {
            panic!("a head without an end: {}", bytes.escape_ascii());
        };
        let head = &bytes[..end];
        bytes = &bytes[end + 4..];
        let mut lines = split(head).into_iter();
        let first = text(lines.next().unwrap_or_default());
        let words: Vec<&str> = first.split(' ').collect();
        let [method, target, "HTTP/1.1"] = words[..] else {
            panic!("not a request line: {first:?}");
        };
        let (mut hosts, mut lengths, mut codings) = (Vec::new(), Vec::new(), Vec::new());
        for line in lines {
            assert!(
                !line.contains(&b'\r') && !line.contains(&b'\n') && !line.contains(&0),
                "{}",
                line.escape_ascii()
            );
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                panic!("a line without a colon: {}", line.escape_ascii());
            };
            let name = text(&line[..colon]).to_ascii_lowercase();
            assert!(
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()),
                "{name:?}"
            );
            let value = line[colon + 1..].trim_ascii().to_vec();
            match name.as_str() {
                "host" => hosts.push(value),
                "content-length" => lengths.push(value),
                "transfer-encoding" => codings.push(value),
                _ => {}
            }
        }
        assert_eq!(hosts.len(), 1);
        let (body, rest) = match (&lengths[..], &codings[..]) {
            ([], []) => (Vec::new(), bytes),
            ([length], []) => {
                let Ok(length) = text(length).parse::<usize>() else {
                    panic!("not a length: {}", length.escape_ascii());
                };
                (bytes[..length].to_vec(), &bytes[length..])
            }
            ([], [coding]) if coding == b"chunked" => chunks(bytes),
            _ => panic!("two framings: {lengths:?} {codings:?}"),
        };
        bytes = rest;
        messages.push(Message {
            method: method.to_owned(),
            target: target.to_owned(),
            host: text(&hosts[0]).to_owned(),
            body,
        });
    }
    messages
}

/// A chunked body without extensions and trailers, and what comes behind it.
fn chunks(mut bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    loop {
        let Some(end) = find(bytes, b"\r\n") else {
            panic!("a chunk without a size");
        };
        let Ok(size) = usize::from_str_radix(text(&bytes[..end]), 16) else {
            panic!("not a size: {}", bytes[..end].escape_ascii());
        };
        let chunk = &bytes[end + 2..];
        body.extend_from_slice(&chunk[..size]);
        assert_eq!(&chunk[size..size + 2], b"\r\n");
        bytes = &chunk[size + 2..];
        if size == 0 {
            return (body, bytes);
        }
    }
}

fn split(head: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut rest) = (Vec::new(), head);
    while let Some(end) = find(rest, b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    lines
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn text(bytes: &[u8]) -> &str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("not text: {}", bytes.escape_ascii()),
    }
}

/// A body that does not say how long it is.
struct Unsized<B>(B);

impl<B> hyper::body::Body for Unsized<B>
where
    B: hyper::body::Body + Unpin,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<B::Data>, B::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(context)
    }
}

/// Of the standing clock: met only where nothing moves any more.
const DEADLINE: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_secs(1);
