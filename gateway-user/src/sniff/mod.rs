//! Names the wire protocol from a bounded prefix within a deadline.
