//! Numbers that the authorities publish as examples.
