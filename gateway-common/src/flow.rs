//! A redirected connection on its way from `connect(2)` to the accepted socket.
//!
//! The origin starts in the client socket's storage, is filed under the 4-tuple when the client side is established, and moves
//! to the accepted socket's cookie when the server side is. Only the cookie is used by user space: a 4-tuple can be taken again
//! while the first connection is still readable.
//!
//! Datagrams have no accepted socket. Who asks the DNS stage is kept by the client's socket ([`Asked`]), filed under both endpoints by the
//! packet itself, before it is delivered, and taken away with the socket.

use crate::addr::Endpoint;

record! {
    /// Names a connection between the two callbacks.
    FlowKey: 48 {
        /// Cookie of the network namespace.
        netns: u64,
        /// The side that called `connect`.
        client: Endpoint,
        /// The listener's side.
        listener: Endpoint,
    }
}

record! {
    /// What the kernel knows about a redirected connection, or about who asks the DNS stage by datagram.
    Origin: 56 {
        /// Cgroup of the calling task.
        cgroup: u64,
        /// When the calling thread group started, in nanoseconds since boot.
        start: u64,
        /// The destination that was dialled.
        dialled: Endpoint,
        /// The workload the task was tagged with.
        workload: u32,
        /// The thread group.
        tgid: u32,
        /// The effective user.
        uid: u32,
        /// The calling thread.
        tid: u32,
        /// [`kind`] of the connection.
        kind: u32,
    }
}

/// What became of a connection of a tagged task.
pub mod kind {
    /// It was redirected to the workload's listener.
    pub const REDIRECTED: u32 = 0;
    /// It stays inside the workload: nobody claims it, and it is not counted.
    pub const INSIDE: u32 = 1;
}

record! {
    /// What a datagram socket holds that was sent to the DNS stage: who asks, and where its answers seem to come from.
    Asked: 112 {
        /// Where its questions are filed for user space; nothing before the first packet.
        key: FlowKey,
        /// Who asks, and the address that was asked. Without one the socket asks nobody.
        origin: Origin,
        /// Cookie of the socket's network namespace.
        netns: u64,
    }
}
