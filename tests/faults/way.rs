//! Faults behind the bastion's login, and of a tunnel in use: forwarding, the dial to the database, the hold.

use bastion::path::stage::Stage;
use lab::{Bastion, Blackhole, Manners, Peer};

use crate::world::{USER, World};

/// A bastion with this line, in front of a healthy database.
fn configured(world: &mut World, line: &str) {
    world.shared_cluster();
    world.sshd(Bastion::builder().sshd_config(&[line]));
}

/// A bastion whose line for the key starts with these options.
fn optioned(world: &mut World, options: &str) {
    world.shared_cluster();
    let bastion = world.sshd(Bastion::builder());
    bastion.authorize(USER, &[format!("{options} {}", world.key_line())]).unwrap();
}

pub fn forwarding_off(world: &mut World) {
    configured(world, "AllowTcpForwarding no");
}

pub fn forwarding_disabled(world: &mut World) {
    configured(world, "DisableForwarding yes");
}

pub fn permit_open_other(world: &mut World) {
    configured(world, "PermitOpen other.internal:5432");
}

pub fn no_port_forwarding(world: &mut World) {
    optioned(world, "no-port-forwarding");
}

pub fn permitopen_other(world: &mut World) {
    optioned(world, "permitopen=\"other.internal:5432\"");
}

pub fn name_unknown(world: &mut World) {
    world.sshd(Bastion::builder());
    world.target().host = "nowhere.invalid".parse().unwrap();
}

pub fn refused(world: &mut World) {
    world.sshd(Bastion::builder());
    world.database_at(lab::free_port().unwrap());
}

pub fn dropped(world: &mut World) {
    world.sshd(Bastion::builder());
    let blackhole = Blackhole::start().unwrap();
    world.database_at(blackhole.port());
    world.keep(blackhole);
}

pub fn reset(world: &mut World) {
    world.sshd(Bastion::builder());
    world.database_peer(Peer::start(Manners::Reset).unwrap());
}

pub fn unreachable(world: &mut World) {
    world.sshd(Bastion::builder());
    world.target().host = "203.0.113.7".parse().unwrap();
}

pub fn killed(world: &mut World) {
    world.shared_cluster();
    let bastion = world.sshd(Bastion::builder());
    world.on(Stage::Hold, move || bastion.kill_sessions().unwrap());
}

pub fn silent(world: &mut World) {
    world.shared_cluster();
    let (_, relay) = world.relayed_sshd();
    world.keep(std::sync::Arc::clone(&relay));
    world.on(Stage::Hold, move || relay.freeze());
}
