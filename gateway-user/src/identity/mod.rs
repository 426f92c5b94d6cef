//! Kernel facts to `Caller`: workload, non-human identity, process.
