//! Questions to the DNS stage: datagrams to port 53, which go to the workload's own listener, and who asks them.
//!
//! The socket's storage has who asked last and whom (connect, sendmsg). The egress program sees the packet with its source endpoint and runs
//! before it is delivered, so that what it files is there when user space looks. One entry for each socket: a question that waits in the
//! listener's buffer is looked up any number of times, and the entry goes when its socket is closed (`inet_release`, Linux 5.9).

use aya_ebpf::{
    bindings::{__sk_buff, BPF_ANY, BPF_NOEXIST, bpf_sock},
    helpers::generated::bpf_sk_fullsock,
};
use gateway_common::{
    addr::Endpoint,
    flow::{Asked, FlowKey, kind},
    verdict::{Filed, Reason, Verdict},
};

use crate::{
    connect,
    context::{self, SockAddr, socket_field},
    maps::{ASKED, ASKERS},
};

/// Keeps who asks whom, then sends the call to the listener.
#[inline(always)]
pub fn redirect(ctx: &SockAddr, workload: u32, asked: Endpoint, listener: &Endpoint) -> Verdict {
    let origin = connect::origin(workload, asked, kind::REDIRECTED);
    match context::stored(&ASKED, ctx.socket()) {
        // What is filed for the one workload is not counted down for another.
        Some(known) if known.origin.workload != workload => {
            return Verdict::Refuse(Reason::Untracked);
        }
        Some(known) => known.origin = origin,
        None => {
            let mut fresh = Asked {
                key: NOWHERE,
                origin,
                netns: ctx.netns(),
            };
            if !context::store(&ASKED, ctx.socket(), &mut fresh) {
                return Verdict::Refuse(Reason::Untracked);
            }
        }
    }
    ctx.rewrite(listener);
    Verdict::Redirect
}

/// Notes that a socket goes elsewhere from now on. What is filed stays, for questions under way, until the socket is closed.
#[inline(always)]
pub fn nobody(ctx: &SockAddr) {
    if let Some(asked) = context::stored(&ASKED, ctx.socket()) {
        asked.origin.dialled = Endpoint::NONE;
    }
}

/// Files who sends a packet from `from` to the listener.
#[inline(always)]
pub fn file(skb: *mut __sk_buff, workload: u32, from: Endpoint, listener: Endpoint) -> Filed {
    let Some(asked) = socket(skb).and_then(|socket| context::stored(&ASKED, socket)) else {
        return Filed::Unknown;
    };
    if asked.origin.workload != workload || !asked.origin.dialled.exists() {
        return Filed::Unknown;
    }
    let key = FlowKey {
        netns: asked.netns,
        client: from,
        listener,
    };
    if asked.key != key {
        forget(asked);
        if !connect::room(workload) {
            return Filed::Quota;
        }
    }
    // Whoever makes the entry counts it: two threads can send at once.
    if ASKERS
        .insert(key, &asked.origin, u64::from(BPF_NOEXIST))
        .is_ok()
    {
        connect::count(workload, 1);
    } else if ASKERS
        .insert(key, &asked.origin, u64::from(BPF_ANY))
        .is_err()
    {
        return Filed::Full;
    }
    asked.key = key;
    Filed::Known
}

/// A socket is closed.
#[inline(always)]
pub fn released(socket: *mut bpf_sock) {
    if let Some(asked) = context::stored(&ASKED, socket) {
        forget(asked);
    }
}

/// Takes away what is filed for a socket. Whoever removes the entry counts it down.
#[inline(always)]
fn forget(asked: &Asked) {
    if asked.key.listener.exists() && ASKERS.remove(asked.key).is_ok() {
        connect::count(asked.origin.workload, -1);
    }
}

#[inline(always)]
fn socket(skb: *mut __sk_buff) -> Option<*mut bpf_sock> {
    let any = socket_field!(skb, __sk_buff, __bindgen_anon_2);
    if any.is_null() {
        return None;
    }
    // SAFETY: the helper takes the packet's socket, and returns null for one that has no storage.
    let full = unsafe { bpf_sk_fullsock(any) };
    (!full.is_null()).then_some(full)
}

const NOWHERE: FlowKey = FlowKey {
    netns: 0,
    client: Endpoint::NONE,
    listener: Endpoint::NONE,
};
