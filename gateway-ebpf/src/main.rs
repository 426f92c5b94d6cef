//! The kernel hooks of Tollgate: entry points, and the one place where a verdict becomes the kernel's return value.
//!
//! In: hooks at the root of the cgroup2 hierarchy, tracepoints, and egress of tagged cgroups. Out: pass, redirect, refuse, and a
//! report of each refusal. Every decision is made by `gateway_common::verdict` about the *current task*; the files here
//! only gather facts. Needs Linux 5.15 (`bpf_get_netns_cookie` in sock_ops).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod ask;
mod bind;
mod cgroup;
mod connect;
mod context;
mod egress;
mod establish;
mod event;
mod inbound;
mod lineage;
mod lsm;
mod maps;
mod receiver;
mod sendmsg;
mod socket;
mod storage;
mod task;

use aya_ebpf::{
    macros::{btf_tracepoint, cgroup_skb, cgroup_sock, cgroup_sock_addr, lsm, sock_ops},
    programs::{BtfTracePointContext, LsmContext, SkBuffContext, SockAddrContext, SockContext, SockOpsContext},
};
use context::{Family, SockAddr};
use gateway_common::verdict::Verdict;

#[cgroup_sock_addr(connect4)]
pub fn tg_connect4(ctx: SockAddrContext) -> i32 {
    answer(connect::connect(&SockAddr::new(&ctx, Family::V4)))
}

#[cgroup_sock_addr(connect6)]
pub fn tg_connect6(ctx: SockAddrContext) -> i32 {
    answer(connect::connect(&SockAddr::new(&ctx, Family::V6)))
}

#[cgroup_sock_addr(getpeername4)]
pub fn tg_getpeername4(ctx: SockAddrContext) -> i32 {
    connect::peer(&SockAddr::new(&ctx, Family::V4));
    ALLOW
}

#[cgroup_sock_addr(getpeername6)]
pub fn tg_getpeername6(ctx: SockAddrContext) -> i32 {
    connect::peer(&SockAddr::new(&ctx, Family::V6));
    ALLOW
}

#[cgroup_sock_addr(sendmsg4)]
pub fn tg_sendmsg4(ctx: SockAddrContext) -> i32 {
    answer(sendmsg::send(&SockAddr::new(&ctx, Family::V4)))
}

#[cgroup_sock_addr(sendmsg6)]
pub fn tg_sendmsg6(ctx: SockAddrContext) -> i32 {
    answer(sendmsg::send(&SockAddr::new(&ctx, Family::V6)))
}

#[cgroup_sock_addr(recvmsg4)]
pub fn tg_recvmsg4(ctx: SockAddrContext) -> i32 {
    sendmsg::received(&SockAddr::new(&ctx, Family::V4));
    ALLOW
}

#[cgroup_sock_addr(recvmsg6)]
pub fn tg_recvmsg6(ctx: SockAddrContext) -> i32 {
    sendmsg::received(&SockAddr::new(&ctx, Family::V6));
    ALLOW
}

#[cgroup_sock_addr(bind4)]
pub fn tg_bind4(ctx: SockAddrContext) -> i32 {
    answer(bind::bind(&SockAddr::new(&ctx, Family::V4)))
}

#[cgroup_sock_addr(bind6)]
pub fn tg_bind6(ctx: SockAddrContext) -> i32 {
    answer(bind::bind(&SockAddr::new(&ctx, Family::V6)))
}

#[cgroup_sock(sock_create)]
pub fn tg_sock_create(ctx: SockContext) -> i32 {
    answer(socket::create(&ctx))
}

#[cgroup_sock(sock_release)]
pub fn tg_sock_release(ctx: SockContext) -> i32 {
    ask::released(ctx.sock);
    ALLOW
}

#[cgroup_skb(egress)]
pub fn tg_egress(ctx: SkBuffContext) -> i32 {
    answer(egress::packet(&ctx))
}

#[sock_ops]
pub fn tg_sockops(ctx: SockOpsContext) -> u32 {
    establish::callback(&ctx);
    1
}

#[btf_tracepoint(function = "sched_process_fork")]
pub fn tg_fork(ctx: BtfTracePointContext) -> i32 {
    lineage::fork(ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sched_process_exec")]
pub fn tg_exec(_ctx: BtfTracePointContext) -> i32 {
    lineage::exec();
    0
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn tg_exit(ctx: BtfTracePointContext) -> i32 {
    lineage::exit(ctx.arg(0));
    0
}

#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn tg_mkdir(ctx: BtfTracePointContext) -> i32 {
    cgroup::made(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn tg_rmdir(ctx: BtfTracePointContext) -> i32 {
    cgroup::removed(ctx.arg(0));
    0
}

#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn tg_join(ctx: BtfTracePointContext) -> i32 {
    lineage::join(ctx.arg(0), ctx.arg(2));
    0
}

#[lsm(hook = "socket_create")]
pub fn tg_lsm_create(ctx: LsmContext) -> i32 {
    error(lsm::create(ctx.arg(0), ctx.arg(3)))
}

#[lsm(hook = "socket_connect")]
pub fn tg_lsm_connect(ctx: LsmContext) -> i32 {
    error(lsm::uses(ctx.arg(0)))
}

#[lsm(hook = "socket_sendmsg")]
pub fn tg_lsm_send(ctx: LsmContext) -> i32 {
    error(lsm::uses(ctx.arg(0)))
}

#[lsm(hook = "file_receive")]
pub fn tg_lsm_receive(ctx: LsmContext) -> i32 {
    error(lsm::receive(ctx.arg(0)))
}

#[lsm(hook = "ptrace_access_check")]
pub fn tg_lsm_inspect(ctx: LsmContext) -> i32 {
    error(lsm::inspect(ctx.arg(0), ctx.arg(1)))
}

#[lsm(hook = "task_kill")]
pub fn tg_lsm_signal(ctx: LsmContext) -> i32 {
    error(lsm::signal(ctx.arg(0)))
}

#[lsm(hook = "bpf")]
pub fn tg_lsm_bpf(_ctx: LsmContext) -> i32 {
    error(lsm::bpf())
}

/// What each verdict is to an LSM hook.
#[inline(always)]
fn error(verdict: Verdict) -> i32 {
    match verdict {
        Verdict::Pass | Verdict::Redirect => 0,
        Verdict::Refuse(_) => -EPERM,
    }
}

/// What each verdict is to the kernel: for the address hooks 0 is EPERM, for egress a dropped packet. A redirect has by
/// now rewritten the address and then lets the call go on.
#[inline(always)]
fn answer(verdict: Verdict) -> i32 {
    match verdict {
        Verdict::Pass => ALLOW,
        Verdict::Redirect => ALLOW,
        Verdict::Refuse(_) => REFUSE,
    }
}

const EPERM: i32 = 1;
const ALLOW: i32 = 1;
const REFUSE: i32 = 0;

/// An endless loop, so that the verifier rejects anything that could panic.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
