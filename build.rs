//! Turns `proto/` into Rust.

fn main() {}
