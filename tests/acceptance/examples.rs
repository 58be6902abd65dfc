//! Every example is valid and formatted: people copy them.

use std::fs;
use std::path::Path;

use crate::support::terraform;

/// A well-formed ed25519 public key that nobody uses.
const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n";

fn validate(folder: &Path) {
    let terraform = terraform();
    terraform.copy_from(folder).unwrap();
    // The files that examples read.
    terraform.write("bastion_host_key.pub", PUBLIC_KEY).unwrap();
    terraform.write("rds-ca.pem", &lab::Authority::new().unwrap().pem()).unwrap();
    if !folder.join("main.tf").exists() && !folder.join("provider.tf").exists() {
        terraform.copy_from(&root().join("provider")).unwrap();
    }
    let said = terraform.run(&["validate", "-no-color"]).unwrap();
    assert!(said.status.success(), "{}:\n{}", folder.display(), said.output);
    let said = terraform.run(&["fmt", "-check", "-diff", "-no-color"]).unwrap();
    assert!(said.status.success(), "{} is not formatted:\n{}", folder.display(), said.output);
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

#[test]
fn every_example_is_valid() {
    let mut folders = vec![root().join("provider"), root().join("quickstart")];
    for kind in ["resources", "data-sources", "ephemeral-resources", "functions", "modules"] {
        folders.extend(fs::read_dir(root().join(kind)).unwrap().map(|entry| entry.unwrap().path()));
    }
    assert!(folders.len() >= 9);
    folders.iter().for_each(|folder| validate(folder));
}
