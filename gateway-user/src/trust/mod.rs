//! Gets a workload to trust its CA at launch.
