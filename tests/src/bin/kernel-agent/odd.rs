//! Rare ways to send: batches, segments, marks, borrowed addresses, and calls that the kernel makes later.

use std::{io, os::fd::AsRawFd};

use anyhow::{Result, bail};
use nix::libc;
use socket2::{Protocol, SockAddr, Type};

use crate::{Agent, address, datagram, option, ring, socket_addr};

/// Runs one command.
pub(crate) fn act(agent: &mut Agent, words: &[&str]) -> Result<String> {
    match words {
        ["segments", to] => {
            agent.open(to, Type::DGRAM, Protocol::UDP)?;
            option(
                agent.socket()?,
                libc::IPPROTO_UDP,
                libc::UDP_SEGMENT,
                &4_i32.to_ne_bytes(),
            )?;
            Ok(agent
                .socket()?
                .send_to(b"onetwofo", &address(to)?)?
                .to_string())
        }
        ["batch", to] => {
            agent.open(to, Type::DGRAM, Protocol::UDP)?;
            batch(agent.socket()?.as_raw_fd(), &address(to)?)
        }
        ["segments", size, text] => {
            let size: u16 = size.parse()?;
            option(
                agent.socket()?,
                libc::IPPROTO_UDP,
                libc::UDP_SEGMENT,
                &i32::from(size).to_ne_bytes(),
            )?;
            Ok(agent.socket()?.send(text.as_bytes())?.to_string())
        }
        ["batch-to", text, to @ ..] => datagram::send_each(agent.socket()?, text, to),
        ["receive-from"] => datagram::receive(agent.socket()?),
        ["marked", to] => {
            agent.open(to, Type::STREAM, Protocol::TCP)?;
            agent.socket()?.set_mark(0x7011)?;
            agent.connect(to)
        }
        ["transparent", from, to] => {
            agent.open(to, Type::STREAM, Protocol::TCP)?;
            option(
                agent.socket()?,
                libc::IPPROTO_IP,
                libc::IP_TRANSPARENT,
                &1_i32.to_ne_bytes(),
            )?;
            agent.socket()?.bind(&address(from)?)?;
            agent.connect(to)
        }
        ["nonblocking", to] => {
            agent.open(to, Type::STREAM, Protocol::TCP)?;
            nonblocking(agent, &address(to)?)
        }
        ["ring-connect", how, to] => {
            agent.open(to, Type::STREAM, Protocol::TCP)?;
            ring::connect(agent.socket()?.as_raw_fd(), &address(to)?, *how == "worker")?;
            Ok(String::new())
        }
        ["ring-sendto", how, to] => {
            agent.open(to, Type::DGRAM, Protocol::UDP)?;
            ring::send_to(agent.socket()?.as_raw_fd(), &address(to)?, *how == "worker")?;
            Ok(String::new())
        }
        _ => bail!("unknown command"),
    }
}

/// Starts to connect, waits until that is over, and says who is there.
fn nonblocking(agent: &Agent, to: &SockAddr) -> Result<String> {
    let socket = agent.socket()?;
    socket.set_nonblocking(true)?;
    match socket.connect(to) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
            let mut wait = [nix::poll::PollFd::new(
                std::os::fd::AsFd::as_fd(socket),
                nix::poll::PollFlags::POLLOUT,
            )];
            nix::poll::poll(&mut wait, 3000_u16).map_err(io::Error::from)?;
        }
        other => other?,
    }
    if let Some(error) = socket.take_error()? {
        return Err(error.into());
    }
    socket.set_nonblocking(false)?;
    Ok(socket_addr(&socket.peer_addr()?)?.to_string())
}

/// Two datagrams in one call.
fn batch(fd: i32, to: &SockAddr) -> Result<String> {
    let mut part = libc::iovec {
        iov_base: b"datagram".as_ptr().cast_mut().cast(),
        iov_len: 8,
    };
    let mut messages = [(); 2].map(|()| {
        #[expect(unsafe_code, reason = "no crate sends batches to one address so")]
        // SAFETY: a header of zeros is an empty one.
        let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        message.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
        message.msg_hdr.msg_namelen = to.len();
        message.msg_hdr.msg_iov = &raw mut part;
        message.msg_hdr.msg_iovlen = 1;
        message
    });
    #[expect(unsafe_code, reason = "as above")]
    // SAFETY: the headers point to what lives until the call returns.
    let sent = unsafe { libc::sendmmsg(fd, messages.as_mut_ptr(), 2, 0) };
    if sent < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(sent.to_string())
}
