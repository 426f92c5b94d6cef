//! Gets a workload to trust its own CA, from the moment it is launched.
//!
//! In: a [`Launch`]: the CA, the workload's cgroup, the command, its user and its environment. Out: the command's exit code.
//!
//! Trust is given to the launched processes only. `launch` makes a private mount namespace with a tmpfs, writes into it a copy
//! of the host's certificate directories with the CA added, binds these copies over the originals, and points the variables
//! that clients read at bundles that hold what they held before plus the CA. No file of the host changes; with the last process
//! of the namespace everything is gone.
//!
//! Invariants: the child joins the workload's cgroup before anything else, so nothing of it runs ungoverned; the agent starts
//! with no capability, no way to gain one, and no descriptor above 2; nothing but certificates is ever copied out of a file that
//! a variable or a Python environment names.
//!
//! When it fails: nothing was started, and [`LaunchError`] says what to do. A store that cannot be augmented (a Java keystore
//! with a password, say) is a warning: its readers then refuse the CA, which fails closed.

mod access;
pub mod adopt;
mod anchor;
pub mod assess;
mod environment;
mod files;
mod jks;
mod launch;
mod material;
pub mod opened;
mod packages;
mod pem;
mod pkcs12;
mod places;
mod policy;
mod refresh;
mod seen;
mod wait;
mod ways;

pub use access::RunAs;
pub use anchor::{AnchorError, subject_hash};
pub use environment::naming as variables_naming;
pub use files::FileError;
pub use jks::{KeystoreError, append as append_to_keystore};
pub use launch::{Launch, LaunchError, is_first, launch};
pub use pem::union as union_bundle;
