//! The whole job: keys into the bucket, the bastion syncs them, the connection is proven, and a rotation interrupts nobody.

use std::time::Duration;

use lab::{Aws, BucketOptions, Fault, KeyBucket, On, S3Caller};

use crate::cloud::{as_account, provider};
use crate::rotation::Client;
use crate::support::{Bench, Block, PASSPHRASE, USER, assert_says, quote, write_with};

/// The bastion's own access key, by which its calls are told apart.
const BASTION: &str = "AKIABASTIONBASTION01";

/// How often the bastion looks: several of the client's connections lie between two looks.
const PERIOD: Duration = Duration::from_secs(1);

struct Place {
    aws: Aws,
    bucket: String,
    bench: Bench,
}

impl Place {
    fn new() -> Self {
        let aws = Aws::start().unwrap();
        let key = aws.make_kms_key();
        let bucket = aws.make_bucket("bastion", BucketOptions::default().kms_key(&key)).unwrap();
        let caller = S3Caller {
            endpoint: aws.endpoint(),
            region: aws.region().to_owned(),
            access_key: BASTION.to_owned(),
            secret_key: aws.secret_key().to_owned(),
        };
        let from = KeyBucket { bucket: bucket.clone(), caller };
        let mut bench = Bench::with(lab::Bastion::builder().bucket(from).sync_period(PERIOD));
        bench.lab.bastion.remove_user(USER).unwrap();
        as_account(&mut bench.terraform, &aws);
        Self { aws, bucket, bench }
    }

    fn blocks(&self, rotation: u8) -> [Block; 3] {
        let bench = &self.bench;
        let pairs = format!("{{ passphrase_wo = {PASSPHRASE:?}, passphrase_wo_version = 1, rotation = {rotation} }}");
        let target = format!("{}:{}", lab::DATABASE_HOST, bench.lab.logical.port());
        let keys = Block::new("bastion_authorized_keys", "keys")
            .text("bucket", &self.bucket)
            .set("user", "bastion_ssh_tunnel_connection.bastion.user")
            .set("public_keys", "bastion_ssh_tunnel_connection.bastion.public_keys")
            .set("permit_open", format!("[{}]", quote(&target)));
        let connection = bench
            .connection()
            .set("ssh_tunnel", "bastion_ssh_tunnel_connection.bastion.tunnel")
            .text("ssh_passphrase_wo", PASSPHRASE)
            .set("triggers", "{ keys = bastion_authorized_keys.keys.etag }")
            .set("verify", "{ timeout = \"1m\" }");
        [bench.tunnel().set("key_pairs", pairs), keys, connection]
    }

    fn settle(&self, blocks: &[&Block]) {
        write_with(&self.bench.terraform, &provider(&self.aws, ""), blocks);
        self.bench.terraform.apply().unwrap().ok().unwrap();
        assert!(self.bench.terraform.settled().unwrap(), "the second plan is not empty");
    }
}

#[test]
fn a_rotation_from_end_to_end_fails_no_connection() {
    let place = Place::new();
    place.settle(&place.blocks(1).each_ref());
    let client = Client::start(&place.bench);
    for rotation in [2, 3] {
        place.settle(&place.blocks(rotation).each_ref());
        client.follows(&place.bench);
    }
    client.never_failed(&place.bench);
    place.settle(&[]);
    lab::wait_until("the bastion to delete the login", Duration::from_secs(10), || place.bench.lab.bastion.authorized_keys(USER).is_none())
        .unwrap();
}

#[test]
fn a_bastion_whose_listing_fails_deletes_its_logins_and_the_next_proof_says_what_was_heard() {
    let place = Place::new();
    place.settle(&place.blocks(1).each_ref());
    place.aws.fault(On::action("ListObjects"), Fault::answer(503, "ServiceUnavailable", "Reduce your request rate."));
    place.aws.fault(On::action("ListObjectsV2"), Fault::answer(503, "ServiceUnavailable", "Reduce your request rate."));
    lab::wait_until("the bastion to delete its logins", Duration::from_secs(10), || place.bench.lab.bastion.authorized_keys(USER).is_none())
        .unwrap();
    let mut blocks = place.blocks(1);
    blocks[2] = blocks[2].clone().set("triggers", "{ again = 1 }").set("verify", "{ timeout = \"8s\" }");
    write_with(&place.bench.terraform, &provider(&place.aws, ""), &blocks.each_ref());
    let said = place.bench.terraform.apply().unwrap().failed().unwrap();
    assert_says(&said, &["Code authenticate/"]);
    place.aws.heal();
    blocks[2] = blocks[2].clone().set("verify", "{ timeout = \"1m\" }");
    place.settle(&blocks.each_ref());
}
