//! System call filters: a list of what is refused, as a classic BPF program for seccomp(2).
//!
//! Everything not listed passes, so that a library that needs another call tomorrow goes on; what is listed is what a process could use
//! to get more than it was given. Another architecture's numbering kills the process: a filter would read its numbers wrongly.
//! Layouts are those of include/uapi/linux/{filter,seccomp}.h.

use std::io;

use nix::errno::Errno;
use nix::libc::{self, c_long};

/// One refusal; the call fails with `EPERM`.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// The call is refused.
    Call(c_long),
    /// The call is refused unless the low half of an argument is one of these values.
    Unless {
        /// The call.
        call: c_long,
        /// Which of its six arguments.
        argument: u8,
        /// What it may be.
        allowed: &'static [u32],
    },
}

/// Refuses these calls to this process, all its threads, and whatever it starts, for good. Needs no_new_privs or `CAP_SYS_ADMIN`.
///
/// # Errors
/// The kernel has no filters, or another thread has one of its own.
pub fn refuse(rules: &[Rule]) -> io::Result<()> {
    let program = program(rules)?;
    let length = u16::try_from(program.len()).map_err(|_| Errno::E2BIG)?;
    let header = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut(),
    };
    #[expect(unsafe_code, reason = "no crate wraps seccomp(2)")]
    // SAFETY: `header` points to `program`, which the kernel only reads; both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const header,
        )
    };
    match Errno::result(result)? {
        0 => Ok(()),
        // The number of the thread that could not be brought under the filter.
        _ => Err(Errno::ESRCH.into()),
    }
}

/// The filter of a list.
fn program(rules: &[Rule]) -> io::Result<Vec<libc::sock_filter>> {
    let mut code = vec![
        load(ARCHITECTURE_AT),
        equal(ARCHITECTURE, 1, 0),
        answer(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER_AT),
    ];
    if cfg!(target_arch = "x86_64") {
        // The x32 numbering, under which every rule could be passed by.
        code.push(jump(libc::BPF_JGE, X32, 0, 1));
        code.push(refused());
    }
    for rule in rules {
        match rule {
            Rule::Call(call) => {
                code.push(equal(number(*call)?, 0, 1));
                code.push(refused());
            }
            Rule::Unless {
                call,
                argument,
                allowed,
            } => {
                let many = u8::try_from(allowed.len()).map_err(|_| Errno::E2BIG)?;
                // Past the argument, its values, the refusal and the number again.
                code.push(equal(number(*call)?, 0, many + 3));
                code.push(load(ARGUMENTS_AT + 8 * u32::from(*argument) + LOW));
                for (at, value) in (0..many).zip(allowed.iter()) {
                    code.push(equal(*value, many - at, 0));
                }
                code.push(refused());
                code.push(load(NUMBER_AT));
            }
        }
    }
    code.push(answer(libc::SECCOMP_RET_ALLOW));
    Ok(code)
}

fn number(call: c_long) -> io::Result<u32> {
    Ok(u32::try_from(call).map_err(|_| Errno::EINVAL)?)
}

fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

/// Jumps by `same` or by `other` from the next instruction.
fn equal(value: u32, same: u8, other: u8) -> libc::sock_filter {
    jump(libc::BPF_JEQ, value, same, other)
}

fn jump(condition: u32, value: u32, yes: u8, no: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | condition | libc::BPF_K, value, yes, no)
}

fn refused() -> libc::sock_filter {
    answer(libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned())
}

fn answer(value: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, value, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        // The codes of classic BPF are below 256.
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// What no process of the gateway does once it has begun: trace other processes and write to their memory, leave its root, load code into
/// the kernel, use keyrings, and ask for system calls by a way that filters do not see.
pub const NEVER: &[Rule] = &[
    Rule::Call(libc::SYS_ptrace),
    Rule::Call(libc::SYS_process_vm_readv),
    Rule::Call(libc::SYS_process_vm_writev),
    Rule::Call(libc::SYS_userfaultfd),
    Rule::Call(libc::SYS_pivot_root),
    Rule::Call(libc::SYS_chroot),
    Rule::Call(libc::SYS_keyctl),
    Rule::Call(libc::SYS_add_key),
    Rule::Call(libc::SYS_request_key),
    Rule::Call(libc::SYS_io_uring_setup),
    Rule::Call(libc::SYS_io_uring_enter),
    Rule::Call(libc::SYS_io_uring_register),
    Rule::Call(libc::SYS_init_module),
    Rule::Call(libc::SYS_finit_module),
    Rule::Call(libc::SYS_delete_module),
    Rule::Call(libc::SYS_kexec_load),
    Rule::Call(libc::SYS_kexec_file_load),
];

/// What a process needs nothing of that works neither the kernel part nor namespaces: programs, descriptors of others, BPF, mounts,
/// namespaces, what others open.
pub const PRIVILEGED: &[Rule] = &[
    Rule::Call(libc::SYS_execve),
    Rule::Call(libc::SYS_execveat),
    Rule::Call(libc::SYS_pidfd_getfd),
    Rule::Call(libc::SYS_kcmp),
    Rule::Call(libc::SYS_bpf),
    Rule::Call(libc::SYS_perf_event_open),
    Rule::Call(libc::SYS_mount),
    Rule::Call(libc::SYS_umount2),
    Rule::Call(libc::SYS_open_tree),
    Rule::Call(libc::SYS_move_mount),
    Rule::Call(libc::SYS_fsopen),
    Rule::Call(libc::SYS_fsconfig),
    Rule::Call(libc::SYS_fsmount),
    Rule::Call(libc::SYS_fspick),
    Rule::Call(libc::SYS_mount_setattr),
    Rule::Call(libc::SYS_unshare),
    Rule::Call(libc::SYS_setns),
    Rule::Call(libc::SYS_fanotify_init),
    Rule::Call(libc::SYS_fanotify_mark),
];

/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;
/// Where the low half of an argument lies in it.
const LOW: u32 = if cfg!(target_endian = "big") { 4 } else { 0 };
/// `__X32_SYSCALL_BIT`.
const X32: u32 = 0x4000_0000;
/// `AUDIT_ARCH_*` of the target.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Runs a filter as the kernel does.
    fn verdict(program: &[libc::sock_filter], architecture: u32, call: u32, argument: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            match u32::from(step.code) & 7 {
                libc::BPF_LD => {
                    value = match step.k {
                        NUMBER_AT => call,
                        ARCHITECTURE_AT => architecture,
                        _ => argument,
                    }
                }
                libc::BPF_JMP => {
                    let taken = match u32::from(step.code) & 0xf0 {
                        libc::BPF_JEQ => value == step.k,
                        _ => value >= step.k,
                    };
                    at += usize::from(if taken { step.jt } else { step.jf });
                }
                _ => return step.k,
            }
        }
    }

    #[test]
    fn what_is_listed_is_refused_and_nothing_else() {
        let rules = [
            Rule::Call(7),
            Rule::Unless {
                call: 41,
                argument: 0,
                allowed: &[1, 2, 10],
            },
            Rule::Call(9),
        ];
        let program = program(&rules).unwrap();
        let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
        for call in 0..60 {
            for argument in 0..20 {
                let expected = match (call, argument) {
                    (7 | 9, _) => refused,
                    (41, 1 | 2 | 10) => libc::SECCOMP_RET_ALLOW,
                    (41, _) => refused,
                    _ => libc::SECCOMP_RET_ALLOW,
                };
                let got = verdict(&program, ARCHITECTURE, call, argument);
                assert_eq!(got, expected, "{call} {argument}");
            }
        }
        let killed = libc::SECCOMP_RET_KILL_PROCESS;
        assert_eq!(verdict(&program, 0x4000_0003, 1, 0), killed);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(verdict(&program, ARCHITECTURE, X32 + 1, 0), refused);
        }
    }
}
