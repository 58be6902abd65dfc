//! The whole job: keys into the bucket, the bastion syncs them, the connection is proven, and a rotation interrupts nobody.

use std::time::Duration;

use lab::{Aws, BucketOptions, Direction, Fault, KeyBucket, On, S3Caller};

use crate::cloud::{as_account, provider};
use crate::rotation::Client;
use crate::support::{Bench, Block, PASSPHRASE, USER, assert_says, quote, write_with};

/// The bastion's own access key, by which its calls are told apart.
pub const BASTION: &str = "BASTIONSOWNKEY";

/// How often the bastion looks: several of the client's connections lie between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// A bastion that syncs from a bucket of an account, and a terraform folder that reaches both.
pub struct Place {
    pub aws: Aws,
    pub bucket: String,
    kms_key: String,
    group: String,
    pub bench: Bench,
}

impl Place {
    pub fn new() -> Self {
        Self::that_syncs_every(PERIOD)
    }

    pub fn that_syncs_every(period: Duration) -> Self {
        let aws = Aws::start().unwrap();
        let kms_key = aws.make_kms_key();
        let bucket = aws.make_bucket("bastion", BucketOptions::default().kms_key(&kms_key)).unwrap();
        let group = aws.make_vpc_group("bastion").unwrap();
        let caller = S3Caller {
            endpoint: aws.endpoint(),
            region: aws.region().to_owned(),
            access_key: BASTION.to_owned(),
            secret_key: aws.secret_key().to_owned(),
        };
        let from = KeyBucket { bucket: bucket.clone(), caller };
        let mut bench = Bench::with(lab::Bastion::builder().bucket(from).sync_period(period));
        bench.lab.bastion.remove_user(USER).unwrap();
        as_account(&mut bench.terraform, &aws);
        Self { aws, bucket, kms_key, group, bench }
    }

    pub fn blocks(&self, rotation: u8) -> [Block; 3] {
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

    pub fn apply(&self, blocks: &[&Block]) -> lab::Ran {
        write_with(&self.bench.terraform, &provider(&self.aws, ""), blocks);
        self.bench.terraform.apply().unwrap()
    }

    pub fn settle(&self, blocks: &[&Block]) {
        self.apply(blocks).ok().unwrap();
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
    lab::wait_until("the bastion to delete its logins", Duration::from_secs(10), || {
        place.bench.lab.bastion.authorized_keys(USER).is_none()
    })
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

/// The configuration of Neosync's guide, as a user of the module writes it.
fn guide(place: &Place, egress: &str) -> String {
    let (lab, aws) = (&place.bench.lab, &place.aws);
    let balancer = aws.make_subnet("10.30.0.0/24").unwrap();
    let database = aws.make_subnet("10.30.1.0/24").unwrap();
    format!(
        "module \"path\" {{
  source = \"./guimove-neosync\"

  bastion = {{
    host              = {host}
    port              = {port}
    host_keys         = [{host_key}]
    bucket            = {bucket}
    kms_key_arn       = {kms_key}
    security_group_id = {group}
    balancer_subnets  = [{balancer:?}]
    key_sync_peers    = [{s3:?}]
  }}
  database = {{
    host  = {database_host:?}
    port  = {database_port}
    user  = {role:?}
    name  = {name:?}
    ca    = {ca}
    peers = [{database:?}]
  }}
  egress_addresses = {egress}
  tables           = [{table:?}]
  passphrase       = {PASSPHRASE:?}
  password         = {password}
}}
output \"path\" {{ value = module.path.path }}
",
        host = quote(lab.bastion.host()),
        port = lab.bastion.port(),
        host_key = quote(&lab.bastion.host_public_key().unwrap()),
        bucket = quote(&place.bucket),
        kms_key = quote(&place.kms_key),
        group = quote(&place.group),
        s3 = aws.amazons_prefix_list("s3").unwrap(),
        database_host = lab::DATABASE_HOST,
        database_port = lab.ordinary.port(),
        role = lab::ROLE,
        name = lab::DATABASE,
        ca = quote(&lab.authority.pem()),
        table = lab::TABLE,
        password = quote(lab.password()),
    )
}

#[test]
fn the_configuration_of_neosyncs_guide_is_proven_in_one_apply() {
    let place = Place::new();
    let terraform = &place.bench.terraform;
    let module = terraform.work().join("guimove-neosync");
    std::fs::create_dir(&module).unwrap();
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/modules/guimove-neosync");
    for file in ["main.tf", "variables.tf", "outputs.tf"] {
        std::fs::copy(example.join(file), module.join(file)).unwrap();
    }
    // The guide's own three addresses, as it writes them: without a mask.
    let text = guide(&place, "[\"54.69.79.83\", \"44.235.108.235\", \"35.84.248.98\"]");
    write_with(terraform, &(provider(&place.aws, "") + &text), &[]);
    terraform.run(&["get"]).unwrap().ok().unwrap();
    let said = terraform.apply().unwrap().ok().unwrap();
    assert_says(&said, &["Apply complete! Resources: 4 added", "ready passed table public.orders"]);
    assert!(!said.contains("may not"), "nothing is to be warned of:\n{said}");
    assert!(terraform.settled().unwrap(), "the second plan is not empty");

    assert_eq!(place.aws.object_keys(&place.bucket).unwrap(), ["public-keys/neosync.pub"]);
    let mut rules: Vec<_> = place.aws.rules(&place.group).into_iter().map(|rule| (rule.direction, rule.from_port, rule.peer)).collect();
    rules.sort_by(|a, b| a.2.cmp(&b.2));
    let (ssh, postgres) = (i32::from(place.bench.lab.bastion.port()), i32::from(place.bench.lab.ordinary.port()));
    let s3 = place.aws.amazons_prefix_list("s3").unwrap();
    let expected = [
        (Direction::Ingress, ssh, "10.30.0.0/24".to_owned()),
        (Direction::Egress, postgres, "10.30.1.0/24".to_owned()),
        (Direction::Ingress, ssh, "35.84.248.98/32".to_owned()),
        (Direction::Ingress, ssh, "44.235.108.235/32".to_owned()),
        (Direction::Ingress, ssh, "54.69.79.83/32".to_owned()),
        (Direction::Egress, 443, s3),
    ];
    assert_eq!(rules, expected);

    terraform.run(&["destroy", "-auto-approve", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert!(place.aws.object_keys(&place.bucket).unwrap().is_empty() && place.aws.rules(&place.group).is_empty());
}
