//! Credentials and CA keys behind a closed, message-shaped request set.
