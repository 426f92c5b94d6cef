//! The kernel part: loads, attaches and pins the eBPF programs; writes scope; claims flows. The only user of aya.
