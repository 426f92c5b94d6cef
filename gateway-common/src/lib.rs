#![no_std]
//! Kernel/user ABI of Tollgate.
