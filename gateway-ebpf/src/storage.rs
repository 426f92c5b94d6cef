//! Socket storage that an accepted socket inherits from its listener.

use aya_ebpf::{
    bindings::{BPF_F_CLONE, BPF_F_NO_PREALLOC, bpf_map_type::BPF_MAP_TYPE_SK_STORAGE},
    btf_maps::SkStorage,
};

/// A map of socket storage.
pub trait Storage {
    /// What a socket holds.
    type Value: Copy + 'static;
}

impl<T: Copy + 'static> Storage for SkStorage<T> {
    type Value = T;
}

/// Socket storage whose values the kernel copies to accepted sockets as it makes them (net/core/bpf_sk_storage.c, `bpf_sk_storage_clone`, Linux 5.4).
/// The members are what the loader reads of a map; nothing else does.
#[repr(C)]
pub struct Inherited<T> {
    r#type: *const [i32; BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; FLAGS],
}

impl<T> Inherited<T> {
    /// The declaration of a map.
    pub const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }
}

impl<T: Copy + 'static> Storage for Inherited<T> {
    type Value = T;
}

// SAFETY: the pointers stand for numbers and are never followed.
unsafe impl<T> Sync for Inherited<T> {}

const FLAGS: usize = (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize;
