//! The path drawn in text.
