//! WebSocket: the handshake over both versions of HTTP, and the frames behind it.
//!
//! In: request and response heads; bytes cut anywhere. Out: whether a WebSocket is asked for or opened; heads, payloads and control
//! frames. Invariants: what one end could read differently from another is an error, never passed on; what comes out does not depend
//! on how the bytes were cut; nothing is held but a head or a control frame. Pure: no I/O, no clock.
//! Sources: RFC 6455, RFC 8441 (over HTTP/2), RFC 7692 (compression).

mod close;
mod frame;
mod framer;
mod handshake;
mod reader;
#[cfg(test)]
mod tests;

pub use close::{Close, code};
pub use frame::{FrameError, Head, Opcode, Peer, toggle};
pub use framer::{Framer, text};
pub use handshake::{HandshakeError, answered, asked, check, offer, opened, switches, with_key};
pub use reader::{Piece, Reader};
