//! Reading a request: one line, and what descriptor came with it.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::net::UnixStream;

use super::MAX_REQUEST;
use crate::sys::passing;

/// A descriptor that came with a request.
pub type Passed = Option<OwnedFd>;

/// The bytes up to the end of the first line, or of the stream, and the first descriptor that came with them.
pub(super) async fn line(stream: &UnixStream) -> io::Result<(Vec<u8>, Passed)> {
    let (mut line, mut passed) = (Vec::new(), None);
    while !line.ends_with(b"\n") && line.len() < MAX_REQUEST {
        let mut bytes = [0; 4096];
        let received = stream
            .async_io(Interest::READABLE, || passing::receive(stream, &mut bytes))
            .await?;
        let (count, descriptor) = received;
        passed = passed.or(descriptor);
        if count == 0 {
            break;
        }
        line.extend_from_slice(&bytes[..count]);
    }
    Ok((line, passed))
}
