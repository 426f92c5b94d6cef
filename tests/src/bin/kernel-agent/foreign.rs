//! Another loader: a program at connect4 that answers always the same.

use std::{
    fs::File,
    io,
    mem::forget,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use anyhow::Result;
use nix::libc;

/// Attaches it for as long as this process lives.
pub(crate) fn attach(cgroup: &str, answer: i32) -> Result<String> {
    // r0 = answer; exit
    let code: [u64; 2] = [0xb7 | (u64::from(answer.cast_unsigned()) << 32), 0x95];
    let license = c"GPL";
    let mut name = [0_u8; 16];
    name[..7].copy_from_slice(b"foreign");
    let mut load = Load {
        kind: CGROUP_SOCK_ADDR,
        count: 2,
        code: code.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log: [0; 2],
        log_buf: 0,
        version: 0,
        flags: 0,
        name,
        ifindex: 0,
        attach_type: CONNECT4,
    };
    let program = call(PROG_LOAD, &mut load)?;
    let folder = File::open(cgroup)?;
    let mut create = Link {
        program: program.as_raw_fd(),
        target: folder.as_raw_fd(),
        attach_type: CONNECT4,
        flags: 0,
    };
    forget(call(LINK_CREATE, &mut create)?);
    Ok(String::new())
}

#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    code: u64,
    license: u64,
    log: [u32; 2],
    log_buf: u64,
    version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    attach_type: u32,
}

#[repr(C)]
struct Link {
    program: i32,
    target: i32,
    attach_type: u32,
    flags: u32,
}

fn call<T>(command: libc::c_long, attr: &mut T) -> io::Result<OwnedFd> {
    #[expect(unsafe_code, reason = "no crate loads a program without an object")]
    // SAFETY: `attr` is a prefix of bpf_attr of the size that is passed; what it points to is alive in the caller.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            size_of::<T>(),
        )
    };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    #[expect(unsafe_code, reason = "takes the descriptor the kernel has just made")]
    // SAFETY: nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

const PROG_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;
const CGROUP_SOCK_ADDR: u32 = 18;
const CONNECT4: u32 = 10;
