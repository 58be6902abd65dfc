//! The provider's binary, built for the examples that run it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The provider as cargo builds it for the profile of this example. With the whole workspace in view, as for the tests: else features of shared
/// dependencies differ, and Amazon's clients are compiled again for minutes.
pub fn build(name: &str) -> Result<PathBuf> {
    let example = std::env::current_exe()?;
    let folder = example.parent().and_then(Path::parent).context("the example stands in no target folder")?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--workspace", "--bin", "terraform-provider-bastion", "--example", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    // What `cargo run` says of this package would look to dependencies that read it like another build, and they would compile again.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_package(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    ensure!(cargo.status()?.success(), "the provider does not build");
    Ok(folder.join("terraform-provider-bastion"))
}

fn is_of_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "OUT_DIR"].iter().any(|start| variable.starts_with(start))
}
