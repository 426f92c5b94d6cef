//! Sockets in a network namespace that is not this process's own.
//!
//! In: a descriptor of the namespace and the addresses to listen at. Out: listening sockets, bound datagram sockets, and the namespace's cookie. A
//! thread of its own enters the namespace and ends: a socket stays where it was made, the caller stays where it is. Needs CAP_SYS_ADMIN and
//! CAP_NET_ADMIN over the namespace.
//!
//! Listeners have neither TCP fast open nor SO_REUSEPORT, so that nobody shares or precedes them.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    thread,
};

use nix::{errno::Errno, libc, sched::CloneFlags, sched::setns, sched::unshare};
use socket2::{Domain, Protocol, Socket, Type};

use super::socket;

/// Sockets made in a namespace.
#[derive(Debug)]
pub struct Inside {
    /// The cookie of the namespace.
    pub cookie: u64,
    /// Listening, non-blocking, in the order of the addresses.
    pub listeners: Vec<TcpListener>,
    /// Bound to the addresses for datagrams, non-blocking, in their order.
    pub datagrams: Vec<UdpSocket>,
}

/// Why there are no sockets in a namespace.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum NamespaceError {
    #[error("no thread could be started: {0}")]
    Thread(io::Error),
    #[error("cannot enter the network namespace: {0}")]
    Enter(Errno),
    #[error("it is the host's own network namespace")]
    Host,
    #[error("cannot look at the network namespace: {0}")]
    Cookie(io::Error),
    #[error("cannot bring its loopback up: {0}")]
    Loopback(io::Error),
    #[error("cannot listen at {address}: {source}")]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
}

/// Listens in the namespace, which must not be the one this process is in, and brings its loopback up. Blocks for a moment.
///
/// # Errors
/// [`NamespaceError`]; no socket is left.
pub fn listen(
    namespace: BorrowedFd<'_>,
    listeners: &[SocketAddr],
    datagrams: &[SocketAddr],
) -> Result<Inside, NamespaceError> {
    let own = cookie().map_err(NamespaceError::Cookie)?;
    within(namespace, || {
        let cookie = cookie().map_err(NamespaceError::Cookie)?;
        if cookie == own {
            return Err(NamespaceError::Host);
        }
        raise_loopback().map_err(NamespaceError::Loopback)?;
        Ok(Inside {
            cookie,
            listeners: each(listeners, |address| {
                listener(address).map(TcpListener::from)
            })?,
            datagrams: each(datagrams, datagram)?,
        })
    })?
}

/// A TCP socket in the namespace, bound to its loopback and not connected, non-blocking. Blocks for a moment.
///
/// # Errors
/// [`NamespaceError`].
pub fn stream(namespace: BorrowedFd<'_>, v6: bool) -> Result<OwnedFd, NamespaceError> {
    let address = match v6 {
        true => SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        false => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    let make = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let made = within(namespace, make)?;
    let socket = made.map_err(|source| NamespaceError::Bind { address, source })?;
    Ok(socket.into())
}

/// Runs in a thread that has entered the namespace, and waits for it.
pub(super) fn within<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> T + Send,
) -> Result<T, NamespaceError> {
    thread::scope(|scope| {
        let inside = || {
            setns(namespace, CloneFlags::CLONE_NEWNET).map_err(NamespaceError::Enter)?;
            Ok(work())
        };
        let thread = thread::Builder::new().name("tollgate-inside".to_owned());
        let thread = thread.spawn_scoped(scope, inside);
        let panicked = |_| NamespaceError::Thread(io::ErrorKind::Other.into());
        thread
            .map_err(NamespaceError::Thread)?
            .join()
            .map_err(panicked)?
    })
}

/// The cookie of the network namespace a descriptor stands for.
///
/// # Errors
/// As [`listen`].
pub fn cookie_of(namespace: BorrowedFd<'_>) -> Result<u64, NamespaceError> {
    match listen(namespace, &[], &[]) {
        Ok(inside) => Ok(inside.cookie),
        Err(NamespaceError::Host) => cookie().map_err(NamespaceError::Cookie),
        Err(error) => Err(error),
    }
}

/// A network namespace that nobody else is in; it lasts as long as the descriptor, or what enters it.
///
/// # Errors
/// Without CAP_SYS_ADMIN, or out of memory.
pub fn fresh() -> io::Result<OwnedFd> {
    thread::scope(|scope| {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            std::fs::File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
        };
        let made = scope.spawn(make).join();
        made.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    })
}

/// The network namespace of a process, by its number.
///
/// # Errors
/// There is no such process, or it may not be looked at.
pub fn of_process(pid: u32) -> io::Result<OwnedFd> {
    std::fs::File::open(format!("/proc/{pid}/ns/net")).map(OwnedFd::from)
}

fn each<T>(
    addresses: &[SocketAddr],
    make: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<Vec<T>, NamespaceError> {
    let made = addresses.iter().map(|address| {
        make(*address).map_err(|source| NamespaceError::Bind {
            address: *address,
            source,
        })
    });
    made.collect()
}

/// The cookie of the network namespace that the calling thread is in.
///
/// # Errors
/// No socket can be made.
pub fn cookie() -> io::Result<u64> {
    socket::netns_cookie(&Socket::new(Domain::IPV4, Type::DGRAM, None)?)
}

fn listener(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // What connections to an earlier listener have left must not keep this one out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn datagram(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Brings interface `lo` up, as `ip link set lo up` does; the kernel gives it 127.0.0.1/8 and ::1.
fn raise_loopback() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let mut request = InterfaceFlags {
        name: *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        flags: 0,
        rest: [0; 22],
    };
    control(&socket, libc::SIOCGIFFLAGS, &mut request)?;
    if request.flags & libc::IFF_UP as libc::c_short == 0 {
        request.flags |= libc::IFF_UP as libc::c_short;
        control(&socket, libc::SIOCSIFFLAGS, &mut request)?;
    }
    Ok(())
}

fn control(
    socket: &impl AsFd,
    request: libc::c_ulong,
    flags: &mut InterfaceFlags,
) -> io::Result<()> {
    #[expect(unsafe_code, reason = "no crate sets interface flags")]
    // SAFETY: both requests read and write a struct ifreq, which `flags` is in size and layout.
    let result = unsafe {
        libc::ioctl(
            socket.as_fd().as_raw_fd(),
            request as libc::Ioctl,
            std::ptr::from_mut(flags),
        )
    };
    Errno::result(result).map(drop).map_err(io::Error::from)
}

/// `struct ifreq` with its flags (include/uapi/linux/if.h): 16 bytes of name, a union of 24.
#[repr(C)]
struct InterfaceFlags {
    name: [u8; 16],
    flags: libc::c_short,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<InterfaceFlags>() == size_of::<libc::ifreq>());

/// As many as tokio's listeners have.
const BACKLOG: i32 = 1024;
