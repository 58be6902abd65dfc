//! A login's object belongs to all who claim it: nobody loses it to another's plan, replacement, rename or crash.

use std::collections::BTreeSet;

use lab::{BucketOptions, Ran, Terraform};
use serde_json::Value;

use crate::cloud::{Cloud, as_account, provider};
use crate::support::{Block, assert_says, attributes, planned, quote, terraform, write_with};

pub const ADDRESS: &str = "bastion_authorized_keys.neosync";
pub const KEY: &str = "public-keys/neosync.pub";
pub const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
pub const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const CLAIM: &str = "# bastion-owner: ";

/// A bucket, and what is applied to it.
pub struct Bucket {
    pub cloud: Cloud,
    pub name: String,
}

/// Another folder with a state of its own.
pub struct State(Terraform);

impl Bucket {
    pub fn new() -> Self {
        let cloud = Cloud::new();
        let name = cloud.aws.make_bucket("bastion", BucketOptions::default()).unwrap();
        Self { cloud, name }
    }

    pub fn block(&self) -> Block {
        let block = Block::new("bastion_authorized_keys", "neosync").text("bucket", &self.name).text("user", "neosync");
        with_key(block, ED25519)
    }

    fn state(&self) -> State {
        let mut terraform = terraform();
        as_account(&mut terraform, &self.cloud.aws);
        State(terraform)
    }

    fn write(&self, state: &State, blocks: &[&Block]) {
        write_with(&state.0, &provider(&self.cloud.aws, ""), blocks);
    }

    fn apply(&self, state: &State, blocks: &[&Block]) -> Ran {
        self.write(state, blocks);
        state.0.apply().unwrap()
    }

    fn settle(&self, state: &State, blocks: &[&Block]) {
        self.apply(state, blocks).ok().unwrap();
        assert!(state.0.settled().unwrap(), "the second plan is not empty");
    }

    /// The object's text, if it is there.
    pub fn text(&self) -> Option<String> {
        self.cloud.aws.get_object(&self.name, KEY).unwrap().map(|text| String::from_utf8(text).unwrap())
    }

    /// Its lines without the claims and the canary's.
    pub fn lines(&self) -> String {
        let text = self.text().expect("the object is there");
        text.split_inclusive('\n').filter(|line| !line.starts_with(CLAIM) && !line.starts_with("restrict ssh-ed25519 ")).collect()
    }

    /// Who claims the object, as its text says; the metadata must say the same.
    pub fn claims(&self) -> BTreeSet<String> {
        let text = self.text().expect("the object is there");
        let claims: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix(CLAIM)).map(|claim| claim.replace(' ', ":")).collect();
        let metadata = self.cloud.aws.head(&self.name, KEY).unwrap().unwrap().metadata;
        let noted: Option<BTreeSet<String>> =
            metadata.iter().find(|(name, _)| name == "bastion-owners").map(|(_, value)| value.split(' ').map(str::to_owned).collect());
        assert_eq!(noted.unwrap_or_default(), claims, "text and metadata");
        claims
    }

    /// How often the object was deleted: between two such moments it was there.
    pub fn deletes(&self) -> usize {
        let calls = self.cloud.aws.calls();
        calls.iter().filter(|call| call.action == "DeleteObject" && call.code.is_none() && call.target.ends_with(KEY)).count()
    }
}

pub fn with_key(block: Block, key: &str) -> Block {
    block.set("public_keys", format!("[{}]", quote(key)))
}

pub fn line(key: &str) -> String {
    format!("restrict,port-forwarding {key}\n")
}

/// A resource's claim, as its state has it.
pub fn claim(attributes: &Value) -> String {
    format!("{}:{}", attributes["owner"].as_str().unwrap(), attributes["claim_id"].as_str().unwrap())
}

fn of_state(terraform: &Terraform, address: &str) -> Value {
    attributes(terraform, address).unwrap_or_else(|| panic!("{address} is not in state"))
}

pub fn run(terraform: &Terraform, arguments: &[&str]) -> Ran {
    terraform.run(&[arguments, &["-no-color", "-input=false"]].concat()).unwrap()
}

#[test]
fn two_states_share_an_object_and_either_may_leave_first() {
    for first in [0, 1] {
        let bucket = Bucket::new();
        let states = [bucket.state(), bucket.state()];
        let block = bucket.block();
        bucket.settle(&states[0], &[&block]);
        let etag = of_state(&states[0].0, ADDRESS)["etag"].clone();
        bucket.settle(&states[1], &[&block]);
        let claims = states.each_ref().map(|state| claim(&of_state(&state.0, ADDRESS)));
        assert_eq!(bucket.claims(), claims.clone().into());
        run(&states[0].0, &["apply", "-refresh-only", "-auto-approve"]).ok().unwrap();
        assert_eq!(of_state(&states[0].0, ADDRESS)["etag"], etag, "who joins gives nobody's connection anything to prove again");

        let (leaves, stays) = (&states[first], &states[1 - first]);
        let owner = of_state(&stays.0, ADDRESS)["owner"].as_str().unwrap().to_owned();
        let said = bucket.apply(leaves, &[]).ok().unwrap();
        let command = format!("bastion leftovers {} --owner {owner} --remove", bucket.name);
        assert_says(&said, &["The object stays, because others claim it", &command]);
        assert_eq!((bucket.claims(), bucket.deletes()), ([claims[1 - first].clone()].into(), 0));
        assert!(stays.0.settled().unwrap());
        let said = bucket.apply(stays, &[]).ok().unwrap();
        assert!(bucket.text().is_none() && !said.contains("Warning: The object"), "{said}");
    }
}

#[test]
fn twins_in_one_state_share_an_object() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.block(), bucket.block().named("twin"));
    bucket.cloud.settle(&[&one, &two]);
    assert_eq!(bucket.claims().len(), 2);
    bucket.cloud.settle(&[&two]);
    assert_eq!((bucket.claims().len(), bucket.deletes()), (1, 0));
    bucket.cloud.settle(&[&one, &two]);
    bucket.cloud.settle(&[]);
    assert!(bucket.text().is_none(), "both left at once, and the last one removed it");
}

#[test]
fn states_that_come_and_go_at_the_same_moment_keep_each_others_claims() {
    let bucket = Bucket::new();
    let states = [(); 3].map(|()| bucket.state());
    let all = |blocks: &[&Block]| {
        states.iter().for_each(|state| bucket.write(state, blocks));
        std::thread::scope(|scope| {
            let runs = states.each_ref().map(|state| scope.spawn(|| state.0.apply().unwrap()));
            runs.into_iter().for_each(|run| drop(run.join().unwrap().ok().unwrap()));
        });
    };
    for _ in 0..2 {
        all(&[&bucket.block()]);
        assert_eq!(bucket.claims(), states.iter().map(|state| claim(&of_state(&state.0, ADDRESS))).collect());
        assert!(states.iter().all(|state| state.0.settled().unwrap()));
        all(&[]);
        assert_eq!(bucket.text(), None);
    }
}

#[test]
fn other_lines_for_a_login_that_another_owner_claims_are_an_error_that_names_it() {
    let bucket = Bucket::new();
    let (prod, dev) = (bucket.state(), bucket.state());
    let (ours, theirs) = (bucket.block().text("owner", "neosync/prod"), with_key(bucket.block().text("owner", "neosync/dev"), OTHER));
    bucket.settle(&prod, &[&ours]);
    let before = bucket.text();
    let refused = |state: &State, block: &Block, owner: &str| {
        let said = bucket.apply(state, &[block]).failed().unwrap();
        assert_says(&said, &["The login belongs to another owner", &format!("`{owner}`"), "`adopt = true`", "bucket/owned"]);
    };
    refused(&dev, &theirs, "neosync/prod");
    assert_eq!(bucket.text(), before, "nothing is touched");
    assert!(attributes(&dev.0, ADDRESS).is_none());

    // What is shared is not altered under another either.
    bucket.settle(&dev, &[&with_key(theirs.clone(), ED25519)]);
    let before = bucket.text();
    refused(&dev, &theirs, "neosync/prod");
    refused(&prod, &with_key(ours.clone(), OTHER), "neosync/dev");
    assert_eq!(bucket.text(), before);

    bucket.settle(&dev, &[&theirs.set("adopt", "true")]);
    let adopted = bucket.text();
    assert_eq!(bucket.claims(), [claim(&of_state(&dev.0, ADDRESS))].into());
    bucket.write(&prod, &[&ours]);
    assert_eq!(planned(&prod.0)[ADDRESS], ["update"]);
    refused(&prod, &ours, "neosync/dev");
    let said = bucket.apply(&prod, &[]).ok().unwrap();
    assert_says(&said, &["The object is not this resource's any more", "It was left as it is"]);
    assert_eq!(bucket.text(), adopted);
}

#[test]
fn an_object_that_was_imported_as_it_is_is_removed_with_its_resource() {
    let bucket = Bucket::new();
    let cloud = &bucket.cloud;
    for meanwhile in [false, true] {
        cloud.aws.put_object(&bucket.name, KEY, line(ED25519)).unwrap();
        cloud.write(&[&bucket.block()]);
        let id = format!("{}/{KEY}", bucket.name);
        cloud.terraform.run(&["import", "-input=false", "-no-color", ADDRESS, &id]).unwrap().ok().unwrap();
        cloud.settled();
        if meanwhile {
            cloud.aws.put_object(&bucket.name, KEY, "somebody else's").unwrap();
        }
        let said = cloud.apply(&[]).ok().unwrap();
        assert_eq!((bucket.text().is_some(), said.contains("The object is not this resource's any more")), (meanwhile, meanwhile));
    }
}

#[test]
fn what_stands_where_our_object_stood_is_left_and_said() {
    let bucket = Bucket::new();
    let cloud = &bucket.cloud;
    for text in ["somebody else's\n", &line(ED25519)] {
        cloud.settle(&[&bucket.block()]);
        cloud.aws.delete_object(&bucket.name, KEY).unwrap();
        cloud.aws.put_object(&bucket.name, KEY, text).unwrap();
        assert_eq!(cloud.plans(ADDRESS), ["update"], "our claim is missing");
        let said = cloud.apply(&[]).ok().unwrap();
        assert_says(&said, &["The object is not this resource's any more", "It was left as it is"]);
        assert_eq!(bucket.text().unwrap(), text);
        cloud.aws.delete_object(&bucket.name, KEY).unwrap();
    }
}

/// Puts object and state there as the version before has written them.
fn as_before(bucket: &Bucket, state: &State) {
    bucket.settle(state, &[&bucket.block()]);
    let mark = [("x-amz-meta-managed-by", "terraform-provider-bastion"), ("content-type", "text/plain; charset=utf-8")];
    let etag = bucket.cloud.aws.put_object_with(&bucket.name, KEY, line(ED25519), &mark).unwrap();
    let file = state.0.work().join("terraform.tfstate");
    let mut json: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let instance = &mut json["resources"][0]["instances"][0];
    let attributes = instance["attributes"].as_object_mut().unwrap();
    attributes.retain(|name, _| !matches!(name.as_str(), "owner" | "claim_id" | "canary" | "version"));
    attributes.insert("etag".to_owned(), etag.into());
    attributes.insert("authorized_keys".to_owned(), line(ED25519).into());
    // {"found":null,"written":"AES256 -"}
    instance["private"] = "eyJmb3VuZCI6bnVsbCwid3JpdHRlbiI6IkFFUzI1NiAtIn0=".into();
    std::fs::write(file, json.to_string()).unwrap();
    bucket.cloud.aws.forget_calls();
}

#[test]
fn what_an_earlier_version_wrote_is_understood_and_taken_over() {
    let bucket = Bucket::new();
    let (old, new) = (bucket.state(), bucket.state());
    as_before(&bucket, &old);
    assert!(old.0.settled().unwrap(), "the first plan after an upgrade is empty");
    assert!(bucket.cloud.aws.calls().iter().all(|call| call.action == "HeadObject"), "{:?}", bucket.cloud.aws.calls());
    bucket.apply(&old, &[]).ok().unwrap();
    assert_eq!(bucket.text(), None, "it is removed with its resource");

    as_before(&bucket, &old);
    bucket.settle(&old, &[&with_key(bucket.block(), OTHER)]);
    assert_eq!(bucket.claims(), [claim(&of_state(&old.0, ADDRESS))].into(), "the next write writes the claim");
    bucket.settle(&old, &[]);

    // Who joins does not know whose it is, and leaves it to them.
    as_before(&bucket, &old);
    let said = bucket.apply(&new, &[&bucket.block()]).failed().unwrap();
    assert_says(&said, &["The login belongs to another owner", "`earlier-version`", "`canary = false` shares them"]);
    bucket.settle(&new, &[&bucket.block().set("canary", "false")]);
    assert_eq!(bucket.claims().len(), 2);
    assert!(old.0.settled().unwrap());
    assert_says(&bucket.apply(&new, &[]).ok().unwrap(), &["--owner earlier-version --remove"]);
    assert!(old.0.settled().unwrap());
    bucket.apply(&old, &[]).ok().unwrap();
    assert_eq!(bucket.text(), None);

    as_before(&bucket, &old);
    let said = bucket.apply(&new, &[&with_key(bucket.block(), OTHER)]).failed().unwrap();
    assert_says(&said, &["The login belongs to another owner", "`earlier-version`"]);
    assert_eq!(bucket.text().unwrap(), line(ED25519));
    // A drifted text of that time is mended as ever.
    bucket.cloud.aws.put_object(&bucket.name, KEY, "somebody else's\n").unwrap();
    bucket.settle(&old, &[&bucket.block()]);
    assert_eq!(bucket.claims().len(), 1);
}

#[test]
fn removing_an_optional_argument_does_what_leaving_it_out_would_have_done() {
    let bucket = Bucket::new();
    let cloud = &bucket.cloud;
    let (own, other) = (cloud.aws.make_kms_key(), cloud.aws.make_kms_key());
    cloud.aws.encrypt_bucket(&bucket.name, Some(&own)).unwrap();
    let without = bucket.block();
    let seen = || {
        let keys = cloud.aws.object_keys(&bucket.name).unwrap();
        let head = cloud.aws.head(&bucket.name, KEY).unwrap().unwrap();
        let lines: String = bucket.text().unwrap().split_inclusive('\n').filter(|line| !line.starts_with(CLAIM)).collect();
        (keys, head.kms_key, lines)
    };
    cloud.settle(&[&without]);
    let expected = seen();
    for (argument, value) in [
        ("kms_key_id", quote(&other)),
        ("kms_key_id", quote(&own)),
        ("prefix", quote("elsewhere/")),
        ("permit_open", "[\"db.internal:5432\"]".to_owned()),
        ("adopt", "true".to_owned()),
        ("expected_bucket_owner", quote(cloud.aws.account_id())),
        ("owner", quote("neosync/prod")),
    ] {
        cloud.settle(&[&without.clone().set(argument, value.clone())]);
        cloud.write(&[&without]);
        // The bucket's own key makes no difference, given or not.
        let expected_plan = if value == quote(&own) { "no-op" } else { "update" };
        assert_eq!(cloud.plans(ADDRESS), [expected_plan], "{argument}: the plan shows it");
        cloud.settle(&[&without]);
        assert_eq!(seen(), expected, "{argument}");
        let owner = cloud.attributes(ADDRESS)["owner"].as_str().unwrap().to_owned();
        assert!(owner != "neosync/prod" && bucket.claims() == [claim(&cloud.attributes(ADDRESS))].into(), "{argument}");
    }
}

#[test]
fn who_shares_an_object_leaves_it_encrypted_as_it_is() {
    let bucket = Bucket::new();
    let (own, given) = (bucket.cloud.aws.make_kms_key(), bucket.cloud.aws.make_kms_key());
    bucket.cloud.aws.encrypt_bucket(&bucket.name, Some(&own)).unwrap();
    let under = || bucket.cloud.aws.head(&bucket.name, KEY).unwrap().unwrap().kms_key;
    let (chooses, shares) = (bucket.state(), bucket.state());
    bucket.settle(&chooses, &[&bucket.block().text("kms_key_id", &given)]);
    bucket.settle(&shares, &[&bucket.block()]);
    assert_eq!((under().as_ref(), bucket.claims().len()), (Some(&given), 2));
    assert!(chooses.0.settled().unwrap());
    bucket.apply(&chooses, &[]).ok().unwrap();
    assert_eq!((under(), bucket.claims().len()), (Some(given), 1));
    assert!(shares.0.settled().unwrap());
}
