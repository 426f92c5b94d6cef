//! Kernel/user ABI of Tollgate and the pure logic both sides share.
//!
//! Compiles for BPF and for the host, so nothing impure can enter. Everything that crosses a map is `repr(C)`, made of
//! integers and byte arrays, without hidden padding, with its size asserted beside it.
#![no_std]

#[macro_use]
mod record;

pub mod addr;
pub mod event;
pub mod flow;
pub mod inbound;
pub mod lsm;
pub mod names;
pub mod path;
pub mod scope;
pub mod verdict;

pub use record::Field;

/// Version of everything in this crate that crosses the kernel boundary; part of the pin path, so that two versions never share
/// a map.
pub const ABI: u32 = 5;

/// The oldest ABI whose maps have the records of this one, so that an upgrade takes them over as they are. A change of a record that
/// is there raises it to that change's ABI; new maps and programs do not.
pub const COMPATIBLE: u32 = 3;

const _: () = assert!(COMPATIBLE <= ABI);
