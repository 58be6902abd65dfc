//! What a login's lines grant, judged by OpenSSH: its own sshd, asked by its own client.

use crate::bucket_path::Place;
use crate::client::{Came, Ssh};
use crate::cloud::Cloud;
use crate::support::{Block, assert_says, quote};

/// A key object for the bench's own key.
fn keys(place: &Place) -> Block {
    Block::new("bastion_authorized_keys", "keys")
        .text("bucket", &place.bucket)
        .text("user", crate::support::USER)
        .set("public_keys", format!("[{}]", quote(&place.bench.key.public_key)))
}

#[test]
fn sshd_grants_what_the_lines_say() {
    let place = Place::new();
    let ssh = Ssh::new(&place.bench, &place.bench.key.private_key);
    let target = quote(&format!("{}:{}", lab::DATABASE_HOST, place.bench.lab.logical.port()));
    let all = keys(&place).set("permit_open", format!("[{target}]")).set("from", "[\"127.0.0.0/8\", \"2001:db8::1\"]");
    let all = all.text("expires", "2099-12-31T23:59:59+01:00").text("comment", "neosync, for orders: \"é\"");
    for (block, came) in [
        (keys(&place), Came::Through),
        (keys(&place).set("permit_open", format!("[{target}]")), Came::Through),
        (keys(&place).set("permit_open", "[\"elsewhere.internal:5432\"]"), Came::LoggedIn),
        (keys(&place).set("permit_open", "[]"), Came::LoggedIn),
        (keys(&place).set("permit_open", "null"), Came::Through),
        (keys(&place).set("from", "[\"127.0.0.1\"]"), Came::Through),
        (keys(&place).set("from", "[\"54.69.79.83/32\", \"2001:db8::/32\"]"), Came::Refused),
        (keys(&place).text("expires", "2001-01-01T00:00:00Z"), Came::Refused),
        (all.clone(), Came::Through),
        (all.text("expires", "2001-01-01T00:00:00Z"), Came::Refused),
    ] {
        place.settle(&[&block]);
        place.bench.lab.bastion.sync_now().unwrap();
        assert_eq!(ssh.tries(), came, "{block}{}", place.bench.lab.bastion.authorized_keys(crate::support::USER).unwrap_or_default());
    }
}

#[test]
fn what_stands_in_the_lines_is_imported() {
    let cloud = Cloud::new();
    let bucket = cloud.aws.make_bucket("bastion", lab::BucketOptions::default()).unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let lean = Block::new("bastion_authorized_keys", "keys")
        .text("bucket", &bucket)
        .text("user", "neosync")
        .set("public_keys", format!("[{}]", quote(key)));
    let full = lean.clone().set("from", "[\"54.69.79.83/32\"]").text("expires", "2099-01-01T00:00:00Z").text("comment", "of neosync");
    for block in [lean.clone().set("permit_open", "[]"), full, lean] {
        cloud.settle(&[&block]);
        cloud.terraform.run(&["state", "rm", "bastion_authorized_keys.keys"]).unwrap().ok().unwrap();
        let id = format!("{bucket}/public-keys/neosync.pub");
        cloud.terraform.run(&["import", "-input=false", "-no-color", "bastion_authorized_keys.keys", &id]).unwrap().ok().unwrap();
        cloud.settled();
    }
}

#[test]
fn what_sshd_would_not_take_is_refused_at_plan_and_an_expiry_that_has_passed_is_warned_of() {
    let cloud = Cloud::new();
    let block = || {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
        Block::new("bastion_authorized_keys", "keys")
            .text("bucket", "my-bastion")
            .text("user", "neosync")
            .set("public_keys", format!("[{}]", quote(key)))
    };
    let plan = |block: &Block| {
        cloud.write(&[block]);
        cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap()
    };
    for (argument, value, words) in [
        ("from", "[]", "would let nobody in"),
        ("from", "[\"10.0.0.1\", \"!10.0.0.2\"]", "\"!10.0.0.2\": it is neither an IP address nor a CIDR block"),
        ("from", "[\"*.example.com\"]", "\"*.example.com\": it is neither"),
        ("from", "[\"10.1.2.3/8\"]", "write 10.0.0.0/8"),
        ("from", "[null]", "An element is null"),
        ("expires", "\"tomorrow\"", "\"tomorrow\": it is not a time as RFC 3339 writes it"),
        ("comment", "\"a\\nb\"", "a line break"),
        ("comment", "\"\"", "it is empty"),
    ] {
        let said = plan(&block().set(argument, value)).failed().unwrap();
        assert_says(&said, &[words]);
        assert!(said.lines().any(|line| line.contains(&format!(" {argument} = "))), "not on {argument}:\n{said}");
    }
    assert_says(&plan(&block().text("expires", "2001-01-01T00:00:00Z")).ok().unwrap(), &["The keys have expired", "since 2001-01-01"]);
    assert!(!plan(&block().text("expires", "2099-01-01T00:00:00Z")).ok().unwrap().contains("expired"));
    assert!(cloud.aws.calls().is_empty());
}
