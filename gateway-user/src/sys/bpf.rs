//! Commands of bpf(2) that aya lacks for cgroup links: open a pin, pin again, put another program in place, detach.
//!
//! Attribute layouts are those of `union bpf_attr` in include/uapi/linux/bpf.h (Linux 5.9 and later); bytes past a layout
//! are zero to the kernel.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use nix::libc;

/// Opens a pinned object.
pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = ObjGet {
        pathname: path.as_ptr() as u64,
        bpf_fd: 0,
        file_flags: 0,
    };
    let fd = bpf(BPF_OBJ_GET, &mut attr)?;
    #[expect(unsafe_code, reason = "takes the descriptor the kernel has just made")]
    // SAFETY: a successful BPF_OBJ_GET returns a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Pins an object at a path where nothing is.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = ObjGet {
        pathname: path.as_ptr() as u64,
        bpf_fd: u32::try_from(object.as_raw_fd()).unwrap_or_default(),
        file_flags: 0,
    };
    bpf(BPF_OBJ_PIN, &mut attr).map(drop)
}

/// Puts another program into a link, without a moment in which none is attached.
pub fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkUpdate {
        link_fd: link.as_raw_fd(),
        new_prog_fd: program.as_raw_fd(),
        flags: 0,
        old_prog_fd: 0,
    };
    bpf(BPF_LINK_UPDATE, &mut attr).map(drop)
}

/// A link to a cgroup, as it stands.
pub struct CgroupLink {
    /// The program in it.
    pub program: u32,
    /// The cgroup, 0 once it is detached.
    pub cgroup: u64,
}

/// Looks at a link to a cgroup.
pub fn cgroup_link(link: BorrowedFd<'_>) -> io::Result<CgroupLink> {
    let mut info = LinkInfo::default();
    let mut attr = InfoByFd {
        bpf_fd: link.as_raw_fd(),
        info_len: size_of::<LinkInfo>() as u32,
        info: (&raw mut info) as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(CgroupLink {
        program: info.prog_id,
        cgroup: info.cgroup_id,
    })
}

/// Numbers of the programs that are attached to this very cgroup, in the order in which they run.
pub fn attached(cgroup: BorrowedFd<'_>, attach_type: u32) -> io::Result<Vec<u32>> {
    let mut ids = vec![0_u32; MAX_PROGRAMS];
    let mut attr = ProgQuery {
        target_fd: cgroup.as_raw_fd(),
        attach_type,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: MAX_PROGRAMS as u32,
    };
    bpf(BPF_PROG_QUERY, &mut attr)?;
    ids.truncate(attr.prog_cnt as usize);
    Ok(ids)
}

/// Detaches a cgroup link at once, whoever else holds it.
pub fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkDetach {
        link_fd: link.as_raw_fd(),
    };
    bpf(BPF_LINK_DETACH, &mut attr).map(drop)
}

/// A `repr(C)` prefix of `union bpf_attr`, made of integers. Private, so that the set of implementations is what stands here.
trait Attr {}

#[repr(C)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

#[repr(C)]
struct LinkUpdate {
    link_fd: RawFd,
    new_prog_fd: RawFd,
    flags: u32,
    old_prog_fd: RawFd,
}

#[repr(C)]
struct LinkDetach {
    link_fd: RawFd,
}

#[repr(C)]
struct InfoByFd {
    bpf_fd: RawFd,
    info_len: u32,
    info: u64,
}

/// `struct bpf_link_info` as far as links to cgroups fill it.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    prog_id: u32,
    pad: u32,
    cgroup_id: u64,
    attach_type: u32,
    end: u32,
}

#[repr(C)]
struct ProgQuery {
    target_fd: RawFd,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
}

impl Attr for InfoByFd {}
impl Attr for ProgQuery {}
impl Attr for ObjGet {}
impl Attr for LinkUpdate {}
impl Attr for LinkDetach {}

fn bpf<A: Attr>(command: libc::c_long, attr: &mut A) -> io::Result<RawFd> {
    #[expect(unsafe_code, reason = "no crate wraps these commands")]
    // SAFETY: `attr` is a prefix of bpf_attr of exactly the size that is passed, and outlives the call; the path that ObjGet
    // points to is alive in the caller.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            size_of::<A>(),
        )
    };
    RawFd::try_from(result)
        .ok()
        .filter(|fd| *fd >= 0)
        .ok_or_else(io::Error::last_os_error)
}

const BPF_OBJ_PIN: libc::c_long = 6;
/// The kernel allows 64 to a cgroup and hook.
const MAX_PROGRAMS: usize = 64;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_LINK_UPDATE: libc::c_long = 29;
const BPF_LINK_DETACH: libc::c_long = 34;
