//! The policies of the reference are enough, and without any one of their actions the message names it.

use std::fs;
use std::path::Path;

use lab::{BucketOptions, Policy};

use crate::admit::Stand;
use crate::cloud::Cloud;
use crate::support::{Block, quote};

const KEYS: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti",
];

/// The policy that a page of the reference gives, with the names of a test in place of the example's.
fn policy(page: &str, names: &[(&str, &str)]) -> Policy {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/resources").join(page);
    let page = fs::read_to_string(file).unwrap();
    let (_, rest) = page.split_once("## Permissions").expect("the page has a policy");
    let (_, rest) = rest.split_once("```json\n").unwrap();
    let mut json = rest.split_once("```").unwrap().0.to_owned();
    for (example, name) in names {
        assert!(json.contains(example), "{example} is not in the policy");
        json = json.replace(example, name);
    }
    Policy::parse(&json).unwrap()
}

/// An account, the policy that its callers need, and what they do with it.
struct Life {
    cloud: Cloud,
    policy: Policy,
    steps: Vec<Step>,
}

type Step = Box<dyn Fn(&Cloud) -> lab::Ran>;

impl Life {
    /// Lives the whole of it; what the first step said that failed, if one did.
    fn live(&self, policy: &Policy) -> Result<(), String> {
        self.cloud.aws.allow_only(policy);
        for step in &self.steps {
            step(&self.cloud).ok().map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// What is said without each action of the policy: it names that one.
fn each_is_missed_by_name(life: impl Fn() -> Life) {
    let whole = life();
    whole.live(&whole.policy).unwrap_or_else(|said| panic!("the policy is not enough:\n{said}"));
    for action in whole.policy.actions() {
        let life = life();
        let said = life.live(&life.policy.clone().without(&action)).expect_err(&format!("{action} is not needed"));
        // Terraform folds its lines, and names have no blanks.
        assert!(
            said.contains(&format!("allow {action}")) || said.contains(&format!("{action} is denied")),
            "{action} is not named:\n{said}"
        );
    }
}

fn apply(blocks: Vec<Block>) -> Step {
    Box::new(move |cloud| cloud.apply(&blocks.iter().collect::<Vec<_>>()))
}

/// Nothing may be left to plan.
fn plan() -> Step {
    Box::new(|cloud| cloud.terraform.run(&["plan", "-detailed-exitcode", "-no-color", "-input=false"]).unwrap())
}

/// Forgets a resource and takes it over again.
fn import(address: &'static str, id: String) -> Step {
    Box::new(move |cloud| {
        let forgotten = cloud.terraform.run(&["state", "rm", address]).unwrap();
        if !forgotten.status.success() {
            return forgotten;
        }
        cloud.terraform.run(&["import", "-no-color", "-input=false", address, &id]).unwrap()
    })
}

/// Something that somebody else does.
fn meanwhile(act: impl Fn(&Cloud) + 'static) -> Step {
    Box::new(move |cloud| {
        act(cloud);
        cloud.terraform.run(&["version"]).unwrap()
    })
}

fn life_of_rules() -> Life {
    let cloud = Cloud::new();
    let group = cloud.aws.make_vpc_group("bastion").unwrap();
    let subnet = cloud.aws.make_subnet_in(&cloud.aws.vpc_of(&group).unwrap(), "10.0.7.0/24").unwrap();
    let names = [("123456789012", cloud.aws.account_id()), ("us-west-2", cloud.aws.region()), ("sg-0123456789abcdef0", &group)];
    let policy = policy("security_group_rules.md", &names);
    let block = |peer: &str, description: &str| {
        let peers = [peer, &subnet];
        let ingress = format!("{{ neosync = {{ port = 22, peers = {peers:?}, description = {description:?} }} }}");
        let egress = format!("{{ all = {{ protocol = \"all\", peers = [{peer:?}] }} }}");
        Block::new("bastion_security_group_rules", "it").text("security_group_id", &group).set("ingress", ingress).set("egress", egress)
    };
    let everything = group.clone();
    let twin = || block("10.0.0.2", "two").named("twin").text("owner", "somebody/else");
    let steps = vec![
        apply(vec![block("10.0.0.1", "one")]),
        plan(),
        apply(vec![block("10.0.0.2", "one")]),
        apply(vec![block("10.0.0.2", "two")]),
        import("bastion_security_group_rules.it", group.clone()),
        apply(vec![block("10.0.0.2", "two")]),
        plan(),
        // Another owner joins the rules, and leaves them again.
        apply(vec![block("10.0.0.2", "two"), twin()]),
        plan(),
        apply(vec![block("10.0.0.2", "two")]),
        plan(),
        meanwhile(move |cloud| cloud.aws.rules(&everything).iter().for_each(|rule| cloud.aws.revoke(&rule.id).unwrap())),
        apply(vec![block("10.0.0.2", "two")]),
        apply(vec![]),
    ];
    Life { cloud, policy, steps }
}

fn life_of_an_admission() -> Life {
    let stand = Stand::new();
    let names =
        [("123456789012", stand.cloud.aws.account_id()), ("us-west-2", stand.cloud.aws.region()), ("sg-0123456789abcdef0", &stand.group)];
    let policy = policy("ssh_tunnel_connection.md", &names);
    let block = stand.connection(&stand.admit());
    let Stand { bench, cloud, group, gate, checkip } = stand;
    // The bastion has to live as long as the steps.
    let walk: Step = Box::new(move |cloud| {
        let _behind = (&bench, &gate, &checkip);
        let walked = cloud.apply(&[&block]);
        assert_eq!(cloud.aws.rules(&group), [], "a rule is left");
        walked
    });
    Life { cloud, policy, steps: vec![walk] }
}

fn life_of_keys() -> Life {
    let cloud = Cloud::new();
    let key = cloud.aws.make_kms_key();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default().kms_key(&key)).unwrap();
    let example = "arn:aws:kms:us-west-2:123456789012:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
    let policy = policy("authorized_keys.md", &[(example, &key), ("my-bastion", &bucket)]);
    let block = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|key| quote(key)).collect();
        Block::new("bastion_authorized_keys", "neosync")
            .text("bucket", &bucket)
            .text("user", "neosync")
            .set("public_keys", format!("[{}]", keys.join(", ")))
    };
    let (object, gone, foreign) = (format!("{bucket}/public-keys/neosync.pub"), bucket.clone(), bucket.clone());
    let twin = || block(&KEYS).named("twin").text("owner", "somebody/else");
    let adopted = block(&KEYS[..1]).named("adopted").text("user", "adopted").set("adopt", "true");
    let steps = vec![
        apply(vec![block(&KEYS[..1])]),
        plan(),
        apply(vec![block(&KEYS)]),
        meanwhile(move |cloud| cloud.aws.delete_object(&gone, "public-keys/neosync.pub").unwrap()),
        apply(vec![block(&KEYS)]),
        import("bastion_authorized_keys.neosync", object),
        plan(),
        meanwhile(move |cloud| drop(cloud.aws.put_object(&foreign, "public-keys/adopted.pub", "somebody else's\n").unwrap())),
        apply(vec![block(&KEYS), adopted]),
        plan(),
        // Another owner joins the object, and leaves it again.
        apply(vec![block(&KEYS), twin()]),
        plan(),
        apply(vec![block(&KEYS)]),
        plan(),
        apply(vec![]),
    ];
    Life { cloud, policy, steps }
}

#[test]
fn the_policy_for_rules_is_enough_and_each_action_is_missed_by_name() {
    each_is_missed_by_name(life_of_rules);
}

#[test]
fn the_policy_for_keys_is_enough_and_each_action_is_missed_by_name() {
    each_is_missed_by_name(life_of_keys);
}

#[test]
fn the_policy_for_an_admission_is_enough_and_each_action_is_missed_by_name() {
    each_is_missed_by_name(life_of_an_admission);
}
