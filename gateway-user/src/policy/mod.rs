//! Cedar policies: `Query` to `Decision`. The only place a `Permit` is made.
