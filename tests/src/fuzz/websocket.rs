//! WebSocket frames: the pieces are the bytes, however they are cut, and a head is written as it was read.

use bytes::BytesMut;
use gateway_user::protocol::websocket::{FrameError, Peer, Piece, Reader};

pub(super) fn run(data: &[u8]) {
    let [choice, seed, stream @ ..] = data else {
        return;
    };
    let from = if choice & 1 == 0 {
        Peer::Client
    } else {
        Peer::Server
    };
    let compression = choice & 2 != 0;
    let whole = read(from, compression, std::iter::once(stream));
    let cut = read(from, compression, super::pieces(stream, *seed));
    assert_eq!(whole, cut);
    let wire = whole.pieces.concat();
    assert!(stream.starts_with(&wire), "bytes came or went");
}

/// What a reader made of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    /// The wire bytes of each head, payload and control frame.
    pieces: Vec<Vec<u8>>,
    error: Option<FrameError>,
    in_frame: bool,
    in_message: bool,
}

fn read<'a>(from: Peer, compression: bool, chunks: impl Iterator<Item = &'a [u8]>) -> Read {
    let (mut reader, mut found) = (Reader::new(from, compression), Vec::new());
    let mut error = None;
    for chunk in chunks {
        error = reader.push(chunk, &mut found).err();
        if error.is_some() {
            break;
        }
    }
    let (mut pieces, mut open) = (Vec::new(), false);
    for piece in found {
        match piece {
            Piece::Begin { head, wire } => {
                let mut again = BytesMut::new();
                head.write(&mut again);
                assert_eq!(again, wire, "{head:?}");
                pieces.push(wire.to_vec());
            }
            Piece::Control {
                head,
                payload,
                wire,
            } => {
                let mut again = BytesMut::new();
                head.write_frame(&payload, &mut again);
                assert_eq!(again, wire, "{head:?}");
                pieces.push(wire.to_vec());
            }
            // A payload comes in as many pieces as the stream was cut into.
            Piece::Payload { wire, end } => {
                match pieces.last_mut() {
                    Some(payload) if open => payload.extend_from_slice(&wire),
                    _ => pieces.push(wire.to_vec()),
                }
                open = !end;
            }
        }
    }
    Read {
        pieces,
        error,
        in_frame: reader.in_frame(),
        in_message: reader.in_message(),
    }
}
