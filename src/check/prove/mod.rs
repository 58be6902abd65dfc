//! What is proven at the end of a path: one prover a kind of target, each over the same way.

pub(super) mod postgres;

/// What was found at the end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// The port accepts.
    Tcp,
    /// The database was opened.
    Postgres {
        /// Such as `15.18`.
        server_version: String,
    },
}
