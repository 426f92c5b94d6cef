//! The escape suite: every known way around Tollgate, tried against the real daemon, first without it, where it must succeed.
//!
//! In: root, and a host like the one that Tollgate runs on. A suite that cannot run fails. Out: each test stands in the bypass ledger of
//! SECURITY.md (`cargo xtask tidy` checks both directions). Ways that the doctor knows are tried by the doctor itself, as an operator runs
//! it: its attempts are product code.

mod attempts;
mod doctor;
mod doors;
mod flood;
mod inbound;
mod kills;
mod lookups;
mod names;
mod world;
