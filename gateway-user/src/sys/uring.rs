//! The smallest io_uring that does something to a socket: one operation after another, each waited for.
//!
//! In: a socket, an address, bytes. Out: what the kernel answered. Only the doctor's attempts use it, to show that the hooks see what is
//! asked for in this way too. Layouts: include/uapi/linux/io_uring.h; one mapping for both rings since 5.4.
#![expect(unsafe_code, reason = "the module of raw system calls")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::libc;
use socket2::SockAddr;

/// A ring with room for one operation.
pub(crate) struct Ring {
    file: OwnedFd,
    rings: Mapping,
    entries: Mapping,
    parameters: Parameters,
}

/// What is asked for.
pub(crate) enum Operation<'a> {
    /// connect(2).
    Connect(&'a SockAddr),
    /// send(2).
    Send(&'a [u8]),
}

impl Ring {
    /// Makes one.
    pub(crate) fn new() -> io::Result<Self> {
        let mut parameters = Parameters::default();
        // SAFETY: points to a live struct of the size that the kernel reads and writes.
        let file = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, &raw mut parameters) };
        let file = RawFd::try_from(Errno::result(file)?).map_err(|_| Errno::EBADF)?;
        // SAFETY: the kernel has just made it, and nobody else knows it.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        if parameters.features & FEAT_SINGLE_MMAP == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let submissions = parameters.sq.array + parameters.sq_entries * 4;
        let completions = parameters.cq.cqes + parameters.cq_entries * COMPLETION;
        let length = submissions.max(completions) as usize;
        Ok(Self {
            rings: Mapping::new(&file, length, OFFSET_RINGS)?,
            entries: Mapping::new(
                &file,
                parameters.sq_entries as usize * ENTRY,
                OFFSET_ENTRIES,
            )?,
            file,
            parameters,
        })
    }

    /// Does one thing to a socket and waits for it. With `worker` a thread of the kernel does it.
    pub(crate) fn run(
        &self,
        socket: &impl AsFd,
        operation: &Operation<'_>,
        worker: bool,
    ) -> io::Result<u32> {
        let mut entry = [0_u8; ENTRY];
        let (code, address, length, offset) = match operation {
            Operation::Connect(to) => (CONNECT, to.as_ptr() as usize, 0, u64::from(to.len())),
            Operation::Send(bytes) => (SEND, bytes.as_ptr() as usize, bytes.len(), 0),
        };
        entry[0] = code;
        entry[1] = if worker { ASYNC } else { 0 };
        entry[4..8].copy_from_slice(&socket.as_fd().as_raw_fd().to_ne_bytes());
        entry[8..16].copy_from_slice(&offset.to_ne_bytes());
        entry[16..24].copy_from_slice(&(address as u64).to_ne_bytes());
        entry[24..28].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        // SAFETY: the mapping has room for at least one entry.
        unsafe { ptr::copy_nonoverlapping(entry.as_ptr(), self.entries.at(0), ENTRY) };
        let (sq, cq) = (&self.parameters.sq, &self.parameters.cq);
        let tail = self.number(sq.tail);
        // The one slot of the array always names the one entry.
        self.number(sq.array).store(0, Ordering::Relaxed);
        tail.store(
            tail.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Release,
        );
        let none = ptr::null::<libc::sigset_t>();
        let number = self.file.as_raw_fd();
        // SAFETY: what the entry points to is borrowed until the operation has completed, which this call waits for.
        let submitted =
            unsafe { libc::syscall(libc::SYS_io_uring_enter, number, 1, 1, GET_EVENTS, none, 0) };
        Errno::result(submitted)?;
        let head = self.number(cq.head);
        let at = head.load(Ordering::Relaxed);
        if at == self.number(cq.tail).load(Ordering::Acquire) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let place = cq.cqes + (at & (self.parameters.cq_entries - 1)) * COMPLETION + 8;
        let result = self.number(place).load(Ordering::Relaxed).cast_signed();
        head.store(at.wrapping_add(1), Ordering::Release);
        u32::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
    }

    fn number(&self, offset: u32) -> &AtomicU32 {
        let at = self.rings.at(offset as usize).cast::<AtomicU32>();
        // SAFETY: the kernel's offsets lie in the mapping and are aligned; both sides use it atomically only.
        unsafe { &*at }
    }
}

/// Memory that is shared with the kernel.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(file: &OwnedFd, length: usize, offset: libc::off_t) -> io::Result<Self> {
        // SAFETY: a new mapping of the ring's file, which the kernel checks the length of.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                file.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, length })
    }

    fn at(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset < self.length);
        // SAFETY: inside of the mapping, as the kernel said.
        unsafe { self.start.as_ptr().add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and nothing borrows it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// struct io_uring_params.
#[repr(C)]
#[derive(Default)]
struct Parameters {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq: SubmissionOffsets,
    cq: CompletionOffsets,
}

/// struct io_sqring_offsets.
#[repr(C)]
#[derive(Default)]
struct SubmissionOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    reserved: u32,
    user_addr: u64,
}

/// struct io_cqring_offsets.
#[repr(C)]
#[derive(Default)]
struct CompletionOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    overflow: u32,
    cqes: u32,
    flags: u32,
    reserved: u32,
    user_addr: u64,
}

const _: () = assert!(size_of::<Parameters>() == 120);
const ENTRY: usize = 64;
const COMPLETION: u32 = 16;
const OFFSET_RINGS: libc::off_t = 0;
const OFFSET_ENTRIES: libc::off_t = 0x1000_0000;
const FEAT_SINGLE_MMAP: u32 = 1;
const GET_EVENTS: u32 = 1;
const CONNECT: u8 = 16;
const SEND: u8 = 26;
/// IOSQE_ASYNC.
const ASYNC: u8 = 16;
