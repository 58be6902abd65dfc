//! Pauses between tries.
