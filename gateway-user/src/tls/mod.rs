//! Terminates TLS with our leaf and builds verified TLS to the upstream.
