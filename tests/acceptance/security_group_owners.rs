//! Rules that several resources use: each marks them, none removes what another wants, and the last to leave removes them. Long: one promise a
//! test, around the same few helpers.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::{Allow, Direction, Fault, On, Terraform};

use crate::cloud::{Cloud, as_account, provider};
use crate::security_group_rules::{ADDRESS, bench, block, peers, ssh};
use crate::support::{Block, assert_says, attributes, quote, terraform, write_with};

const CREATE_FIRST: &str = "lifecycle { create_before_destroy = true }";

/// Asserts that peers were let in after each call since the history was begun.
pub fn never_out(cloud: &Cloud, group: &str, wanted: &[&str]) {
    let history = cloud.aws.rule_history(group);
    for (moment, rules) in history.iter().enumerate() {
        let there: BTreeSet<&str> = rules.iter().map(|rule| rule.peer.as_str()).collect();
        let out: Vec<_> = wanted.iter().filter(|peer| !there.contains(**peer)).collect();
        assert!(out.is_empty(), "{out:?} locked out after change {moment} of {}: {there:?}", history.len());
    }
}

/// Another state of the same account.
pub fn second_state(cloud: &Cloud) -> Terraform {
    let mut other = terraform();
    as_account(&mut other, &cloud.aws);
    other
}

pub fn write_second(cloud: &Cloud, other: &Terraform, blocks: &[&Block]) {
    write_with(other, &provider(&cloud.aws, ""), blocks);
}

fn run(cloud: &Cloud, arguments: &[&str]) -> lab::Ran {
    cloud.terraform.run(&[arguments, &["-auto-approve", "-no-color", "-input=false"]].concat()).unwrap()
}

/// The owners whose marks a rule bears, with the values.
fn marks(cloud: &Cloud, group: &str, peer: &str) -> Vec<(String, String)> {
    let rule = cloud.aws.rules(group).into_iter().find(|rule| rule.peer == peer).unwrap_or_else(|| panic!("no rule for {peer}"));
    let marks = rule.tags.iter().filter_map(|(key, value)| Some((key.strip_prefix("bastion-owner/")?.to_owned(), value.clone())));
    marks.collect()
}

#[test]
fn of_equal_twins_in_one_state_either_may_go() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    let egress = "{ key_sync = { port = 443, peers = [\"0.0.0.0/0\"] } }";
    let twins = |names: &str| block.clone().set("for_each", format!("toset({names})")).set("egress", egress);
    cloud.settle(&[&twins("[\"dev\", \"prod\"]")]);
    assert_eq!(marks(&cloud, &group, "10.0.0.1/32").len(), 2);
    assert_eq!(cloud.aws.rules(&group).len(), 2);
    cloud.aws.forget_rules();
    cloud.settle(&[&twins("[\"prod\"]")]);
    never_out(&cloud, &group, &["10.0.0.1/32", "0.0.0.0/0"]);
    assert_eq!(marks(&cloud, &group, "10.0.0.1/32").len(), 1);
    let said = cloud.apply(&[]).ok().unwrap();
    assert!(cloud.aws.rules(&group).is_empty(), "the last one removes them: {said}");
}

#[test]
fn of_equal_twins_in_two_states_either_may_go() {
    let (cloud, group, block) = bench(&["10.0.0.1", "10.0.0.2"]);
    let other = second_state(&cloud);
    cloud.settle(&[&block]);
    write_second(&cloud, &other, &[&block]);
    let said = other.apply().unwrap().ok().unwrap();
    assert!(!said.contains("The group has rules of other owners"), "what is shared is no stranger's: {said}");
    cloud.settled();
    assert!(other.settled().unwrap());
    cloud.aws.forget_rules();
    let said = cloud.apply(&[]).ok().unwrap();
    assert_says(&said, &["Rules stay, because others use them"]);
    let [(staying, _)] = marks(&cloud, &group, "10.0.0.1/32").try_into().unwrap();
    assert!(said.contains(&format!(" ingress/neosync 10.0.0.1/32, owner {staying}\n")), "who leaves is not one of them: {said}");
    never_out(&cloud, &group, &["10.0.0.1/32", "10.0.0.2/32"]);
    assert!(other.settled().unwrap());
    write_second(&cloud, &other, &[]);
    other.apply().unwrap().ok().unwrap();
    assert!(cloud.aws.rules(&group).is_empty());
}

#[test]
fn a_create_revokes_nothing_whatever_others_once_wanted() {
    let (cloud, group, first) = bench(&["198.51.100.1"]);
    cloud.settle(&[&first]);
    cloud.settle(&[&block(&group, &["198.51.100.2"])]);
    let other = second_state(&cloud);
    write_second(&cloud, &other, &[&first]);
    cloud.aws.forget_rules();
    let said = other.apply().unwrap().ok().unwrap();
    assert_says(&said, &["1 added, 0 changed, 0 destroyed", "The group has rules of other owners", "198.51.100.2/32", "bastion leftovers"]);
    never_out(&cloud, &group, &["198.51.100.2/32"]);
    cloud.settled();
    assert!(other.settled().unwrap());
    assert_eq!(peers(&cloud, &group), ["198.51.100.1/32", "198.51.100.2/32"]);
}

#[test]
fn a_replacement_that_is_made_first_keeps_the_rules_with_a_drawn_owner_and_with_a_given_one() {
    for owner in [None, Some("neosync/prod")] {
        let (cloud, group, before) = bench(&["10.0.0.1"]);
        let with = |block: Block| owner.map_or(block.clone(), |owner| block.text("owner", owner)).raw(CREATE_FIRST);
        cloud.settle(&[&with(before)]);
        let after = with(block(&group, &["10.0.0.2", "10.0.0.3"]));
        cloud.settle(&[&after]);
        cloud.aws.forget_rules();
        run(&cloud, &["apply", &format!("-replace={ADDRESS}")]).ok().unwrap();
        never_out(&cloud, &group, &["10.0.0.2/32", "10.0.0.3/32"]);
        cloud.settled();
        // Another set of peers at the same time: the older object's are removed with it.
        cloud.write(&[&with(block(&group, &["10.0.0.3", "10.0.0.4"]))]);
        cloud.terraform.run(&["taint", ADDRESS]).unwrap().ok().unwrap();
        cloud.aws.forget_rules();
        run(&cloud, &["apply"]).ok().unwrap();
        never_out(&cloud, &group, &["10.0.0.3/32"]);
        cloud.settled();
        assert_eq!(peers(&cloud, &group), ["10.0.0.3/32", "10.0.0.4/32"], "{owner:?}");
        cloud.settle(&[]);
        assert!(cloud.aws.rules(&group).is_empty());
    }
}

#[test]
fn a_deposed_object_that_a_killed_run_left_takes_nothing_with_it() {
    for owner in [None, Some("neosync/prod")] {
        let (cloud, group, before) = bench(&["10.0.0.1"]);
        let block = owner.map_or(before.clone(), |owner| before.text("owner", owner)).raw(CREATE_FIRST);
        cloud.settle(&[&block]);
        cloud.terraform.run(&["taint", ADDRESS]).unwrap().ok().unwrap();
        // After the refresh and the two looks of the create, the next one is that of the deposed object's destroy.
        let before_destroy = cloud.aws.pause_before(On::action("DescribeSecurityGroupRules").skip(3));
        cloud.kill_at(&before_destroy);
        cloud.aws.forget_rules();
        cloud.settle(&[&block]);
        never_out(&cloud, &group, &["10.0.0.1/32"]);
        assert_eq!(marks(&cloud, &group, "10.0.0.1/32").len(), 1, "{owner:?}");
        cloud.settle(&[]);
        assert!(cloud.aws.rules(&group).is_empty());
    }
}

#[test]
fn a_peer_that_moves_between_resources_is_let_in_all_the_time_in_any_order() {
    for (depends_x, depends_y, parallelism) in [
        ("", "", "-parallelism=10"),
        ("[Y]", "", "-parallelism=10"),
        ("", "[X]", "-parallelism=10"),
        ("[Y]", "", "-parallelism=1"),
        ("", "[X]", "-parallelism=1"),
    ] {
        let (cloud, group, block) = bench(&["10.0.0.1"]);
        let named = |name: &str, depends: &str, peers: &[&str]| {
            let depends = depends.replace('X', "bastion_security_group_rules.x").replace('Y', "bastion_security_group_rules.y");
            let block = block.clone().named(name).set("ingress", ssh(peers));
            if depends.is_empty() { block } else { block.set("depends_on", depends) }
        };
        let write = |x: &[&str], y: &[&str]| cloud.write(&[&named("x", depends_x, x), &named("y", depends_y, y)]);
        write(&["10.0.0.1", "10.0.0.9"], &["10.0.0.2"]);
        run(&cloud, &["apply", parallelism]).ok().unwrap();
        for (x, y) in [(vec!["10.0.0.1"], vec!["10.0.0.2", "10.0.0.9"]), (vec!["10.0.0.1", "10.0.0.9"], vec!["10.0.0.2"])] {
            write(&x, &y);
            cloud.aws.forget_rules();
            run(&cloud, &["apply", parallelism]).ok().unwrap();
            never_out(&cloud, &group, &["10.0.0.1/32", "10.0.0.2/32", "10.0.0.9/32"]);
            cloud.settled();
            assert_eq!(marks(&cloud, &group, "10.0.0.9/32").len(), 1, "{depends_x} {depends_y} {parallelism}");
        }
        assert_eq!(peers(&cloud, &group).len(), 3);
    }
}

#[test]
fn one_resource_becomes_two_and_one_again_without_a_gap() {
    let (cloud, group, both) = bench(&["10.0.0.1", "10.0.0.2"]);
    let second = both.clone().named("second").set("ingress", "{ other = { port = 22, peers = [\"10.0.0.2\"] } }");
    let first = block(&group, &["10.0.0.1"]);
    cloud.settle(&[&both]);
    for blocks in [vec![&first, &second], vec![&both]] {
        cloud.aws.forget_rules();
        cloud.apply(&blocks).ok().unwrap();
        never_out(&cloud, &group, &["10.0.0.1/32", "10.0.0.2/32"]);
        cloud.settled();
        assert_eq!(peers(&cloud, &group).len(), 2);
    }
}

#[test]
fn a_renamed_resource_hands_its_rules_over_whatever_it_was_before() {
    let (cloud, group, before) = bench(&["10.0.0.1"]);
    cloud.settle(&[&before]);
    cloud.settle(&[&block(&group, &["10.0.0.1", "10.0.0.2"])]);
    for name in ["renamed", "again"] {
        cloud.aws.forget_rules();
        cloud.settle(&[&block(&group, &["10.0.0.1", "10.0.0.2"]).named(name)]);
        never_out(&cloud, &group, &["10.0.0.1/32", "10.0.0.2/32"]);
    }
    assert_eq!(marks(&cloud, &group, "10.0.0.1/32").len(), 1);
}

#[test]
fn a_shared_rule_is_never_altered_under_another_owner() {
    let (mut cloud, group, block) = bench(&["10.0.0.1"]);
    cloud.settle(&[&block.clone().text("owner", "one")]);
    let other = second_state(&cloud);
    let ingress = "{ theirs = { port = 22, peers = [\"10.0.0.1\"], description = \"theirs\" } }";
    write_second(&cloud, &other, &[&block.clone().text("owner", "two").set("ingress", ingress)]);
    other.apply().unwrap().ok().unwrap();
    assert!(other.settled().unwrap(), "another description on a shared rule is no drift");
    let rule = || cloud.aws.rules(&group).remove(0);
    assert_eq!((rule().description.as_deref(), rule().tags["Name"].as_str()), (Some("neosync"), "ingress/neosync"));
    assert_eq!(marks(&cloud, &group, "10.0.0.1/32").iter().map(|(owner, _)| owner.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let id = rule().id;
    cloud.arguments = "default_tags = { team = \"data\" }".to_owned();
    cloud.settle(&[&block.clone().text("owner", "one").set("ingress", ingress.replace("theirs", "mine"))]);
    let rule = cloud.aws.rules(&group).remove(0);
    assert_eq!((rule.id, rule.tags.contains_key("team"), rule.tags["Name"].as_str()), (id, false, "ingress/neosync"));
}

#[test]
fn a_create_that_fails_half_way_leaves_nothing_and_is_not_tainted() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    let theirs = cloud.aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, "10.0.0.7/32")).unwrap();
    let block = block.set("ingress", ssh(&["10.0.0.1", "10.0.0.7"])).set("egress", "{ sync = { port = 443, peers = [\"0.0.0.0/0\"] } }");
    cloud.aws.fault(
        "AuthorizeSecurityGroupEgress",
        Fault::answer(403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
    );
    cloud.apply(&[&block]).failed().unwrap();
    let there: Vec<_> = cloud.aws.rules(&group).into_iter().map(|rule| rule.id).collect();
    assert_eq!(there, [theirs]);
    assert!(attributes(&cloud.terraform, ADDRESS).is_none());
    cloud.aws.heal();
    cloud.aws.forget_rules();
    cloud.settle(&[&block]);
    never_out(&cloud, &group, &["10.0.0.7/32"]);
}

#[test]
fn a_failed_create_of_a_given_owner_gives_back_what_it_took_from_its_predecessor() {
    let (cloud, group, before) = bench(&["10.0.0.1"]);
    let block = before.text("owner", "neosync/prod").raw(CREATE_FIRST);
    cloud.settle(&[&block]);
    let claim = marks(&cloud, &group, "10.0.0.1/32");
    cloud.aws.fault(
        "AuthorizeSecurityGroupEgress",
        Fault::answer(403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
    );
    cloud.terraform.run(&["taint", ADDRESS]).unwrap().ok().unwrap();
    cloud.aws.forget_rules();
    cloud.apply(&[&block.clone().set("egress", "{ sync = { port = 443, peers = [\"0.0.0.0/0\"] } }")]).failed().unwrap();
    never_out(&cloud, &group, &["10.0.0.1/32"]);
    assert_eq!(marks(&cloud, &group, "10.0.0.1/32"), claim);
}

#[test]
fn a_killed_create_whose_peers_were_then_corrected_leaves_nothing_of_a_given_owner_and_is_named_of_a_drawn_one() {
    for owner in [None, Some("neosync/prod")] {
        let (cloud, group, wrong) = bench(&["10.0.0.66"]);
        let with = |block: Block| owner.map_or(block.clone(), |owner| block.text("owner", owner));
        cloud.write(&[&with(wrong)]);
        cloud.kill_at(&cloud.aws.pause_after("AuthorizeSecurityGroupIngress"));
        let said = cloud.apply(&[&with(block(&group, &["10.0.0.1"]))]).ok().unwrap();
        if owner.is_none() {
            assert_says(&said, &["The group has rules of other owners", "10.0.0.66/32", &format!("bastion leftovers {group} --owner")]);
            continue;
        }
        assert_eq!(cloud.plans(ADDRESS), ["update"], "what the killed one left shows");
        cloud.apply(&[]).ok().unwrap();
        assert!(cloud.aws.rules(&group).is_empty());
    }
}

#[test]
fn an_owner_is_changed_in_place_and_its_removal_draws_one() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    cloud.settle(&[&block]);
    let id = || cloud.aws.rules(&group).remove(0).id;
    let (before, drawn) = (id(), cloud.attributes(ADDRESS)["owner"].as_str().unwrap().to_owned());
    cloud.settle(&[&block.clone().text("owner", "neosync/prod")]);
    let owners = || marks(&cloud, &group, "10.0.0.1/32").into_iter().map(|(owner, _)| owner).collect::<Vec<_>>();
    assert_eq!((owners(), id()), (vec!["neosync/prod".to_owned()], before.clone()));
    cloud.settle(&[&block]);
    assert_eq!(id(), before);
    let [owner] = owners().try_into().unwrap();
    assert!(owner.len() == 16 && owner != drawn, "{owner}");
    cloud.write(&[&block.text("owner", "not one")]);
    let said = cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().failed().unwrap();
    assert_says(&said, &["The owner cannot be used", "such as neosync/prod"]);
}

#[test]
fn what_the_version_before_wrote_is_taken_over_and_nothing_is_revoked_by_it() {
    const OLD: &str = "0123456789abcdef";
    let (cloud, group, block) = bench(&["10.0.0.1", "10.0.0.2"]);
    let old = |peer: &str| {
        let rule = Allow::tcp(Direction::Ingress, 22, peer).tag("managed-by", "terraform-provider-bastion");
        cloud.aws.allow(&group, &rule.tag("bastion-owner", OLD).tag("Name", "ingress/neosync")).unwrap()
    };
    let ids = [old("10.0.0.1/32"), old("10.0.0.2/32")];
    let held = |peer: &str, id: &str| format!("{{\"peer\": {peer:?}, \"rule_id\": {id:?}, \"owned\": true}}");
    let state = format!(
        "{{\"version\": 4, \"terraform_version\": \"1.11.4\", \"serial\": 1, \"lineage\": \"0b0c9a3e-5f43-4b7a-9d3c-5d3f1f7a9c11\", \
          \"outputs\": {{}}, \"resources\": [{{\"mode\": \"managed\", \"type\": \"bastion_security_group_rules\", \"name\": \"it\", \
          \"provider\": {provider}, \"instances\": [{{\"schema_version\": 0, \"attributes\": {{\"id\": {group}, \"security_group_id\": {group}, \
          \"owner\": {OLD:?}, \"egress\": null, \"ingress\": {{\"neosync\": {{\"peers\": [\"10.0.0.1\", \"10.0.0.2\"], \"port\": 22, \
          \"from_port\": null, \"to_port\": null, \"protocol\": null, \"description\": null}}}}, \
          \"rules\": {{\"ingress/neosync\": [{one}, {two}]}}}}}}]}}]}}",
        provider = quote(&format!("provider[\"{}\"]", lab::SOURCE)),
        group = quote(&group),
        one = held("10.0.0.1/32", &ids[0]),
        two = held("10.0.0.2/32", &ids[1]),
    );
    cloud.terraform.write("terraform.tfstate", &state).unwrap();
    cloud.write(&[&block]);
    cloud.settled();
    // Another resource that uses one of them keeps it, and does not make the old mark void.
    let other = second_state(&cloud);
    write_second(&cloud, &other, &[&block.clone().set("ingress", ssh(&["10.0.0.1"])).text("owner", "other")]);
    other.apply().unwrap().ok().unwrap();
    cloud.settled();
    cloud.aws.forget_rules();
    write_second(&cloud, &other, &[]);
    other.apply().unwrap().ok().unwrap();
    never_out(&cloud, &group, &["10.0.0.1/32", "10.0.0.2/32"]);
    cloud.settled();
    // The first change gives it marks of its own; no rule is made anew.
    cloud.settle(&[&block.set("ingress", ssh(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]))]);
    never_out(&cloud, &group, &["10.0.0.1/32", "10.0.0.2/32"]);
    assert_eq!(cloud.aws.rules(&group)[0].id, ids[0]);
    assert_ne!(cloud.attributes(ADDRESS)["owner"], OLD);
    cloud.settle(&[]);
    assert!(cloud.aws.rules(&group).is_empty());
}

#[test]
fn an_import_takes_one_owners_rules() {
    let (cloud, group, one) = bench(&["10.0.0.1", "10.0.0.2"]);
    let other = second_state(&cloud);
    cloud.settle(&[&one.clone().text("owner", "one")]);
    write_second(&cloud, &other, &[&block(&group, &["10.0.0.2", "10.0.0.3"]).text("owner", "two")]);
    other.apply().unwrap().ok().unwrap();
    std::fs::remove_file(cloud.terraform.work().join("terraform.tfstate")).unwrap();
    let import = |id: &str| cloud.terraform.run(&["import", "-no-color", "-input=false", ADDRESS, id]).unwrap();
    assert_says(&import(&group).failed().unwrap(), &["The group has rules of several owners", "`one`, `two`"]);
    assert_says(&import(&format!("{group}/three")).failed().unwrap(), &["no rules of this owner", "`one`, `two`"]);
    assert_says(&import(&format!("{group}/one")).ok().unwrap(), &["2 ingress and 0 egress rules"]);
    cloud.settled();
    cloud.aws.forget_rules();
    cloud.settle(&[]);
    never_out(&cloud, &group, &["10.0.0.2/32", "10.0.0.3/32"]);
    assert!(other.settled().unwrap());
    assert_eq!(peers(&cloud, &group), ["10.0.0.2/32", "10.0.0.3/32"]);
}

#[test]
fn an_import_never_takes_the_egress_rule_that_each_group_has() {
    let cloud = Cloud::new();
    let group = cloud.aws.make_default_vpc_group("bastion").unwrap();
    cloud.aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, "10.0.0.1/32")).unwrap();
    cloud.write(&[&block(&group, &["10.0.0.1"]).set("ingress", "{ tcp-22 = { port = 22, peers = [\"10.0.0.1\"] } }")]);
    cloud.terraform.run(&["import", "-no-color", "-input=false", ADDRESS, &group]).unwrap().ok().unwrap();
    cloud.settled();
    cloud.settle(&[]);
    assert_eq!(peers(&cloud, &group), ["0.0.0.0/0"]);
}

#[test]
fn a_wrong_region_is_an_error_and_loses_nothing() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    cloud.settle(&[&block]);
    let wrong = |text: &str| text.replace(cloud.aws.region(), "eu-central-1");
    let right = std::fs::read_to_string(cloud.terraform.work().join("main.tf")).unwrap();
    cloud.terraform.write("main.tf", &wrong(&right)).unwrap();
    let said = cloud.terraform.apply().unwrap().failed().unwrap();
    assert_says(
        &said,
        &["in region eu-central-1 of account", cloud.aws.account_id(), "terraform state rm", "-refresh=false", "rules/group-lost"],
    );
    cloud.terraform.write("main.tf", &right).unwrap();
    cloud.settled();
    cloud.settle(&[]);
    assert!(cloud.aws.rules(&group).is_empty());
}

#[test]
fn a_destroy_asks_again_before_it_believes_that_there_is_nothing() {
    type Spoil = fn(&Cloud, &str);
    let spoils: [Spoil; 3] = [
        |cloud, _| cloud.aws.hide_rules(3),
        |cloud, group| {
            let words = format!("The security group '{group}' does not exist");
            cloud.aws.fault(On::action("RevokeSecurityGroupIngress").times(1), Fault::answer(400, "InvalidGroup.NotFound", &words));
        },
        |cloud, group| {
            let words = format!("The security group '{group}' does not exist");
            cloud.aws.hide_rules(3);
            cloud.aws.fault(On::action("DescribeSecurityGroups").times(1), Fault::answer(400, "InvalidGroup.NotFound", &words));
        },
    ];
    for spoil in spoils {
        let (cloud, group, block) = bench(&["10.0.0.1"]);
        cloud.settle(&[&block]);
        spoil(&cloud, &group);
        run(&cloud, &["destroy", "-refresh=false"]).ok().unwrap();
        assert!(cloud.aws.rules(&group).is_empty());
    }
}

#[test]
fn what_a_killed_update_was_about_to_leave_is_left_by_the_next() {
    let (cloud, group, before) = bench(&["10.0.0.1", "10.0.0.2"]);
    cloud.settle(&[&before]);
    let after = block(&group, &["10.0.0.2"]);
    cloud.write(&[&after]);
    // The first call of revocation only tries; the second is the last of the run.
    let held = cloud.aws.pause_before(On::action("RevokeSecurityGroupIngress").skip(1));
    cloud.kill_at(&held);
    held.cut();
    assert_eq!(peers(&cloud, &group).len(), 2);
    assert_eq!(cloud.plans(ADDRESS), ["update"]);
    cloud.settle(&[&after]);
    assert_eq!(peers(&cloud, &group), ["10.0.0.2/32"]);
}

#[test]
fn tags_follow_the_provider_and_the_entry() {
    let (mut cloud, group, block) = bench(&["10.0.0.1"]);
    let tags = |cloud: &Cloud| cloud.aws.rules(&group).remove(0).tags;
    cloud.arguments = "default_tags = { team = \"data\", stage = \"dev\" }".to_owned();
    cloud.settle(&[&block]);
    cloud.arguments = "default_tags = { team = \"platform\" }".to_owned();
    cloud.settle(&[&block]);
    assert_eq!((tags(&cloud)["team"].as_str(), tags(&cloud).contains_key("stage")), ("platform", false));
    cloud.settle(&[&block.clone().set("ingress", "{ renamed = { port = 22, peers = [\"10.0.0.1\"] } }")]);
    assert_eq!(tags(&cloud)["Name"], "ingress/renamed");
    assert_eq!(cloud.aws.rules(&group)[0].description.as_deref(), Some("renamed"));
}

#[test]
fn what_is_given_twice_counts_once() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    let subnet = cloud.aws.make_subnet("10.0.7.0/24").unwrap();
    let ingress = format!(
        "{{ a = {{ port = 22, peers = [{subnet:?}, \"10.0.0.1\", \"10.0.0.1/32\"], description = \"one\" }}, \
            b = {{ port = 22, peers = [\"10.0.7.0/24\", \"10.0.0.1\"], description = \"two\" }} }}"
    );
    let said = cloud.apply(&[&block.clone().set("ingress", ingress)]).ok().unwrap();
    assert_says(&said, &["A peer is given twice", "A rule is given twice", "is in \"a\" and in \"b\""]);
    cloud.settled();
    let rules = cloud.aws.rules(&group);
    assert_eq!(rules.len(), 2);
    assert!(rules.iter().all(|rule| rule.description.as_deref() == Some("one")));
}

#[test]
fn one_subnet_that_is_gone_does_not_hide_the_others() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    let subnet = cloud.aws.make_subnet("10.0.7.0/24").unwrap();
    cloud.settle(&[&block.clone().set("ingress", ssh(&[&subnet]))]);
    let state = std::fs::read_to_string(cloud.terraform.work().join("terraform.tfstate")).unwrap();
    // As if a second one had been there and was deleted.
    let gone = "subnet-0123456789abcdef0";
    cloud.terraform.write("terraform.tfstate", &state.replace(&quote(&subnet), &format!("{}, {}", quote(&subnet), quote(gone)))).unwrap();
    cloud.settled();
    assert_eq!(peers(&cloud, &group), ["10.0.7.0/24"]);
}

#[test]
fn a_group_of_another_account_is_a_peer_and_the_own_account_may_be_named() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    let own = cloud.aws.make_group("database", &cloud.aws.vpc_of(&group).unwrap()).unwrap();
    cloud.aws.peer_with("210987654321", "sg-0a1b2c3d4e5f60718");
    let there = format!("{}/{own}", cloud.aws.account_id());
    cloud.settle(&[&block.clone().set("ingress", ssh(&["210987654321/sg-0a1b2c3d4e5f60718", &there]))]);
    let mut expected = ["210987654321/sg-0a1b2c3d4e5f60718".to_owned(), own.clone()];
    expected.sort();
    assert_eq!(peers(&cloud, &group), expected);
    let held = cloud.attributes(ADDRESS)["rules"]["ingress/neosync"].to_string();
    assert!(held.contains("\"210987654321/sg-0a1b2c3d4e5f60718\""), "{held}");
    cloud.write(&[&block.set("ingress", ssh(&["210987654321/sg-0a1b2c3d4e5f60718", &own]))]);
    cloud.settled();
    cloud.settle(&[]);
}

#[test]
fn a_full_group_keeps_kept_peers() {
    let (cloud, group, block) = bench(&["10.0.0.9"]);
    cloud.aws.quota(1);
    cloud.settle(&[&block.clone().set("ingress", "{ a = { from_port = 20, to_port = 25, peers = [\"10.0.0.9\"] } }")]);
    cloud.aws.forget_rules();
    let said = cloud.apply(&[&block.clone().set("ingress", ssh(&["10.0.0.1", "10.0.0.9"]))]).failed().unwrap();
    assert_says(&said, &["rules/quota", "the change needs room for 1 more"]);
    never_out(&cloud, &group, &["10.0.0.9/32"]);
}

#[test]
fn closing_the_way_to_s3_is_said() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    let open = block.clone().set("egress", "{ key_sync = { port = 443, peers = [\"0.0.0.0/0\"] } }");
    cloud.settle(&[&open]);
    cloud.write(&[&block]);
    let said = cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert_says(&said, &["The bastion cannot reach S3", "deletes every login"]);
    let said = cloud.apply(&[]).ok().unwrap();
    assert_says(&said, &["The bastion cannot reach S3", "deletes every login"]);
    // Whoever's rule lets it out, all is well.
    cloud.aws.allow(&group, &Allow::tcp(Direction::Egress, 443, "0.0.0.0/0")).unwrap();
    let open = open.set("egress", "{ key_sync = { port = 443, peers = [\"10.0.0.0/8\"] } }");
    let other = block.clone().set("egress", "{ postgres = { port = 5432, peers = [\"10.0.0.0/8\"] } }");
    for blocks in [vec![&open], vec![&other], vec![&open], vec![]] {
        let said = cloud.apply(&blocks).ok().unwrap();
        assert!(!said.contains("reach S3"), "{said}");
    }
    // Nobody has looked at the group that a create is planned for.
    assert_says(&cloud.apply(&[&other]).ok().unwrap(), &["The bastion may not reach S3", "Where another rule of the group lets it out"]);
}

#[test]
fn one_listing_serves_all_resources_of_a_group() {
    let (cloud, _, block) = bench(&["10.0.0.1"]);
    let blocks: Vec<Block> =
        (0..8).map(|number| block.clone().named(&format!("it{number}")).set("ingress", ssh(&[&format!("10.0.{number}.1")]))).collect();
    cloud.apply(&blocks.iter().collect::<Vec<_>>()).ok().unwrap();
    cloud.aws.forget_calls();
    cloud.settled();
    assert_eq!(cloud.aws.count("DescribeSecurityGroupRules"), 1);
}

#[test]
fn who_comes_while_another_process_leaves_has_the_rule_in_the_end() {
    // The one who leaves is held before it looks who is there, and before it removes what it saw nobody at.
    for moment in [On::action("DescribeSecurityGroupRules").skip(2), On::action("RevokeSecurityGroupIngress")] {
        let (cloud, group, block) = bench(&["10.0.0.1"]);
        cloud.settle(&[&block]);
        let other = second_state(&cloud);
        write_second(&cloud, &other, &[&block]);
        cloud.aws.forget_calls();
        let pause = cloud.aws.pause_before(moment);
        std::thread::scope(|scope| {
            let leaves = scope.spawn(|| run(&cloud, &["destroy", "-refresh=false"]).ok().unwrap());
            pause.wait(Duration::from_secs(30)).unwrap();
            let comes = scope.spawn(|| other.apply().unwrap().ok().unwrap());
            lab::wait_until("the mark", Duration::from_secs(30), || cloud.aws.count("CreateTags") == 2).unwrap();
            pause.release();
            leaves.join().unwrap();
            comes.join().unwrap();
        });
        assert_eq!(peers(&cloud, &group), ["10.0.0.1/32"]);
        assert_eq!(marks(&cloud, &group, "10.0.0.1/32").len(), 1);
        assert!(other.settled().unwrap());
    }
}

#[test]
fn rules_whose_marks_somebody_took_away_are_marked_again_or_left_and_said() {
    let (cloud, group, block) = bench(&["10.0.0.1", "10.0.0.2"]);
    let other = second_state(&cloud);
    cloud.settle(&[&block]);
    write_second(&cloud, &other, &[&block]);
    other.apply().unwrap().ok().unwrap();
    let strip = || {
        for rule in cloud.aws.rules(&group) {
            for key in rule.tags.keys().filter(|key| key.starts_with("bastion-owner/")) {
                cloud.aws.untag_rule(&rule.id, key).unwrap();
            }
        }
    };
    strip();
    let said = cloud.apply(&[&block.clone().set("ingress", ssh(&["10.0.0.1", "10.0.0.3"]))]).ok().unwrap();
    assert_says(&said, &["Rules stay, because their marks are gone", "10.0.0.2/32"]);
    assert_eq!(marks(&cloud, &group, "10.0.0.1/32").len(), 1, "what is wanted is marked again");
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"]);
    strip();
    let said = cloud.apply(&[]).ok().unwrap();
    assert_says(&said, &["do not bear this resource's mark", "remove those by hand", "10.0.0.3/32"]);
    assert!(other.settled().unwrap(), "the other state has lost nothing");
}

#[test]
fn who_uses_the_name_of_another_owner_is_told_what_was_taken_over() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    let other = second_state(&cloud);
    let block = block.text("owner", "same/name");
    cloud.settle(&[&block]);
    write_second(&cloud, &other, &[&block]);
    let said = other.apply().unwrap().ok().unwrap();
    assert_says(&said, &["Rules of the same owner were taken over", "give one of them a name of its own", "10.0.0.1/32"]);
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32"]);
}
