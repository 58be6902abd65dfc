//! What passes by itself is waited for: each fault is mended while the check waits, and then the path is proven.

use std::net::{Ipv4Addr, TcpStream};

use lab::{Bastion, Flavour, Postgres};

use crate::each::made;
use crate::fault::Fault;
use crate::reach;
use crate::world::{SOON, World, occupy};

#[rustfmt::skip]
pub static HEALING: [Fault; 6] = [
    Fault::new(101, "the resolver comes up", "resolve/resolver-failed", "Temporary failure", (1, ""), reach::resolver_comes_up).apart(reach::own_resolver).heals(),
    Fault::new(102, "sshd comes up", "connect/refused", "Connection refused", (1, ""), sshd_comes_up).heals(),
    Fault::new(103, "the balancer finds its target", "connect/reset", "", (1, ""), target_comes_up).heals(),
    Fault::new(104, "the flood ends", "handshake/too-many-startups", "Exceeded MaxStartups", (1, ""), flood_ends).heals(),
    Fault::new(105, "a slot becomes free", "open/too-many-connections", "connection", (1, ""), slot_becomes_free).heals(),
    Fault::new(106, "the database comes up again", "open/not-accepting", "shutting down", (1, ""), restarts).heals(),
];

/// All at once: they wait more than they work.
#[test]
fn each_is_waited_for() {
    std::thread::scope(|scope| HEALING.iter().for_each(|fault| drop(scope.spawn(|| made(fault)))));
}

fn sshd_comes_up(world: &mut World) {
    world.shared_cluster();
    let bastion = world.sshd(Bastion::builder());
    bastion.stop().unwrap();
    world.mend(move || bastion.start_again().unwrap());
}

fn target_comes_up(world: &mut World) {
    world.shared_cluster();
    let (_, relay) = world.relayed_sshd();
    relay.refuse();
    world.keep(std::sync::Arc::clone(&relay));
    world.mend(move || relay.forward());
}

fn flood_ends(world: &mut World) {
    world.shared_cluster();
    let bastion = world.sshd(Bastion::builder().sshd_config(&["MaxStartups 1:100:1"]));
    let half_open = TcpStream::connect((Ipv4Addr::LOCALHOST, bastion.port())).unwrap();
    lab::wait_until("the half-open connection", SOON, || bastion.connections() == 1).unwrap();
    world.mend(move || drop(half_open));
}

fn slot_becomes_free(world: &mut World) {
    world.sshd(Bastion::builder());
    let cluster = world.cluster(Postgres::builder(Flavour::Ordinary).settings(&[("max_connections", "5")]));
    occupy(&cluster, 2);
    world.mend(move || cluster.postgres.kill_sessions().unwrap());
}

fn restarts(world: &mut World) {
    world.sshd(Bastion::builder());
    let cluster = world.cluster(Postgres::builder(Flavour::Ordinary));
    occupy(&cluster, 1);
    cluster.postgres.begin_smart_stop();
    lab::wait_until("the stop", SOON, || cluster.postgres.log().contains("received smart shutdown request")).unwrap();
    world.mend(move || cluster.postgres.restart().unwrap());
}
