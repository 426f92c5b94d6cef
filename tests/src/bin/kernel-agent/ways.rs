//! More ways to use a socket: as a server, and as an attacker.

use std::{
    io,
    mem::MaybeUninit,
    net::{Shutdown, SocketAddr},
    os::fd::AsRawFd,
};

use anyhow::{Result, bail};
use nix::{libc, sched};
use socket2::{Protocol, Socket, Type};

use crate::{Agent, address, neighbours, option, socket_addr};

/// Runs one command.
pub(crate) fn act(agent: &mut Agent, words: &[&str]) -> Result<String> {
    match words {
        ["bind", "udp", here] => {
            agent.open(here, Type::DGRAM, Protocol::UDP)?;
            bind(agent, here)
        }
        ["bind", "mptcp", here] => {
            agent.open(here, Type::STREAM, Protocol::MPTCP)?;
            agent.socket()?.set_reuse_address(true)?;
            bind(agent, here)
        }
        ["accept"] => {
            let (socket, peer) = agent.socket()?.accept()?;
            socket.set_read_timeout(Some(tests::harness::patience(crate::SOON)))?;
            socket.set_write_timeout(Some(tests::harness::patience(crate::SOON)))?;
            agent.replace(socket);
            Ok(socket_addr(&peer)?.to_string())
        }
        ["echo"] => {
            let mut buffer = [MaybeUninit::uninit(); 64];
            let (count, from) = agent.socket()?.recv_from(&mut buffer)?;
            agent.socket()?.send_to(&b"echo"[..count.min(4)], &from)?;
            Ok(socket_addr(&from)?.to_string())
        }
        ["bind-shared", "udp", here] => {
            agent.open(here, Type::DGRAM, Protocol::UDP)?;
            agent.socket()?.set_reuse_port(true)?;
            bind(agent, here)
        }
        ["bind-free", "tcp", here] => {
            agent.open(here, Type::STREAM, Protocol::TCP)?;
            let free = 1_u32.to_ne_bytes();
            if here.starts_with('[') {
                option(
                    agent.socket()?,
                    libc::IPPROTO_IPV6,
                    libc::IPV6_FREEBIND,
                    &free,
                )?;
            } else {
                option(agent.socket()?, libc::IPPROTO_IP, libc::IP_FREEBIND, &free)?;
            }
            bind(agent, here)
        }
        ["udp-broadcast", to] => {
            agent.open(to, Type::DGRAM, Protocol::UDP)?;
            agent.socket()?.set_broadcast(true)?;
            Ok(agent.socket()?.send_to(b"x", &address(to)?)?.to_string())
        }
        ["join-netns", pid] => {
            let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net"))?;
            sched::setns(namespace, sched::CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
            Ok(String::new())
        }
        ["http", to, host, path] => {
            agent.open(to, Type::STREAM, Protocol::TCP)?.connect(to)?;
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            agent.socket()?.send(request.as_bytes())?;
            let answer = agent.act(&["receive"])?;
            let status = answer.split(' ').nth(1).unwrap_or("none");
            Ok(status.to_owned())
        }
        ["ask", kind @ ("tcp" | "udp"), to, text] => {
            let (kind, protocol) = match *kind {
                "tcp" => (Type::STREAM, Protocol::TCP),
                _ => (Type::DGRAM, Protocol::UDP),
            };
            agent.open(to, kind, protocol)?.connect(to)?;
            agent.socket()?.send(text.as_bytes())?;
            match agent.act(&["receive"])? {
                answer if answer == *text => Ok(answer),
                other => bail!("another answer: {other:?}"),
            }
        }
        ["foreign", cgroup, answer] => crate::foreign::attach(cgroup, answer.parse()?),
        ["disconnect"] => disconnect(agent.socket()?),
        ["nothing-received"] => nothing_received(agent.socket()?),
        ["end"] => {
            agent.socket()?.shutdown(Shutdown::Write)?;
            Ok(String::new())
        }
        _ => neighbours::act(agent, words),
    }
}

/// Binds the open socket and says where it is.
fn bind(agent: &Agent, here: &str) -> Result<String> {
    let socket = agent.socket()?;
    socket.bind(&address(here)?)?;
    let bound: SocketAddr = socket_addr(&socket.local_addr()?)?;
    Ok(bound.to_string())
}

/// Lets a connected socket be connected again (AF_UNSPEC).
fn disconnect(socket: &Socket) -> Result<String> {
    let nowhere = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as u16,
        sa_data: [0; 14],
    };
    #[expect(unsafe_code, reason = "no crate connects to no address")]
    // SAFETY: the address is valid for its length.
    let result = unsafe {
        libc::connect(
            socket.as_raw_fd(),
            &raw const nowhere,
            size_of::<libc::sockaddr>() as u32,
        )
    };
    if result == 0 {
        Ok(String::new())
    } else {
        Err(io::Error::last_os_error().into())
    }
}

/// Succeeds where nothing waits to be read.
fn nothing_received(socket: &Socket) -> Result<String> {
    socket.set_nonblocking(true)?;
    let received = socket.recv(&mut [MaybeUninit::uninit(); 64]);
    socket.set_nonblocking(false)?;
    match received {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(String::new()),
        Err(error) => Err(error.into()),
        Ok(count) => bail!("{count} bytes got through"),
    }
}
