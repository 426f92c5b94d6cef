//! WebSockets over both versions of HTTP: decided and recorded as one exchange, frames judged one by one.

use serde_json::json;

use crate::{
    fixture::{Proxy, SECRET},
    socket::{Frame, Socket, WAYS, ask, frame, open},
};

const OPEN: &str = r#"
@id("sockets")
permit (principal, action == Action::"http.websocket", resource)
when { [Service::"files", Service::"held"].contains(resource) };
"#;
const MASK: &str = r#"
@id("mask-sockets") @mask("pii")
forbid (principal, action == Action::"http.websocket", resource)
unless { context.masked.contains("pii") };
"#;
const NO_SECRETS: &str = r#"
@id("no-secrets") @message("a message has a key in it")
forbid (principal, action in Action::"http", resource)
when { context.findings.contains("secrets") };
"#;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const KEY: &str = "sk-proj-Zk3vT9qLw2Xr8Yb5Nc7Md1Pf4Gh6Js0Ae";

async fn echoed(socket: &mut Socket, first: u8, payload: &[u8]) -> anyhow::Result<()> {
    socket.send(&frame(first, payload)).await?;
    let answer = if first == PING { PONG } else { first };
    let came = socket.frame().await?;
    let payload = payload.to_vec();
    assert_eq!(
        came,
        Some(Frame {
            first: answer,
            payload
        })
    );
    Ok(())
}

#[tokio::test]
async fn every_kind_of_frame_passes_and_the_whole_is_one_exchange() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(OPEN).await?;
    for way in WAYS {
        let extra = [
            ("Sec-WebSocket-Protocol", "chat"),
            ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ];
        let mut answer = ask(&proxy, *way, "/socket?a=1", &extra).await?;
        assert_eq!(answer.header("sec-websocket-protocol"), Some("chat"));
        let accept = answer.header("sec-websocket-accept");
        let expected = (way.0 != "h2").then_some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accept, expected);
        let socket = &mut answer.socket;
        echoed(socket, TEXT, b"hello").await?;
        echoed(socket, BINARY, &[0xff; 70_000]).await?;
        echoed(socket, 0x01, b"hel").await?;
        echoed(socket, PING, b"still there?").await?;
        echoed(socket, 0x80, b"lo").await?;
        // Compressed, as both ends agreed.
        echoed(socket, 0xc1, b"\xf2\x48\x05\x00").await?;
        echoed(socket, CLOSE, b"\x03\xe8bye").await?;
        assert_eq!(socket.frame().await?, None);

        let received = proxy.upstream.take();
        let handshake = &received[0];
        let over = if *way == ("h2", "files") {
            ("CONNECT", "HTTP/2.0")
        } else {
            ("GET", "HTTP/1.1")
        };
        assert_eq!(
            (handshake.method.as_str(), handshake.version.as_str()),
            over
        );
        assert_eq!(handshake.path, "/socket?a=1");
        assert_eq!(received.len(), 8);
    }
    for (exchange, status) in proxy.ended(WAYS.len()).await?.iter().zip([101, 200, 200]) {
        for (field, value) in [
            ("action", json!("http.websocket")),
            ("protocol", json!("websocket")),
            ("method", json!("GET")),
            ("path", json!("/socket")),
            ("status", json!(status)),
            ("outcome", json!("completed")),
            (
                "reason",
                json!(
                    "the agent closed it with 1000; 4 messages (70014 bytes) from the agent, 4 messages (70014 bytes) to it"
                ),
            ),
        ] {
            assert_eq!(exchange[field], value, "{exchange:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_no_policy_permits_is_refused_before_the_upstream_hears_of_it() -> anyhow::Result<()> {
    // What permits reading does not permit a WebSocket.
    let proxy = Proxy::start().await?;
    for way in WAYS {
        assert_eq!(ask(&proxy, *way, "/socket", &[]).await?.status, 403);
    }
    assert_eq!(proxy.upstream.connections(), 0);
    for exchange in proxy.ended(WAYS.len()).await? {
        assert_eq!(exchange["action"], "http.websocket");
        assert_eq!(exchange["outcome"], "refused");
    }
    Ok(())
}

#[tokio::test]
async fn text_is_masked_both_ways_and_binary_is_refused() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(&[OPEN, MASK].concat()).await?;
    for way in WAYS {
        let extra = [("Sec-WebSocket-Extensions", "permessage-deflate")];
        let mut answer = ask(&proxy, *way, "/socket/card", &extra).await?;
        assert_eq!(answer.header("sec-websocket-extensions"), None);
        let socket = &mut answer.socket;
        let card = socket.frame().await?.map(|frame| frame.payload);
        assert_eq!(
            card.as_deref(),
            Some(&br#"{"card": "[REDACTED:credit-card]"}"#[..])
        );
        // Cut in the middle of what is to be found, with a ping between.
        socket.send(&frame(0x01, b"mail bob@cor")).await?;
        echoed(socket, PING, b"1").await?;
        socket.send(&frame(0x80, b"p.com!")).await?;
        let masked = Frame {
            first: TEXT,
            payload: b"mail [REDACTED:email]!".to_vec(),
        };
        assert_eq!(socket.frame().await?, Some(masked));
        // What has nothing to hide passes as it came, fragments and all.
        socket
            .send(&[frame(0x01, b"hel"), frame(0x80, b"lo")].concat())
            .await?;
        for (first, payload) in [(0x01, "hel"), (0x80, "lo")] {
            let payload = payload.as_bytes().to_vec();
            assert_eq!(socket.frame().await?, Some(Frame { first, payload }));
        }
        socket.send(&frame(BINARY, b"\x00\x01")).await?;
        let (code, reason) = socket.close().await?;
        assert_eq!(code, 1008);
        assert!(
            reason.ends_with("a binary message cannot be masked"),
            "{reason}"
        );
        socket.send(&frame(CLOSE, &code.to_be_bytes())).await?;
        assert_eq!(socket.frame().await?, None);

        let received = proxy.upstream.take();
        assert_eq!(received[0].header("sec-websocket-extensions"), None);
        let frames: Vec<_> = received[1..]
            .iter()
            .map(|frame| (frame.method.as_str(), frame.text()))
            .collect();
        assert_eq!(
            frames,
            [
                ("frame 0x89", "1".to_owned()),
                ("frame 0x81", "mail [REDACTED:email]!".to_owned()),
                ("frame 0x01", "hel".to_owned()),
                ("frame 0x80", "lo".to_owned()),
                ("frame 0x88", "\u{3}\u{fffd}".to_owned()),
            ]
        );
        let exchanges = proxy.ended(1).await?;
        let exchange = exchanges.last().unwrap_or(&exchanges[0]);
        assert!(
            reason.contains(exchange["id"].as_str().unwrap_or("?")),
            "{reason}"
        );
        assert_eq!(exchange["outcome"], "refused");
        assert_eq!(exchange["obligations"], json!(["mask:pii"]));
        let found = exchange["findings"].to_string();
        assert!(
            found.contains("email") && found.contains("credit-card"),
            "{found}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_message_in_which_policy_forbids_what_is_found_does_not_pass() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(&[OPEN, NO_SECRETS].concat()).await?;
    for way in WAYS {
        for first in [TEXT, BINARY, PING] {
            let mut socket = open(&proxy, *way, "/socket").await?;
            echoed(&mut socket, first, b"nothing").await?;
            socket.send(&frame(first, KEY.as_bytes())).await?;
            let (code, reason) = socket.close().await?;
            assert_eq!(code, 1008);
            assert!(reason.contains("no-secrets"), "{reason}");
            let frames = proxy.upstream.take();
            assert!(frames.iter().all(|frame| frame.text() != KEY));
        }
    }
    for exchange in proxy.ended(3 * WAYS.len()).await? {
        assert_eq!(exchange["outcome"], "refused");
        let found = exchange["findings"].to_string();
        assert!(found.contains("openai-key"), "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn echoes_of_a_held_credential_are_taken_out_of_frames() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(OPEN).await?;
    for version in ["http/1.1", "h2"] {
        let mut socket = open(&proxy, (version, "held"), "/socket/leak").await?;
        let (mut text, mut pinged) = (Vec::new(), Vec::new());
        loop {
            let Some(Frame { first, payload }) = socket.frame().await? else {
                break;
            };
            match first {
                PING => pinged = payload,
                _ => text.extend(payload),
            }
            if first & 0x80 != 0 && first != PING {
                break;
            }
        }
        for said in [text, pinged] {
            let said = String::from_utf8(said)?;
            assert!(said.starts_with("Bearer [credential]"), "{said}");
            assert!(!said.contains(SECRET), "{said}");
        }
        let received = proxy.upstream.take();
        assert_eq!(
            received[0].header("authorization"),
            Some(format!("Bearer {SECRET}").as_str())
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_open_a_websocket_is_an_ordinary_answer() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(OPEN).await?;
    for (way, path, status) in [
        (("http/1.1", "files"), "/hello", 200),
        (("http/1.1", "files"), "/nothing", 404),
        (("h2", "old"), "/nothing", 404),
        // Over HTTP/2 this would open one.
        (("h2", "old"), "/hello", 502),
        // The acceptance of another key.
        (("http/1.1", "files"), "/socket/wrong", 502),
        (("h2", "old"), "/socket/wrong", 502),
    ] {
        let answer = ask(&proxy, way, path, &[]).await?;
        assert_eq!(answer.status, status, "{way:?} {path}");
    }
    // A body belongs to no handshake, and a version that nobody speaks is told so.
    for extra in [("Content-Length", "5"), ("Sec-WebSocket-Version", "8")] {
        let answer = ask(&proxy, ("http/1.1", "files"), "/socket", &[extra]).await?;
        assert_eq!(answer.status, 400, "{extra:?}");
    }
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_no_frames_pass_neither_way() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(OPEN).await?;
    for way in WAYS {
        let mut unmasked = frame(TEXT, b"hello");
        unmasked[1] &= 0x7f;
        for bytes in [
            unmasked,
            frame(0x83, b"opcode"),
            frame(0xc1, b"nobody agreed on compression"),
            frame(0x80, b"continues nothing"),
            frame(0x09, b"a ping in pieces"),
            frame(CLOSE, b"\x03\xed"),
        ] {
            let mut socket = open(&proxy, *way, "/socket").await?;
            socket.send(&bytes).await?;
            assert_eq!(socket.close().await?.0, 1002, "{bytes:x?}");
        }
        let frames: Vec<_> = proxy.upstream.take();
        assert!(
            frames
                .iter()
                .all(|frame| !frame.method.starts_with("frame") || frame.body == [0x03, 0xea]),
            "{frames:#?}"
        );
        let mut socket = open(&proxy, *way, "/socket/garbage").await?;
        assert_eq!(socket.close().await?.0, 1002);
    }
    Ok(())
}

#[tokio::test]
async fn whoever_hangs_up_is_on_record() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(OPEN).await?;
    for way in WAYS {
        let mut socket = open(&proxy, *way, "/socket").await?;
        echoed(&mut socket, TEXT, b"hello").await?;
    }
    for exchange in proxy.ended(WAYS.len()).await? {
        assert_eq!(exchange["outcome"], "aborted");
        let reason = exchange["reason"].as_str().unwrap_or_default();
        assert!(
            reason.starts_with("the agent hung up; 1 messages (5 bytes)"),
            "{reason}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_websocket_ends_when_the_policies_no_longer_permit_it() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(OPEN).await?;
    let other = r#"@id("other") permit (principal, action == Action::"connect", resource);"#;
    for change in [
        other.to_owned(),
        [OPEN, MASK].concat(),
        [OPEN, NO_SECRETS].concat(),
    ] {
        proxy.govern(OPEN)?;
        let mut sockets = Vec::new();
        for way in WAYS {
            sockets.push(open(&proxy, *way, "/socket").await?);
        }
        proxy.govern(&[OPEN, other].concat())?;
        for socket in &mut sockets {
            echoed(socket, TEXT, b"hello").await?;
        }
        proxy.govern(&change)?;
        for socket in &mut sockets {
            let (code, reason) = socket.close().await?;
            assert_eq!(code, 1008);
            assert!(reason.contains("policy changed"), "{reason}");
            socket.send(&frame(CLOSE, &[])).await?;
            assert_eq!(socket.frame().await?, None);
        }
    }
    for exchange in proxy.ended(3 * WAYS.len()).await? {
        assert_eq!(exchange["outcome"], "aborted", "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_shutdown_lets_messages_end_and_says_goodbye() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(OPEN).await?;
    let mut sockets = Vec::new();
    for way in WAYS {
        let mut socket = open(&proxy, *way, "/socket").await?;
        echoed(&mut socket, 0x01, b"hel").await?;
        sockets.push(socket);
    }
    let agents = async {
        for mut socket in sockets {
            echoed(&mut socket, 0x80, b"lo").await?;
            assert_eq!(socket.close().await?.0, 1001);
            socket.send(&frame(CLOSE, &[])).await?;
            assert_eq!(socket.frame().await?, None);
        }
        anyhow::Ok(())
    };
    tokio::join!(proxy.drained(), agents).1?;
    for exchange in proxy.ended(WAYS.len()).await? {
        assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
    }
    Ok(())
}
