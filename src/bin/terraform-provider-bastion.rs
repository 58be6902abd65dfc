//! The Terraform provider: serves, nothing else.

use std::process::ExitCode;

use bastion::provider::registry;
use bastion::tfplugin::process::serve::{ProviderInfo, run};

fn main() -> ExitCode {
    run(registry(), ProviderInfo { name: "bastion", version: env!("CARGO_PKG_VERSION"), address: "terraform.local/bastion/bastion" })
}
