//! Consumes a `Permit`, dials the attributed destination, relays. The only opener of outbound sockets.
