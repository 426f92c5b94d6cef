//! io_uring: one request, done by the calling task or by a worker of the kernel.
//!
//! The layout is that of include/uapi/linux/io_uring.h; both rings are one mapping (IORING_FEAT_SINGLE_MMAP, Linux 5.4).

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use nix::libc;
use socket2::SockAddr;

/// Connects a socket.
pub(crate) fn connect(socket: i32, to: &SockAddr, by_worker: bool) -> io::Result<i32> {
    let mut request = Request::new(OP_CONNECT, socket, by_worker);
    request.address = to.as_ptr() as u64;
    request.offset = to.len().into();
    one(&request)
}

/// Sends one datagram.
pub(crate) fn send_to(socket: i32, to: &SockAddr, by_worker: bool) -> io::Result<i32> {
    let mut part = libc::iovec {
        iov_base: b"datagram".as_ptr().cast_mut().cast(),
        iov_len: 8,
    };
    #[expect(unsafe_code, reason = "no crate builds this header")]
    // SAFETY: a header of zeros is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = to.as_ptr().cast_mut().cast();
    message.msg_namelen = to.len();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    let mut request = Request::new(OP_SENDMSG, socket, by_worker);
    request.address = &raw const message as u64;
    request.length = 1;
    one(&request)
}

/// `struct io_uring_sqe`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Request {
    op: u8,
    flags: u8,
    priority: u16,
    fd: i32,
    offset: u64,
    address: u64,
    length: u32,
    rest: [u32; 9],
}

impl Request {
    fn new(op: u8, fd: i32, by_worker: bool) -> Self {
        Self {
            op,
            flags: if by_worker { ASYNC } else { 0 },
            priority: 0,
            fd,
            offset: 0,
            address: 0,
            length: 0,
            rest: [0; 9],
        }
    }
}

/// Does one request to its end.
#[expect(unsafe_code, reason = "the rings are shared with the kernel")]
fn one(request: &Request) -> io::Result<i32> {
    let mut parameters = [0_u32; 30];
    // SAFETY: the parameters are as large as struct io_uring_params; the mappings are as large as the kernel says, and no request is under way
    // when they go: the process ends with them.
    unsafe {
        let fd = libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) as i32;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let ring = OwnedFd::from_raw_fd(fd);
        let (sq, cq) = (&parameters[10..], &parameters[20..]);
        let size = (sq[6] + 4 * parameters[0]).max(cq[5] + 16 * parameters[1]) as usize;
        let rings = map(&ring, size, 0)?;
        let requests = map(&ring, size_of::<Request>(), 0x1000_0000)?;
        requests.cast::<Request>().write(*request);
        let word = |offset: u32| &*rings.add(offset as usize).cast::<AtomicU32>();
        word(sq[6]).store(0, Ordering::Relaxed);
        word(sq[1]).store(1, Ordering::Release);
        let entered = libc::syscall(
            libc::SYS_io_uring_enter,
            ring.as_raw_fd(),
            1,
            1,
            GETEVENTS,
            ptr::null::<u8>(),
            0,
        );
        if entered < 0 {
            return Err(io::Error::last_os_error());
        }
        let _ = word(cq[1]).load(Ordering::Acquire);
        let result = rings.add(cq[5] as usize + 8).cast::<i32>().read();
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        Ok(result)
    }
}

#[expect(unsafe_code, reason = "the rings are shared with the kernel")]
fn map(ring: &OwnedFd, size: usize, offset: i64) -> io::Result<*mut u8> {
    // SAFETY: a fresh mapping at an address that the kernel chooses.
    let mapped = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_POPULATE,
            ring.as_raw_fd(),
            offset,
        )
    };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(mapped.cast())
}

const OP_SENDMSG: u8 = 9;
const OP_CONNECT: u8 = 16;
const ASYNC: u8 = 1 << 4;
const GETEVENTS: u32 = 1;
