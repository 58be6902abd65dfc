//! The SSH peer.
