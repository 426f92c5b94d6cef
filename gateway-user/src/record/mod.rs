//! The ledger: one entry per connection and exchange, opened first, closed exactly once.
