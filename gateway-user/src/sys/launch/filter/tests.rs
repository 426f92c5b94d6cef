//! The filter, run in an interpreter.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

/// `struct seccomp_data`.
#[derive(Clone, Copy)]
struct Call {
    number: u32,
    arch: u32,
    arguments: [u64; 6],
}

/// What the filter of launches says.
fn verdict(call: Call) -> i32 {
    by(&Filter::of_launches(), call)
}

/// What a filter says: 0 to pass, or the errno, or [`ASKS`].
fn by(filter: &Filter, call: Call) -> i32 {
    let mut data = [0_u8; 64];
    data[0..4].copy_from_slice(&call.number.to_ne_bytes());
    data[4..8].copy_from_slice(&call.arch.to_ne_bytes());
    for (index, argument) in call.arguments.iter().enumerate() {
        data[16 + 8 * index..24 + 8 * index].copy_from_slice(&argument.to_ne_bytes());
    }
    let program = &filter.0;
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let instruction = program[at];
        at += 1;
        let code = u32::from(instruction.code);
        let test = match code {
            _ if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                let offset = instruction.k as usize;
                accumulator = u32::from_ne_bytes(data[offset..offset + 4].try_into().unwrap());
                continue;
            }
            _ if code == libc::BPF_RET => {
                return match instruction.k & libc::SECCOMP_RET_ACTION_FULL {
                    libc::SECCOMP_RET_ALLOW => 0,
                    libc::SECCOMP_RET_USER_NOTIF => ASKS,
                    libc::SECCOMP_RET_ERRNO => (instruction.k & libc::SECCOMP_RET_DATA) as i32,
                    other => panic!("{other:#x}"),
                };
            }
            _ if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => {
                accumulator == instruction.k
            }
            _ if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => {
                accumulator >= instruction.k
            }
            _ if code == libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K => {
                accumulator & instruction.k != 0
            }
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if test { instruction.jt } else { instruction.jf });
    }
}

/// The supervisor answers.
const ASKS: i32 = -1;

fn call(number: libc::c_long, arguments: [u64; 6]) -> i32 {
    verdict(Call {
        number: number as u32,
        arch: NATIVE,
        arguments,
    })
}

fn first(number: libc::c_long, argument: u64) -> i32 {
    call(number, [argument, 0, 0, 0, 0, 0])
}

#[test]
fn every_call_passes_that_is_not_listed() {
    let judged = [
        libc::SYS_clone,
        libc::SYS_unshare,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_ioctl,
    ];
    for number in (0..1024).filter(|number| !judged.contains(number)) {
        let expected = if FORBIDDEN.contains(&number) {
            libc::EPERM
        } else if ABSENT.contains(&number) {
            libc::ENOSYS
        } else {
            0
        };
        for argument in [0, u64::MAX] {
            assert_eq!(call(number, [argument; 6]), expected, "{number}");
        }
    }
}

#[test]
fn other_abis_are_absent() {
    const I386: u32 = 3 | 0x4000_0000;
    const ARM: u32 = 40 | 0x4000_0000;
    for arch in [0, I386, ARM, u32::MAX] {
        for number in 0..512 {
            let arguments = [0; 6];
            let call = Call {
                number,
                arch,
                arguments,
            };
            assert_eq!(verdict(call), libc::ENOSYS);
        }
    }
    if cfg!(target_arch = "x86_64") {
        for number in 0..1024 {
            assert_eq!(call(number | 0x4000_0000, [0; 6]), libc::ENOSYS);
        }
    }
}

#[test]
fn sockets_are_of_four_families() {
    for number in [libc::SYS_socket, libc::SYS_socketpair] {
        for family in 0..64 {
            let expected = match family as i32 {
                libc::AF_UNIX | libc::AF_INET | libc::AF_INET6 | libc::AF_NETLINK => 0,
                _ => libc::EAFNOSUPPORT,
            };
            assert_eq!(first(number, family), expected, "{family}");
            // The kernel reads the lower half.
            assert_eq!(first(number, family | 0xffff_ffff_0000_0000), expected);
        }
    }
}

#[test]
fn no_namespace_is_made() {
    let threads = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND;
    let ordinary = [
        libc::SIGCHLD,
        threads | libc::CLONE_THREAD | libc::CLONE_SETTLS | libc::CLONE_SYSVSEM,
        libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
    ];
    for flags in ordinary {
        assert_eq!(first(libc::SYS_clone, flags as u64), 0, "{flags:#x}");
        for bit in (0..32).map(|bit| 1_u32 << bit) {
            let expected = if NAMESPACES & bit == 0 {
                0
            } else {
                libc::EPERM
            };
            let flags = u64::from(flags as u32 | bit);
            assert_eq!(first(libc::SYS_clone, flags), expected, "{bit:#x}");
        }
    }
    let own = libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SYSVSEM;
    assert_eq!(first(libc::SYS_unshare, own as u64), 0);
    for namespace in [
        0x80,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWNS,
    ] {
        let flags = (own | namespace) as u64;
        assert_eq!(first(libc::SYS_unshare, flags), libc::EPERM);
    }
}

#[test]
fn nobody_types_into_a_terminal() {
    let ioctl = |request: u64| call(libc::SYS_ioctl, [1, request, 0, 0, 0, 0]);
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        assert_eq!(ioctl(request), libc::EPERM);
        // The kernel reads the lower half.
        let high = request | 0x1_0000_0000;
        assert_eq!(call(libc::SYS_ioctl, [1, high, 0, 0, 0, 0]), libc::EPERM);
    }
    for request in [
        libc::TCGETS,
        libc::TIOCGWINSZ,
        libc::TIOCSPGRP,
        libc::FIONREAD,
    ] {
        assert_eq!(ioctl(request), 0);
    }
}

#[test]
fn whoever_answers_reads_memory_and_does_nothing_else_that_is_forbidden() {
    let (launches, supervisors) = (Filter::of_launches(), Filter::of_supervisors());
    for number in 0..1024 {
        let call = Call {
            number,
            arch: NATIVE,
            arguments: [0; 6],
        };
        let same = by(&launches, call) == by(&supervisors, call);
        let reads = libc::c_long::from(number) == libc::SYS_process_vm_readv;
        assert_eq!(same, !reads, "{number}");
    }
}

#[test]
fn only_openings_that_read_are_asked_about() {
    let filter = Filter::of_opens();
    let asked = |number: libc::c_long, arguments: [u64; 6], arch| {
        let number = number as u32;
        let call = Call {
            number,
            arch,
            arguments,
        };
        by(&filter, call)
    };
    for number in 0..1024 {
        let opens = OPENS.iter().any(|(opens, _)| *opens == number) || number == libc::SYS_openat2;
        let expected = if opens { ASKS } else { 0 };
        assert_eq!(asked(number, [0; 6], NATIVE), expected, "{number}");
        assert_eq!(asked(number, [0; 6], 3), 0, "the other filter refuses it");
    }
    let more = [
        libc::O_WRONLY,
        libc::O_RDWR,
        libc::O_CREAT,
        libc::O_PATH,
        libc::O_DIRECTORY,
        libc::O_NOFOLLOW,
        libc::O_TMPFILE,
    ];
    let reads = [
        libc::O_CLOEXEC,
        libc::O_NONBLOCK,
        libc::O_NOCTTY,
        libc::O_NOATIME,
    ];
    for (number, index) in OPENS {
        for (flags, expected) in more
            .map(|flags| (flags, 0))
            .into_iter()
            .chain(reads.map(|flags| (flags, ASKS)))
        {
            let mut arguments = [u64::MAX; 6];
            arguments[*index as usize] = flags as u64 | 0xffff_ffff_0000_0000;
            assert_eq!(asked(*number, arguments, NATIVE), expected, "{flags:#o}");
        }
    }
}

#[test]
fn the_kernel_takes_it() {
    let installed = std::thread::spawn(|| {
        nix::sys::prctl::set_no_new_privs()?;
        Filter::of_launches().install()?;
        let refused = socket2::Socket::new(socket2::Domain::VSOCK, socket2::Type::STREAM, None);
        assert_eq!(
            refused.unwrap_err().raw_os_error(),
            Some(libc::EAFNOSUPPORT)
        );
        std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        nix::Result::Ok(())
    });
    installed.join().unwrap().unwrap();
}
