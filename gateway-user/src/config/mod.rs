//! Configuration: what the file says (`Raw`), checked into what the product uses (`Config`).
