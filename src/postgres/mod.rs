//! The Postgres peer.
