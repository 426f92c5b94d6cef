//! What the hooks report: one fixed-size record for each refusal.

use crate::addr::Endpoint;

record! {
    /// A refusal.
    Event: 72 {
        /// Cgroup of the task.
        cgroup: u64,
        /// When it happened, in nanoseconds since boot.
        at: u64,
        /// Name the task gave itself; for display only.
        comm: [u8; 16],
        /// Where it wanted to go, or nothing.
        destination: Endpoint,
        /// [`crate::verdict::Reason`] as a number.
        reason: u32,
        /// The workload, or 0 where none is known.
        workload: u32,
        /// The thread group.
        tgid: u32,
        /// The effective user.
        uid: u32,
        /// Protocol number of the socket.
        protocol: u32,
    }
}
