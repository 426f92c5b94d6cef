//! The system call filter of launches: a classic BPF program, assembled by hand.
//!
//! In: nothing. Out: a [`Filter`], which [`Filter::install`] puts on the calling thread and all that come from it, for good. Needs
//! no_new_privs. Refused are: looking into other processes, keys, mounts, other namespaces, loading code into the kernel, sockets
//! of families that no hook sees, io_uring (whose sockets pass no filter), and typing into the terminal. Everything else is left alone,
//! so that programs behave as without it; what is refused fails as on a kernel or for a user that does not have it.
//!
//! Sources: include/uapi/linux/seccomp.h (`struct seccomp_data`), include/uapi/linux/audit.h, arch/x86/entry/syscalls/syscall_64.tbl. Numbers above
//! 423 are the same on every architecture.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc::{self, sock_filter};

use super::substitute::NOT_READING;

/// A program for the running architecture.
#[derive(Debug)]
pub(crate) struct Filter(Vec<sock_filter>);

impl Filter {
    /// The filter of launches.
    pub(crate) fn of_launches() -> Self {
        Self::refusing(&[])
    }

    /// The same for who answers what [`Filter::of_opens`] asks: it reads the paths.
    pub(crate) fn of_supervisors() -> Self {
        Self::refusing(&[libc::SYS_process_vm_readv])
    }

    /// Asks whoever listens about each opening of a file that only reads; everything else passes.
    pub(crate) fn of_opens() -> Self {
        let pass = statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW);
        let ask = statement(libc::BPF_RET, libc::SECCOMP_RET_USER_NOTIF);
        let mut program = vec![
            load(ARCH),
            jump(libc::BPF_JEQ, NATIVE, 1, 0),
            pass,
            load(NUMBER),
        ];
        for (number, flags) in OPENS {
            program.extend([
                equals(*number, 0, 4),
                load(argument(*flags)),
                jump(libc::BPF_JSET, NOT_READING as u32, 0, 1),
                pass,
                ask,
            ]);
        }
        // Its flags are in memory, where no filter sees them.
        program.extend([equals(libc::SYS_openat2, 0, 1), ask, pass]);
        Self(program)
    }

    /// Refuses what launches may not do, but for `spared`.
    fn refusing(spared: &[libc::c_long]) -> Self {
        let mut program = vec![
            load(ARCH),
            // Another ABI numbers its calls otherwise: i386 on x86_64, for one.
            jump(libc::BPF_JEQ, NATIVE, 1, 0),
            refuse(Errno::ENOSYS),
            load(NUMBER),
        ];
        if cfg!(target_arch = "x86_64") {
            program.extend([jump(libc::BPF_JGE, X32, 0, 1), refuse(Errno::ENOSYS)]);
        }
        for (errno, numbers) in [(Errno::EPERM, FORBIDDEN), (Errno::ENOSYS, ABSENT)] {
            for number in numbers.iter().filter(|number| !spared.contains(number)) {
                program.extend([equals(*number, 0, 1), refuse(errno)]);
            }
        }
        program.extend(bits(libc::SYS_clone, NAMESPACES, Errno::EPERM));
        program.extend(bits(libc::SYS_unshare, !UNSHARED, Errno::EPERM));
        for number in [libc::SYS_socket, libc::SYS_socketpair] {
            program.extend(among(number, FIRST, FAMILIES, Errno::EAFNOSUPPORT));
        }
        program.extend(outside(libc::SYS_ioctl, SECOND, TYPING, Errno::EPERM));
        program.push(statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW));
        Self(program)
    }

    /// Filters the calling thread from here on. Only makes a system call, so that it may stand between fork and exec.
    pub(crate) fn install(&self) -> nix::Result<()> {
        self.put_on(0).map(drop)
    }

    /// The same, and hands out what it asks by.
    pub(super) fn listen(&self, flags: libc::c_ulong) -> nix::Result<OwnedFd> {
        let listener = self.put_on(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | flags)?;
        let listener = RawFd::try_from(listener).map_err(|_| Errno::EBADF)?;
        #[expect(unsafe_code, reason = "takes the descriptor the kernel has just made")]
        // SAFETY: nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(listener) })
    }

    fn put_on(&self, flags: libc::c_ulong) -> nix::Result<libc::c_long> {
        let program = libc::sock_fprog {
            len: self.0.len() as libc::c_ushort,
            filter: self.0.as_ptr().cast_mut(),
        };
        #[expect(unsafe_code, reason = "no crate installs a filter")]
        // SAFETY: `program` points to `len` instructions, which the kernel copies and checks.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        Errno::result(result)
    }
}

/// Refuses a call whose first argument has one of these bits.
fn bits(number: libc::c_long, bits: u32, errno: Errno) -> [sock_filter; 5] {
    [
        equals(number, 0, 4),
        load(FIRST),
        jump(libc::BPF_JSET, bits, 0, 1),
        refuse(errno),
        statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW),
    ]
}

/// Refuses a call unless an argument is among `allowed`.
fn among(number: libc::c_long, argument: u32, allowed: &[u32], errno: Errno) -> Vec<sock_filter> {
    let count = allowed.len() as u8;
    let mut program = vec![equals(number, 0, count + 3), load(argument)];
    for (index, value) in allowed.iter().enumerate() {
        program.push(jump(libc::BPF_JEQ, *value, count - index as u8, 0));
    }
    program.extend([
        refuse(errno),
        statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW),
    ]);
    program
}

/// Refuses a call if an argument is among `forbidden`.
fn outside(
    number: libc::c_long,
    argument: u32,
    forbidden: &[u32],
    errno: Errno,
) -> Vec<sock_filter> {
    let count = forbidden.len() as u8;
    let mut program = vec![equals(number, 0, count + 3), load(argument)];
    for (index, value) in forbidden.iter().enumerate() {
        program.push(jump(libc::BPF_JEQ, *value, count - index as u8, 0));
    }
    program.extend([
        statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW),
        refuse(errno),
    ]);
    program
}

fn equals(number: libc::c_long, then: u8, otherwise: u8) -> sock_filter {
    jump(libc::BPF_JEQ, number as u32, then, otherwise)
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn refuse(errno: Errno) -> sock_filter {
    statement(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | errno as u32)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

fn jump(test: u32, k: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter {
        code: (libc::BPF_JMP | test | libc::BPF_K) as u16,
        jt: then,
        jf: otherwise,
        k,
    }
}

/// Offsets in `struct seccomp_data`; of the arguments their lower halves, which is all the kernel reads of those that are looked at here.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST: u32 = argument(0);
const SECOND: u32 = argument(1);

const fn argument(index: u32) -> u32 {
    16 + 8 * index + if cfg!(target_endian = "big") { 4 } else { 0 }
}

/// AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64: the machine, 64 bits, little endian.
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 62 | 0xc000_0000;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 183 | 0xc000_0000;

/// __X32_SYSCALL_BIT.
const X32: u32 = 0x4000_0000;

/// Openings of files, with the argument that has their flags.
const OPENS: &[(libc::c_long, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
    (libc::SYS_openat, 2),
];

/// What a launch may not do.
const FORBIDDEN: &[libc::c_long] = &[
    // Into other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Keys, which belong to users and sessions and not to namespaces.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // To what is hidden.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    OPEN_TREE_ATTR,
    libc::SYS_open_by_handle_at,
    libc::SYS_setns,
    // Into the kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
];

/// What libraries do without where the kernel does not have it. clone3 has its flags in memory, where no filter sees them; the C
/// library then uses clone.
const ABSENT: &[libc::c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Since Linux 6.15.
const OPEN_TREE_ATTR: libc::c_long = 467;

/// Flags of clone that make namespaces. CLONE_NEWTIME shares its bit with the exit signal, and clone does not know it.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// Flags of unshare that make none.
const UNSHARED: u32 = (libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SYSVSEM
    | libc::CLONE_VM
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD) as u32;

/// Families of sockets: those that stay in the network namespace, or that hooks see.
const FAMILIES: &[u32] = &[
    libc::AF_UNIX as u32,
    libc::AF_INET as u32,
    libc::AF_INET6 as u32,
    libc::AF_NETLINK as u32,
];

/// Requests with which a process types into a terminal: TIOCSTI, and the pasting of TIOCLINUX.
const TYPING: &[u32] = &[libc::TIOCSTI as u32, libc::TIOCLINUX as u32];

#[cfg(test)]
#[path = "filter/tests.rs"]
mod tests;
