//! The upstream's WebSockets: each frame comes back as it was, and is noted; a close frame is answered.
//!
//! Frames are read and written here by hand, so that what the gateway does to them is not judged by its own code.

use std::io;

use bytes::{BufMut, BytesMut};
use gateway_user::protocol::websocket;
use hyper::{
    Request, Response, StatusCode, Version,
    body::Incoming,
    header::{
        AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL,
    },
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Journal, Received, connected, pieces::Pieces, realtime};

/// A server name under which WebSockets are served over HTTP/1.1 only.
pub const OLD: &str = "old";

/// Opens a WebSocket where the request asks for one below `/socket`, or to talk with a model.
///
/// `/socket/leak` first says which credential came; `/socket/card` says a card number; `/socket/wrong` accepts with another key's
/// acceptance; `/socket/garbage` sends what is no frame.
pub(super) fn open(request: &mut Request<Incoming>, journal: &Journal) -> Option<Response<Pieces>> {
    let asks = request.extensions().get::<hyper::ext::Protocol>().is_some()
        || request.headers().contains_key(SEC_WEBSOCKET_KEY);
    let path = request.uri().path().to_owned();
    let talks = [realtime::PATH, connected::PATH].contains(&path.as_str());
    if !asks || !(talks || path.starts_with("/socket")) {
        return None;
    }
    let upgrade = hyper::upgrade::on(&mut *request);
    let header = |name| request.headers().get(name).cloned();
    let (mut answer, body) = Response::new(Pieces::whole("")).into_parts();
    let key = match path.as_str() {
        "/socket/wrong" => Some(HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAA==")),
        _ => header(SEC_WEBSOCKET_KEY),
    };
    websocket::opened(&mut answer, request.version(), key.as_ref());
    if request.version() == Version::HTTP_2 {
        answer.status = StatusCode::OK;
    }
    let protocol = header(SEC_WEBSOCKET_PROTOCOL);
    answer
        .headers
        .extend(protocol.map(|protocol| (SEC_WEBSOCKET_PROTOCOL, protocol)));
    // What is compressed comes back as it is, which its sender can read.
    if header(SEC_WEBSOCKET_EXTENSIONS).is_some() {
        let agreed = HeaderValue::from_static("permessage-deflate");
        answer.headers.insert(SEC_WEBSOCKET_EXTENSIONS, agreed);
    }
    let mut first = BytesMut::new();
    match path.as_str() {
        "/socket/leak" => {
            let sent = header(AUTHORIZATION);
            let sent = sent.as_ref().map_or(&b""[..], |sent| sent.as_bytes());
            let (left, right) = sent.split_at(sent.len() / 2);
            write(0x01, left, &mut first);
            write(0x89, sent, &mut first);
            write(0x80, right, &mut first);
        }
        "/socket/card" => write(0x81, br#"{"card": "4111 1111 1111 1111"}"#, &mut first),
        "/socket/garbage" => first.put_slice(b"\xff\x00"),
        _ => {}
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the upstream's runtime"
    )]
    tokio::spawn(serve(
        upgrade,
        first,
        talks.then(|| request.uri().to_string()),
        journal.clone(),
    ));
    Some(Response::from_parts(answer, body))
}

/// Ends when the client does; tests break off on purpose.
async fn serve(upgrade: OnUpgrade, first: BytesMut, talks: Option<String>, journal: Journal) {
    let Ok(upgraded) = upgrade.await else { return };
    let mut io = TokioIo::new(upgraded);
    if let Some(target) = talks {
        let ended = match target.contains(connected::PATH) {
            true => connected::talk(&mut io, &target, &journal).await,
            false => realtime::talk(&mut io, &target, &journal).await,
        };
        return drop(ended);
    }
    if io.write_all(&first).await.is_ok() {
        drop(echo(&mut io, &journal).await);
    }
}

async fn echo(io: &mut (impl AsyncRead + AsyncWrite + Unpin), journal: &Journal) -> io::Result<()> {
    loop {
        let (first, payload) = read(io).await?;
        journal.received(Received {
            method: format!("frame {first:#04x}"),
            path: String::new(),
            version: String::new(),
            sni: None,
            headers: Vec::new(),
            body: payload.clone(),
        });
        // A ping is answered with a pong, everything else with itself.
        let answer = if first == 0x89 { 0x8a } else { first };
        let mut frame = BytesMut::new();
        write(answer, &payload, &mut frame);
        io.write_all(&frame).await?;
        io.flush().await?;
        if first == 0x88 {
            return io.shutdown().await;
        }
    }
}

/// The next frame of a client: its first byte, and what it says.
pub(super) async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let first = io.read_u8().await?;
    let length = match io.read_u8().await? & 0x7f {
        126 => u64::from(io.read_u16().await?),
        127 => io.read_u64().await?,
        short => u64::from(short),
    };
    let mut key = [0; 4];
    io.read_exact(&mut key).await?;
    let mut payload = vec![0; length as usize];
    io.read_exact(&mut payload).await?;
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[index % 4];
    }
    Ok((first, payload))
}

pub(super) fn write(first: u8, payload: &[u8], out: &mut BytesMut) {
    out.put_u8(first);
    match payload.len() {
        length @ 0..126 => out.put_u8(length as u8),
        length @ 126..65536 => {
            out.put_u8(126);
            out.put_u16(length as u16);
        }
        length => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
    out.put_slice(payload);
}
