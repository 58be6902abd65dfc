//! Turns `proto/` into Rust, with a compiler written in Rust: no protoc on the machine.

use std::error::Error;

#[cfg(feature = "provider")]
const PROTOS: [&str; 3] = ["tfplugin6.proto", "plugin.proto", "health.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    #[cfg(feature = "provider")]
    compile()?;
    // Cargo's default would build again when any file of the package changes.
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}

#[cfg(feature = "provider")]
fn compile() -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    tonic_prost_build::configure()
        // Tests talk to the real binary as Terraform does.
        .build_client(true)
        .build_server(true)
        // Connecting is the tests' own: a library user who wants no client should not compile one.
        .build_transport(false)
        // RPCs of later protocol versions answer "unimplemented", which Terraform tolerates.
        .generate_default_stubs(true)
        // Equal schemas give equal bytes.
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
