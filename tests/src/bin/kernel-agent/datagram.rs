//! Calls on datagram sockets that the standard library does not make.

use std::{io, net::SocketAddr, os::fd::AsRawFd};

use anyhow::{Context, Result};
use nix::{libc, sys::socket as raw};
use socket2::Socket;

/// What is received, and from where.
pub(crate) fn receive(socket: &Socket) -> Result<String> {
    let mut buffer = [0; 64];
    let received = raw::recvfrom::<raw::SockaddrStorage>(socket.as_raw_fd(), &mut buffer);
    let (count, from) = received.map_err(io::Error::from)?;
    let from = from.context("no sender")?;
    Ok(format!(
        "{} {from}",
        String::from_utf8_lossy(&buffer[..count])
    ))
}

/// The same datagram to several addresses, by one call.
pub(crate) fn send_each(socket: &Socket, text: &str, to: &[&str]) -> Result<String> {
    let addresses = to.iter().map(|to| {
        let to: SocketAddr = to.parse()?;
        Ok(Some(raw::SockaddrStorage::from(to)))
    });
    let addresses: Vec<_> = addresses.collect::<Result<_>>()?;
    let text = [io::IoSlice::new(text.as_bytes())];
    let messages: Vec<_> = addresses.iter().map(|_| text).collect();
    let mut headers = raw::MultiHeaders::preallocate(addresses.len(), None);
    let sent = raw::sendmmsg(
        socket.as_raw_fd(),
        &mut headers,
        &messages,
        addresses,
        [],
        raw::MsgFlags::from_bits_retain(libc::MSG_CONFIRM),
    );
    Ok(sent.map_err(io::Error::from)?.count().to_string())
}
