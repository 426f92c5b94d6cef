//! The supervisor of `--trust=fdsubst`: answers each opening of a bundle of certificates with the bundle and the workload's CA.
//!
//! In: the listener of the filter that asks about openings. Out: for a file that is known to be a bundle by its name, and is one by its content, a
//! descriptor of a sealed memory file with that content and the CA behind it; every other opening goes on in the kernel as if nobody had asked.
//! The CA is read each time, so that what is opened after a rotation has the next one.
//!
//! Invariants: the supervisor opens as the launch's user, without a capability over files, in the launch's own root, so it gets nothing that the
//! command could not open; it opens nothing in /proc, whose links would be its own, and nothing but regular files without a private key; it waits for no
//! other process (a FIFO, a lease). A file system that hangs stops the openings of its own launch.
//!
//! The path is read from memory that others may be changing meanwhile. That is harmless: whatever is read, the answer is the content of a file that
//! the launch's user may read and a CA that the launch is given anyway, at a descriptor of the launch. Who wins a race has gained nothing but trust
//! in the gateway, which governs it as before. What goes on in the kernel is checked there, from the kernel's own copy of the path.
//!
//! What copies files is left alone: it sees that it got another file than it looked at, and the CA would outlive the launch in its copies. Such
//! programs follow no links (`O_NOFOLLOW`), which no TLS library minds, or are known by name.
//!
//! Not asked are a Landlock domain that a program has put itself into, and a profile of AppArmor or SELinux that its exec entered. What they keep the
//! program from opening it gets where it is named as a bundle, has a certificate, and no key.
//!
//! It runs after a fork and before no exec: everything is allocated before.

use std::ffi::{CStr, CString};
use std::io::Write;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;

use super::bundles;

/// What it works with.
#[derive(Debug)]
pub(crate) struct Substitution {
    /// The file with the launch's CAs.
    ca: CString,
    path: Vec<u8>,
    content: Vec<u8>,
}

/// One opening that is asked about.
struct Opening {
    folder: RawFd,
    path: u64,
    flags: u64,
    resolve: u64,
}

impl Substitution {
    /// With the CAs of this file.
    pub(crate) fn new(ca: CString) -> Self {
        Self {
            ca,
            path: vec![0; PATH],
            // Untouched pages cost nothing.
            content: vec![0; LARGEST + LARGEST_CA],
        }
    }

    /// Answers one question.
    pub(super) fn answer(&mut self, listener: RawFd) -> nix::Result<()> {
        // SAFETY: all zero is a valid value, and what the kernel wants.
        let mut asked: libc::seccomp_notif = unsafe { zeroed() };
        match ask(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &mut asked) {
            // Who asked has gone.
            Err(Errno::ENOENT | Errno::EINTR) => return Ok(()),
            other => other?,
        }
        if let Ok(Some(made)) = self.made(listener, &asked) {
            let close_on_exec = Opening::of(&asked).is_ok_and(|of| of.flags & CLOSE != 0);
            let mut given = libc::seccomp_notif_addfd {
                id: asked.id,
                flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
                srcfd: made.as_raw_fd().cast_unsigned(),
                newfd: 0,
                newfd_flags: if close_on_exec { CLOSE as u32 } else { 0 },
            };
            // Where it has no room for a descriptor, the kernel tells it so by what follows.
            if ask(listener, libc::SECCOMP_IOCTL_NOTIF_ADDFD, &mut given).is_ok() {
                return Ok(());
            }
        }
        let mut answer = libc::seccomp_notif_resp {
            id: asked.id,
            val: 0,
            error: 0,
            flags: libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        };
        match ask(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &mut answer) {
            Err(Errno::ENOENT) => Ok(()),
            other => other,
        }
    }

    /// What is given instead; nothing, or an error, where the opening goes on as it is.
    fn made(
        &mut self,
        listener: RawFd,
        asked: &libc::seccomp_notif,
    ) -> nix::Result<Option<OwnedFd>> {
        let pid = asked.pid.cast_signed();
        let opening = Opening::of(asked)?;
        let Some(length) = read_text(pid, opening.path, &mut self.path)? else {
            return Ok(None);
        };
        if !bundles::is_one(self.path.get(..length).unwrap_or_default()) {
            return Ok(None);
        }
        let mut link = [0; LINK];
        let mut name = [0; NAME];
        let comm = open(
            own_link(&mut link, format_args!("/proc/{pid}/comm"))?,
            libc::O_RDONLY,
        )?;
        let length = read(&comm, &mut name)?;
        if bundles::copies(name.get(..length).unwrap_or_default()) {
            return Ok(None);
        }
        let path = CStr::from_bytes_until_nul(&self.path).map_err(|_| Errno::ENAMETOOLONG)?;
        let file = opening.follow(pid, path)?;
        // Until here the number could have become that of another process.
        let mut id = asked.id;
        ask(listener, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &mut id)?;
        let Some(file) = regular(&file)? else {
            return Ok(None);
        };
        let length = read(&file, self.content.get_mut(..LARGEST).unwrap_or_default())?;
        let Some(room) = self.content.get_mut(length..) else {
            return Ok(None);
        };
        let Some((line, room)) = room.split_first_mut() else {
            return Ok(None);
        };
        *line = b'\n';
        let ca = read(&open(&self.ca, libc::O_RDONLY)?, room)?;
        let (Some(file), Some(all)) = (
            self.content.get(..length),
            self.content.get(..length + 1 + ca),
        ) else {
            return Ok(None);
        };
        let ca = all.get(length + 1..).unwrap_or_default();
        let wanted = !ca.is_empty()
            && length < LARGEST
            && bundles::has(file, MARK)
            && !bundles::has(file, KEY)
            && !bundles::has(file, ca);
        if wanted {
            sealed(all).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl Opening {
    fn of(asked: &libc::seccomp_notif) -> nix::Result<Self> {
        let [first, second, third, ..] = asked.data.args;
        let opening = |folder: u64, path, flags| Self {
            // The kernel reads the lower half.
            folder: folder as u32 as RawFd,
            path,
            flags,
            resolve: 0,
        };
        match libc::c_long::from(asked.data.nr) {
            libc::SYS_openat => Ok(opening(first, second, third)),
            libc::SYS_openat2 => {
                let how: libc::open_how = read_value(asked.pid.cast_signed(), third)?;
                if how.flags & NOT_READING != 0 {
                    return Err(Errno::EACCES);
                }
                Ok(Self {
                    resolve: how.resolve,
                    ..opening(first, second, how.flags)
                })
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => Ok(opening(libc::AT_FDCWD as u64, first, second)),
            _ => Err(Errno::ENOSYS),
        }
    }

    /// The file it means, opened for nothing yet.
    fn follow(&self, pid: i32, path: &CStr) -> nix::Result<OwnedFd> {
        // SAFETY: all zero is a valid value of this struct of integers.
        let mut how: libc::open_how = unsafe { zeroed() };
        how.flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
        how.resolve = self.resolve | libc::RESOLVE_NO_MAGICLINKS;
        let mut link = [0; LINK];
        let from = match (path.to_bytes().first(), self.folder) {
            (Some(b'/'), _) if self.resolve & libc::RESOLVE_IN_ROOT == 0 => None,
            (_, libc::AT_FDCWD) => Some(own_link(&mut link, format_args!("/proc/{pid}/cwd"))?),
            (_, folder) => Some(own_link(
                &mut link,
                format_args!("/proc/{pid}/fd/{folder}"),
            )?),
        };
        let from = from.map(|link| open(link, libc::O_PATH)).transpose()?;
        let folder = from.as_ref().map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd);
        // SAFETY: path and struct are alive, and the size is that of the struct.
        owned(unsafe {
            libc::syscall(
                libc::SYS_openat2,
                folder,
                path.as_ptr(),
                &raw const how,
                size_of::<libc::open_how>(),
            )
        })
    }
}

/// Opens a regular file for reading, with the rights that the user has to it.
fn regular(file: &OwnedFd) -> nix::Result<Option<OwnedFd>> {
    // SAFETY: all zero is a valid value of this struct of integers; the kernel fills it.
    let mut meta: libc::stat = unsafe { zeroed() };
    // SAFETY: points to a live struct.
    Errno::result(unsafe { libc::fstat(file.as_raw_fd(), &raw mut meta) })?;
    if meta.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Ok(None);
    }
    // SAFETY: all zero is a valid value of this struct of integers; the kernel fills it.
    let mut place: libc::statfs = unsafe { zeroed() };
    // SAFETY: points to a live struct.
    Errno::result(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut place) })?;
    if place.f_type == libc::PROC_SUPER_MAGIC {
        return Ok(None);
    }
    again(file).map(Some)
}

/// A descriptor of its own for the same file, for reading.
fn again(file: &OwnedFd) -> nix::Result<OwnedFd> {
    let mut link = [0; LINK];
    let number = file.as_raw_fd();
    open(
        own_link(&mut link, format_args!("/proc/self/fd/{number}"))?,
        // A lease of another would be waited for.
        libc::O_RDONLY | libc::O_NONBLOCK,
    )
}

/// A file in memory that nobody changes any more.
fn sealed(content: &[u8]) -> nix::Result<OwnedFd> {
    let make = |flags: libc::c_uint| {
        // SAFETY: the name is static.
        owned(unsafe { libc::syscall(libc::SYS_memfd_create, c"tollgate".as_ptr(), flags) })
    };
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let file = match make(flags | libc::MFD_NOEXEC_SEAL) {
        // Before 6.3.
        Err(Errno::EINVAL) => make(flags),
        other => other,
    }?;
    let mut rest = content;
    while !rest.is_empty() {
        // SAFETY: the bytes are alive.
        let written = unsafe { libc::write(file.as_raw_fd(), rest.as_ptr().cast(), rest.len()) };
        rest = rest
            .get(Errno::result(written)?.cast_unsigned()..)
            .unwrap_or_default();
    }
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: takes integers only.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    again(&file)
}

pub(super) fn open(path: &CStr, flags: libc::c_int) -> nix::Result<OwnedFd> {
    // SAFETY: the path is alive.
    owned(unsafe {
        libc::syscall(
            libc::SYS_openat,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags | libc::O_CLOEXEC,
            0,
        )
    })
}

fn owned(result: libc::c_long) -> nix::Result<OwnedFd> {
    let number = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made it, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Fills as much as there is; how much that was.
pub(super) fn read(file: &OwnedFd, room: &mut [u8]) -> nix::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the room is alive and as long as is said.
        let got = unsafe { libc::read(file.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len()) };
        match Errno::result(got)?.cast_unsigned() {
            0 => break,
            got => filled += got,
        }
    }
    Ok(filled)
}

fn own_link<'a>(room: &'a mut [u8; LINK], text: std::fmt::Arguments<'_>) -> nix::Result<&'a CStr> {
    let mut rest = &mut room[..LINK - 1];
    rest.write_fmt(text).map_err(|_| Errno::ENAMETOOLONG)?;
    CStr::from_bytes_until_nul(room).map_err(|_| Errno::ENAMETOOLONG)
}

/// The text that ends with a zero byte in another process; its length, or nothing where it has no end within `room`.
fn read_text(pid: i32, from: u64, room: &mut [u8]) -> nix::Result<Option<usize>> {
    let mut length = 0;
    while length < room.len() {
        let at = from.wrapping_add(length as u64);
        // What lies behind the page need not be there.
        let page = (PAGE - at % PAGE) as usize;
        let until = room.len().min(length + page.min(PIECE));
        let piece = room.get_mut(length..until).ok_or(Errno::EFAULT)?;
        let got = read_memory(pid, at, piece)?;
        if let Some(end) = piece
            .get(..got)
            .and_then(|piece| piece.iter().position(|byte| *byte == 0))
        {
            return Ok(Some(length + end));
        }
        length = until;
    }
    Ok(None)
}

/// A struct of integers of another process.
fn read_value<T: Copy>(pid: i32, from: u64) -> nix::Result<T> {
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: the bytes of a zeroed value are initialised.
    let room =
        unsafe { std::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
    match read_memory(pid, from, room)? == size_of::<T>() {
        // SAFETY: it is used for structs of integers, for which all bytes are valid.
        true => Ok(unsafe { value.assume_init() }),
        false => Err(Errno::EFAULT),
    }
}

fn read_memory(pid: i32, from: u64, room: &mut [u8]) -> nix::Result<usize> {
    let here = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    };
    let there = libc::iovec {
        iov_base: from as *mut libc::c_void,
        iov_len: room.len(),
    };
    // SAFETY: writes to `room` alone; what `there` says is looked up in the other process.
    let got = unsafe { libc::process_vm_readv(pid, &raw const here, 1, &raw const there, 1, 0) };
    Ok(Errno::result(got)?.cast_unsigned())
}

/// One request to a listener.
fn ask<T>(listener: RawFd, request: libc::Ioctl, value: &mut T) -> nix::Result<()> {
    // SAFETY: each request is used with the struct that it is defined for.
    Errno::result(unsafe { libc::ioctl(listener, request, std::ptr::from_mut(value)) }).map(drop)
}

/// What makes an opening more, or less, than one for reading.
pub(super) const NOT_READING: u64 = (libc::O_ACCMODE
    | libc::O_CREAT
    | libc::O_TRUNC
    | libc::O_PATH
    | libc::O_DIRECTORY
    | libc::O_NOFOLLOW) as u64;
const CLOSE: u64 = libc::O_CLOEXEC as u64;
/// What no bundle has: a file with a key is somebody's, whatever name leads to it.
const KEY: &[u8] = b"PRIVATE KEY-----";
/// What every certificate in PEM ends its first line with.
const MARK: &[u8] = b"CERTIFICATE-----";
/// PATH_MAX.
const PATH: usize = 4096;
const PAGE: u64 = 4096;
/// Most paths are shorter.
const PIECE: usize = 256;
const LINK: usize = 64;
/// TASK_COMM_LEN.
const NAME: usize = 16;
/// The largest known bundle has 1 MB.
const LARGEST: usize = 4 << 20;
const LARGEST_CA: usize = 64 << 10;
