//! The only pointer code: reads and writes of hook contexts and of kernel memory.
//!
//! The verifier rewrites context accesses one by one, by the offset in the instruction; so each is written as that instruction.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{BPF_SK_STORAGE_GET_F_CREATE, bpf_sock, bpf_sock_addr},
    helpers::{bpf_get_netns_cookie, bpf_probe_read_kernel, generated},
    programs::SockAddrContext,
};
use gateway_common::{
    addr::{Addr, Endpoint},
    verdict::{self, Transport},
};

use crate::{
    maps::{HAS_MPTCP, NAMESPACES},
    storage::Storage,
};

/// Address family of a hook, fixed by its attach point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// connect4 and its like.
    V4,
    /// connect6 and its like; sees IPv4 in mapped form.
    V6,
}

/// Context of the address hooks.
pub struct SockAddr {
    raw: *mut bpf_sock_addr,
    family: Family,
}

/// Reads a 32-bit field of a context, or an element of an array of them. An instruction rather than an expression: the verifier wants
/// the offset in the instruction, and the compiler likes to merge reads of different fields into one with a computed offset.
macro_rules! field {
    ($base:expr, $ty:ty, $field:tt $([$index:literal])?) => {{
        let word: u64;
        // SAFETY: the context is valid for the whole run of the program; the verifier checks each access.
        unsafe {
            core::arch::asm!(
                "{word} = *(u32 *)({base} + {offset})",
                word = out(reg) word,
                base = in(reg) $base,
                offset = const core::mem::offset_of!($ty, $field) $(+ 4 * $index)?,
            )
        };
        word as u32
    }};
}
pub(crate) use field;

/// Writes a 32-bit field of a context, for the same reason in the same way.
macro_rules! set_field {
    ($base:expr, $ty:ty, $field:tt $([$index:literal])?, $value:expr) => {
        // SAFETY: as for reading.
        unsafe {
            core::arch::asm!(
                "*(u32 *)({base} + {offset}) = {value}",
                base = in(reg) $base,
                value = in(reg) u64::from($value),
                offset = const core::mem::offset_of!($ty, $field) $(+ 4 * $index)?,
            )
        }
    };
}

/// Reads the socket pointer of a context.
macro_rules! socket_field {
    ($base:expr, $ty:ty, $field:tt) => {{
        let socket: *mut aya_ebpf::bindings::bpf_sock;
        // SAFETY: as for the other fields.
        unsafe {
            core::arch::asm!(
                "{socket} = *(u64 *)({base} + {offset})",
                socket = out(reg) socket,
                base = in(reg) $base,
                offset = const core::mem::offset_of!($ty, $field),
            )
        };
        socket
    }};
}
pub(crate) use socket_field;

/// Reads a 64-bit number of a context.
macro_rules! wide_field {
    ($base:expr, $ty:ty, $field:tt) => {{
        let word: u64;
        // SAFETY: as for the other fields.
        unsafe {
            core::arch::asm!(
                "{word} = *(u64 *)({base} + {offset})",
                word = out(reg) word,
                base = in(reg) $base,
                offset = const core::mem::offset_of!($ty, $field),
            )
        };
        word
    }};
}
pub(crate) use wide_field;

impl SockAddr {
    #[inline(always)]
    pub fn new(ctx: &SockAddrContext, family: Family) -> Self {
        Self {
            raw: ctx.sock_addr,
            family,
        }
    }

    /// The address the call names.
    #[inline(always)]
    pub fn endpoint(&self) -> Endpoint {
        let addr = match self.family {
            Family::V4 => Addr::from_v4(field!(self.raw, bpf_sock_addr, user_ip4)),
            Family::V6 => Addr {
                words: [
                    field!(self.raw, bpf_sock_addr, user_ip6[0]),
                    field!(self.raw, bpf_sock_addr, user_ip6[1]),
                    field!(self.raw, bpf_sock_addr, user_ip6[2]),
                    field!(self.raw, bpf_sock_addr, user_ip6[3]),
                ],
            },
        };
        Endpoint::new(addr, field!(self.raw, bpf_sock_addr, user_port) as u16)
    }

    /// Puts another address in its place. The caller keeps to the family: an IPv4 endpoint in an IPv6 hook is written in
    /// mapped form.
    #[inline(always)]
    pub fn rewrite(&self, to: &Endpoint) {
        match self.family {
            Family::V4 => set_field!(self.raw, bpf_sock_addr, user_ip4, to.addr.words[3]),
            Family::V6 => {
                set_field!(self.raw, bpf_sock_addr, user_ip6[0], to.addr.words[0]);
                set_field!(self.raw, bpf_sock_addr, user_ip6[1], to.addr.words[1]);
                set_field!(self.raw, bpf_sock_addr, user_ip6[2], to.addr.words[2]);
                set_field!(self.raw, bpf_sock_addr, user_ip6[3], to.addr.words[3]);
            }
        }
        set_field!(self.raw, bpf_sock_addr, user_port, to.port);
    }

    /// Protocol number of the socket.
    #[inline(always)]
    pub fn protocol(&self) -> u32 {
        field!(self.raw, bpf_sock_addr, protocol)
    }

    /// Transport of the socket.
    #[inline(always)]
    pub fn transport(&self) -> Transport {
        verdict::transport(field!(self.raw, bpf_sock_addr, type_), self.protocol())
    }

    /// Is the socket bound to a device (SO_BINDTODEVICE)?
    #[inline(always)]
    pub fn bound_to_device(&self) -> bool {
        field!(self.socket(), bpf_sock, bound_dev_if) != 0
    }

    /// Whose own the socket's network namespace is, or none where nothing is governed.
    #[inline(always)]
    pub fn owner(&self) -> Option<u32> {
        // SAFETY: copied at once; an entry is one word.
        unsafe { NAMESPACES.get(self.netns()) }.copied()
    }

    /// Cookie of the socket's network namespace.
    #[inline(always)]
    pub fn netns(&self) -> u64 {
        // SAFETY: the helper takes the hook's own context.
        unsafe { bpf_get_netns_cookie(self.raw.cast()) }
    }

    /// Does the socket lie where this workload is governed?
    #[inline(always)]
    pub fn here(&self, workload: u32) -> bool {
        verdict::here(self.owner(), workload)
    }

    /// The address a datagram goes out with, as far as it is known: of the message, else of the socket. For sendmsg alone.
    #[inline(always)]
    pub fn source(&self) -> Endpoint {
        let addr = match self.family {
            Family::V4 => Addr::from_v4(field!(self.raw, bpf_sock_addr, msg_src_ip4)),
            Family::V6 => Addr {
                words: [
                    field!(self.raw, bpf_sock_addr, msg_src_ip6[0]),
                    field!(self.raw, bpf_sock_addr, msg_src_ip6[1]),
                    field!(self.raw, bpf_sock_addr, msg_src_ip6[2]),
                    field!(self.raw, bpf_sock_addr, msg_src_ip6[3]),
                ],
            },
        };
        // The socket's own port is in host order.
        let port = field!(self.socket(), bpf_sock, src_port) as u16;
        Endpoint::new(addr, port.to_be())
    }

    /// The MPTCP socket above this one, or null: the one that getpeername sees.
    #[inline(always)]
    pub fn mptcp(&self) -> *mut bpf_sock {
        mptcp(self.socket())
    }

    /// May the socket share its port with others? Kernels that do not say so here (before 6.1) are taken to mean yes.
    #[inline(always)]
    pub fn shares_port(&self) -> bool {
        let reuse_address =
            self.transport() == Transport::Datagram && self.option(SO_REUSEADDR) != Some(0);
        reuse_address || self.option(SO_REUSEPORT) != Some(0)
    }

    /// A number among the socket's options.
    #[inline(always)]
    fn option(&self, name: i32) -> Option<i32> {
        let mut value = 0;
        let place = ptr::from_mut(&mut value).cast();
        // SAFETY: the place holds as many bytes as are said.
        let result =
            unsafe { generated::bpf_getsockopt(self.raw.cast(), SOL_SOCKET, name, place, 4) };
        (result == 0).then_some(value)
    }

    /// The context as helpers take it.
    #[inline(always)]
    pub fn raw(&self) -> *mut c_void {
        self.raw.cast()
    }

    /// The socket. Never null in these hooks (Linux 5.1 and later).
    #[inline(always)]
    pub fn socket(&self) -> *mut bpf_sock {
        socket_field!(self.raw, bpf_sock_addr, __bindgen_anon_1)
    }
}

/// The MPTCP socket above a TCP socket, or null. Only where the kernel has the helper (Linux 5.19).
#[inline(always)]
pub fn mptcp(socket: *mut bpf_sock) -> *mut bpf_sock {
    if HAS_MPTCP.load() == 0 {
        return ptr::null_mut();
    }
    // SAFETY: the helper takes any socket and returns null for those that are not of MPTCP.
    unsafe { generated::bpf_skc_to_mptcp_sock(socket.cast()).cast() }
}

/// The value a socket holds in `map`, or null.
#[inline(always)]
pub fn stored<M: Storage>(map: &'static M, socket: *mut bpf_sock) -> Option<&'static mut M::Value> {
    // SAFETY: the map is a socket storage; the verifier checks the socket and bounds the use of the value.
    unsafe {
        generated::bpf_sk_storage_get(handle(map), socket.cast(), ptr::null_mut(), 0)
            .cast::<M::Value>()
            .as_mut()
    }
}

/// Puts `value` into the socket's storage; false when there is no memory.
#[inline(always)]
pub fn store<M: Storage>(map: &'static M, socket: *mut bpf_sock, value: &mut M::Value) -> bool {
    let place = ptr::from_mut(value);
    // SAFETY: as above; an existing value is returned instead of replaced, so it is written again.
    let kept = unsafe {
        generated::bpf_sk_storage_get(
            handle(map),
            socket.cast(),
            place.cast(),
            u64::from(BPF_SK_STORAGE_GET_F_CREATE),
        )
        .cast::<M::Value>()
        .as_mut()
    };
    match kept {
        Some(kept) => {
            *kept = *value;
            true
        }
        None => false,
    }
}

/// Forgets what a socket holds in `map`.
#[inline(always)]
pub fn forget<M: Storage>(map: &'static M, socket: *mut bpf_sock) {
    // SAFETY: as above. An absent value is the aim.
    let _ = unsafe { generated::bpf_sk_storage_delete(handle(map), socket.cast()) };
}

/// Adds to a counter that other CPUs share. The target has no `fetch_add`, only the instruction.
#[inline(always)]
pub fn add(counter: *mut u64, change: i64) {
    // SAFETY: the pointer comes from a map lookup; the verifier checks the access.
    unsafe {
        core::arch::asm!("lock *(u64 *)({place} + 0) += {change}", place = in(reg) counter, change = in(reg) change)
    };
}

/// A field of a kernel object.
#[inline(always)]
pub fn kernel<T>(object: *const u8, offset: u32) -> Option<T> {
    // SAFETY: bpf_probe_read_kernel fails on an address it cannot read.
    unsafe { bpf_probe_read_kernel(object.wrapping_add(offset as usize).cast::<T>()) }.ok()
}

#[inline(always)]
fn handle<M: Storage>(map: &'static M) -> *mut c_void {
    ptr::from_ref(map).cast_mut().cast()
}

const SOL_SOCKET: i32 = 1;
const SO_REUSEADDR: i32 = 2;
const SO_REUSEPORT: i32 = 15;
