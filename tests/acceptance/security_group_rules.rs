//! Rules of a security group: made, changed and removed without a gap, and never one of somebody else's.

use lab::{Allow, Direction, Fault, On, Rule};
use serde_json::Value;

use crate::cloud::Cloud;
use crate::support::{Block, assert_says};

pub const ADDRESS: &str = "bastion_security_group_rules.it";

/// A group without rules, and a resource for it with SSH from these peers.
pub fn bench(peers: &[&str]) -> (Cloud, String, Block) {
    let cloud = Cloud::new();
    let group = cloud.aws.make_vpc_group("bastion").unwrap();
    let block = block(&group, peers);
    (cloud, group, block)
}

pub fn block(group: &str, peers: &[&str]) -> Block {
    Block::new("bastion_security_group_rules", "it").text("security_group_id", group).set("ingress", ssh(peers))
}

/// `{ neosync = { port = 22, peers = […] } }`
pub fn ssh(peers: &[&str]) -> String {
    format!("{{ neosync = {{ port = 22, peers = {peers:?} }} }}")
}

pub fn peers(cloud: &Cloud, group: &str) -> Vec<String> {
    let mut peers: Vec<_> = cloud.aws.rules(group).into_iter().map(|rule| rule.peer).collect();
    peers.sort();
    peers
}

fn rule(cloud: &Cloud, group: &str, peer: &str) -> Rule {
    cloud.aws.rules(group).into_iter().find(|rule| rule.peer == peer).unwrap_or_else(|| panic!("no rule for {peer}"))
}

/// The calls since the log was emptied.
pub fn calls(cloud: &Cloud) -> Vec<String> {
    cloud.aws.calls().into_iter().map(|call| call.action).collect()
}

/// The calls of one apply, without those of the refresh before it.
fn calls_of_apply(cloud: &Cloud, block: &Block) -> Vec<String> {
    cloud.write(&[block]);
    cloud.terraform.run(&["plan", "-out=it.plan", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    cloud.aws.forget_calls();
    cloud.terraform.run(&["apply", "-no-color", "-input=false", "it.plan"]).unwrap().ok().unwrap();
    calls(cloud)
}

#[test]
fn one_call_an_entry_makes_tagged_rules_and_the_second_plan_is_empty() {
    let (mut cloud, group, block) = bench(&["54.69.79.83", "10.0.0.0/8", "2001:db8::1"]);
    cloud.arguments = "default_tags = { team = \"data\" }".to_owned();
    let other = cloud.aws.make_group("database", &cloud.aws.vpc_of(&group).unwrap()).unwrap();
    let subnet = cloud.aws.make_subnet_in(&cloud.aws.vpc_of(&group).unwrap(), "10.0.7.0/24").unwrap();
    let list = cloud.aws.amazons_prefix_list("s3").unwrap();
    let egress = format!(
        "{{ postgres = {{ from_port = 5432, to_port = 5433, peers = [{subnet:?}, {other:?}], description = \"to the database\" }},\n\
           key_sync = {{ port = 443, protocol = \"TCP\", peers = [{list:?}] }}, ping = {{ protocol = \"icmp\", peers = [\"0.0.0.0/0\"] }} }}"
    );
    let block = block.set("egress", egress);
    let made = calls_of_apply(&cloud, &block);
    let each = ["DescribeSecurityGroupRules", "DescribeSubnets", "AuthorizeSecurityGroupIngress"];
    assert_eq!(made, [&each[..], &["AuthorizeSecurityGroupEgress"; 3]].concat(), "one call for each entry, to give its rules its name");
    cloud.settled();
    let all = cloud.aws.rules(&group);
    assert_eq!(all.len(), 7);
    let owner = cloud.attributes(ADDRESS)["owner"].as_str().unwrap().to_owned();
    let claim = cloud.attributes(ADDRESS)["claim_id"].as_str().unwrap().to_owned();
    for rule in &all {
        assert_eq!(rule.tags["managed-by"], "terraform-provider-bastion");
        let mark = rule.tags[&format!("bastion-owner/{owner}")].as_str();
        assert_eq!((mark, rule.tags["team"].as_str(), rule.tags.len()), (claim.as_str(), "data", 4));
    }
    assert_eq!(rule(&cloud, &group, "54.69.79.83/32").tags["Name"], "ingress/neosync");
    assert_eq!(rule(&cloud, &group, &list).tags["Name"], "egress/key_sync");
    let database = rule(&cloud, &group, "10.0.7.0/24");
    assert_eq!((database.from_port, database.to_port, database.description.as_deref()), (5432, 5433, Some("to the database")));
    let rules = &cloud.attributes(ADDRESS)["rules"];
    let told: Vec<_> = rules["ingress/neosync"].as_array().unwrap().iter().map(|rule| rule["peer"].as_str().unwrap()).collect();
    assert_eq!(told, ["10.0.0.0/8", "54.69.79.83/32", "2001:db8::1/128"]);
    assert_eq!(rules["egress/postgres"][0]["rule_id"], database.id);
    cloud.settle(&[]);
    assert!(cloud.aws.rules(&group).is_empty());
}

#[test]
fn another_order_and_another_spelling_are_no_change() {
    let (cloud, _, block) = bench(&["10.0.0.1", "10.0.0.2/32", "2001:db8::1"]);
    cloud.settle(&[&block]);
    let respelled = "{ neosync = { port = 22, peers = [\"2001:DB8:0::1/128\", \"10.0.0.2\", \"10.0.0.1/32\"] } }";
    cloud.write(&[&block.clone().set("ingress", respelled)]);
    cloud.settled();
    let range = "{ neosync = { from_port = 22, to_port = 22, protocol = \"TCP\", peers = [\"10.0.0.1\", \"10.0.0.2\", \"2001:db8::1\"] } }";
    let made = calls_of_apply(&cloud, &block.set("ingress", range));
    assert_eq!(made, ["DescribeSecurityGroupRules"], "the same rules in other arguments");
    cloud.settled();
}

#[test]
fn every_argument_is_updated_in_place_within_the_budget() {
    let (cloud, group, block) = bench(&["10.0.0.1", "10.0.0.2"]);
    cloud.settle(&[&block]);
    let kept = rule(&cloud, &group, "10.0.0.2/32");
    // The mark of leaving, a trial, and at the end of the run a look and the removal itself.
    const REMOVAL: [&str; 4] = ["CreateTags", "Revoke", "Describe", "Revoke"];
    let changes: [(&str, &[&str]); 6] = [
        // Peers.
        ("{ neosync = { port = 22, peers = [\"10.0.0.2\", \"10.0.0.3\"] } }", &[&["Authorize"], &REMOVAL[..]].concat()),
        // The description alone.
        ("{ neosync = { port = 22, peers = [\"10.0.0.2\", \"10.0.0.3\"], description = \"x\" } }", &["Modify"]),
        ("{ neosync = { port = 22, peers = [\"10.0.0.2\", \"10.0.0.3\"] } }", &["Modify"]),
        // The name alone.
        ("{ renamed = { port = 22, peers = [\"10.0.0.2\", \"10.0.0.3\"] } }", &["CreateTags", "Modify"]),
        // A second entry takes one over.
        ("{ renamed = { port = 22, peers = [\"10.0.0.2\"] }, other = { port = 22, peers = [\"10.0.0.3\"] } }", &["CreateTags", "Modify"]),
        // An entry goes.
        ("{ renamed = { port = 22, peers = [\"10.0.0.2\"] } }", &REMOVAL),
    ];
    for (ingress, expected) in changes {
        let mut made = calls_of_apply(&cloud, &block.clone().set("ingress", ingress));
        assert_eq!(made.remove(0), "DescribeSecurityGroupRules");
        let fits = made.len() == expected.len() && made.iter().zip(expected).all(|(call, action)| call.starts_with(action));
        assert!(fits, "{ingress}: {made:?}");
        cloud.settled();
        assert_eq!(rule(&cloud, &group, "10.0.0.2/32").id, kept.id, "a rule that stays is never made anew");
    }
    let ports = "{ renamed = { port = 2222, protocol = \"udp\", peers = [\"10.0.0.2\"] } }";
    cloud.settle(&[&block.clone().set("ingress", ports)]);
    let all = cloud.aws.rules(&group);
    assert_eq!((all.len(), all[0].protocol.as_str(), all[0].from_port), (1, "udp", 2222));
    let second = cloud.aws.make_vpc_group("second").unwrap();
    cloud.write(&[&block.clone().text("security_group_id", &second)]);
    assert_eq!(cloud.plans(ADDRESS), ["delete", "create"]);
    let first_made = block.text("security_group_id", &second).raw("lifecycle { create_before_destroy = true }");
    cloud.settle(&[&first_made]);
    assert_eq!((cloud.aws.rules(&group).len(), peers(&cloud, &second).len()), (0, 2));
}

#[test]
fn drift_shows_and_heals() {
    let (cloud, group, block) = bench(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    cloud.settle(&[&block]);
    let id = |peer: &str| rule(&cloud, &group, peer).id;
    cloud.aws.revoke(&id("10.0.0.1/32")).unwrap();
    cloud.aws.change(&id("10.0.0.2/32"), &Allow::tcp(Direction::Ingress, 22, "192.0.2.0/24")).unwrap();
    cloud.aws.change(&id("10.0.0.3/32"), &Allow::tcp(Direction::Ingress, 2222, "10.0.0.3/32")).unwrap();
    let foreign = cloud.aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, "198.51.100.0/24")).unwrap();
    assert_eq!(cloud.plans(ADDRESS), ["update"]);
    let shown = cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert_says(&shown, &["+ \"10.0.0.1\"", "+ \"10.0.0.2\"", "- \"192.0.2.0/24\"", "\"tcp-2222\" = {"]);
    cloud.settle(&[&block]);
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32", "198.51.100.0/24"]);
    assert!(cloud.aws.rules(&group).iter().any(|rule| rule.id == foreign), "somebody else's rule is not ours to see or remove");
    for rule in cloud.aws.rules(&group).iter().filter(|rule| rule.id != foreign) {
        cloud.aws.change(&rule.id, &Allow::tcp(Direction::Ingress, 22, &rule.peer).description("changed")).unwrap();
    }
    assert_eq!(cloud.plans(ADDRESS), ["update"]);
    cloud.settle(&[&block]);
    for rule in cloud.aws.rules(&group).iter().filter(|rule| rule.id != foreign) {
        cloud.aws.revoke(&rule.id).unwrap();
    }
    assert_eq!(cloud.plans(ADDRESS), ["update"], "a group without our rules is still the group");
    cloud.settle(&[&block]);
    assert_eq!(peers(&cloud, &group).len(), 4);
}

#[test]
fn a_rule_of_somebody_elses_serves_and_stays_as_it_is() {
    let (cloud, group, block) = bench(&["10.0.0.1", "10.0.0.2"]);
    let theirs = Allow::tcp(Direction::Ingress, 22, "10.0.0.1/32").description("theirs");
    let foreign = cloud.aws.allow(&group, &theirs).unwrap();
    cloud.settle(&[&block]);
    let rules = &cloud.attributes(ADDRESS)["rules"]["ingress/neosync"];
    assert_eq!(
        (&rules[0]["rule_id"], &rules[0]["owned"], &rules[1]["owned"]),
        (&Value::from(foreign.as_str()), &Value::from(false), &Value::from(true))
    );
    let untouched = |cloud: &Cloud| {
        let rule = rule(cloud, &group, "10.0.0.1/32");
        assert_eq!((rule.id.as_str(), rule.description.as_deref(), rule.tags.len()), (foreign.as_str(), Some("theirs"), 0));
    };
    cloud.settle(&[&block
        .clone()
        .set("ingress", "{ neosync = { port = 22, peers = [\"10.0.0.1\", \"10.0.0.2\"], description = \"ours\" } }")]);
    untouched(&cloud);
    cloud.settle(&[&block.clone().set("ingress", ssh(&["10.0.0.2"]))]);
    untouched(&cloud);
    cloud.settle(&[&block]);
    cloud.settle(&[]);
    untouched(&cloud);
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32"]);
}

#[test]
fn two_resources_share_a_group() {
    let (cloud, group, one) = bench(&["10.0.0.1", "10.0.0.2"]);
    let other = one.clone().named("other").set("ingress", ssh(&["10.0.0.2", "10.0.0.3"]));
    cloud.apply(&[&one, &other]).ok().unwrap();
    cloud.settled();
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"]);
    cloud.apply(&[&one]).ok().unwrap();
    cloud.settled();
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32", "10.0.0.2/32"]);
}

#[test]
fn a_renamed_resource_hands_its_rules_over() {
    let (cloud, group, block) = bench(&["10.0.0.1", "10.0.0.2"]);
    cloud.settle(&[&block]);
    // The new one is made and the old one removed at the same time, in any order.
    cloud.settle(&[&block.clone().named("renamed")]);
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32", "10.0.0.2/32"]);
    let ids = || cloud.aws.rules(&group).into_iter().map(|rule| rule.id).collect::<Vec<_>>();
    let before = ids();
    cloud.write(&[&block.raw("lifecycle { create_before_destroy = true }").named("renamed")]);
    let replace = ["apply", "-replace=bastion_security_group_rules.renamed", "-auto-approve", "-no-color", "-input=false"];
    cloud.terraform.run(&replace).unwrap().ok().unwrap();
    assert_eq!(ids(), before, "who comes first takes over what the other would remove");
    cloud.settled();
    cloud.settle(&[]);
    assert!(ids().is_empty());
}

#[test]
fn what_only_apply_knows_is_judged_then_and_before_any_call() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    let late = |text: &str| Block::new("terraform_data", "late").text("input", text);
    let peers_of = |text: &str| format!("{{ neosync = {{ port = 22, peers = [\"10.0.0.1\", {text}] }} }}");
    let unknown = block.clone().set("security_group_id", "terraform_data.late.output").set("ingress", peers_of("\"10.0.0.2\""));
    cloud.settle(&[&late(&group), &unknown]);
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32", "10.0.0.2/32"]);
    cloud.settle(&[]);
    let block = block.set("ingress", peers_of("terraform_data.late.output"));
    cloud.aws.forget_calls();
    let said = cloud.apply(&[&late("10.1.2.3/8"), &block]).failed().unwrap();
    assert_says(&said, &["A peer cannot be used", "write 10.0.0.0/8"]);
    assert!(calls(&cloud).is_empty());
    cloud.settle(&[&late("10.0.0.0/8"), &block]);
    assert_eq!(peers(&cloud, &group), ["10.0.0.0/8", "10.0.0.1/32"]);
}

#[test]
fn import_takes_over_and_the_next_plan_is_empty() {
    let (cloud, group, block) = bench(&["10.0.0.1", "10.0.0.0/8"]);
    let foreign = cloud.aws.allow(&group, &Allow::all(Direction::Egress, "0.0.0.0/0")).unwrap();
    let two = "{ sync = { port = 443, peers = [\"0.0.0.0/0\"] }, postgres = { port = 5432, peers = [\"10.0.0.0/8\"] } }";
    let with_egress = block.clone().set("egress", two);
    cloud.settle(&[&with_egress]);
    std::fs::remove_file(cloud.terraform.work().join("terraform.tfstate")).unwrap();
    let import = || cloud.terraform.run(&["import", "-no-color", "-input=false", ADDRESS, &group]).unwrap();
    let said = import().ok().unwrap();
    assert_says(&said, &["Rules were taken over", "2 ingress and 2 egress rules"]);
    cloud.settled();
    cloud.settle(&[]);
    assert_eq!(cloud.aws.rules(&group)[0].id, foreign, "a rule without the mark is not taken over beside some that have it");
    // A group that somebody made by hand: its egress rules are not taken over.
    cloud.aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, "10.0.0.1/32").description("by hand")).unwrap();
    cloud.aws.allow(&group, &Allow::tcp(Direction::Ingress, 8000, "10.0.0.2/32").ports(8000, 8080)).unwrap();
    let by_hand = block.set(
        "ingress",
        "{ tcp-22 = { port = 22, peers = [\"10.0.0.1\"], description = \"by hand\" }, \
               tcp-8000-8080 = { from_port = 8000, to_port = 8080, peers = [\"10.0.0.2/32\"] } }",
    );
    cloud.write(&[&by_hand]);
    import().ok().unwrap();
    cloud.settled();
    cloud.settle(&[]);
    assert_eq!(peers(&cloud, &group), ["0.0.0.0/0"]);
}

#[test]
fn an_import_of_nothing_says_so() {
    let (cloud, _, block) = bench(&["10.0.0.1"]);
    cloud.write(&[&block]);
    let import = |id: &str| cloud.terraform.run(&["import", "-no-color", "-input=false", ADDRESS, id]).unwrap().failed().unwrap();
    assert_says(&import("sg-0123456789abcdef0"), &["The security group does not exist"]);
    assert_says(&import("bastion"), &["The import id is not a security group"]);
}

#[test]
fn two_hundred_addresses_are_one_call() {
    let peers: Vec<String> = (0..200).map(|number| format!("10.1.{}.1", number)).collect();
    let texts: Vec<&str> = peers.iter().map(String::as_str).collect();
    let (cloud, group, block) = bench(&texts);
    cloud.aws.quota(200);
    let made = calls_of_apply(&cloud, &block);
    assert_eq!(made, ["DescribeSecurityGroupRules", "AuthorizeSecurityGroupIngress"]);
    cloud.settled();
    assert_eq!(cloud.aws.rules(&group).len(), 200);
}

#[test]
fn a_group_that_is_gone_is_an_error_of_a_plan_and_no_obstacle_to_destroy() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    cloud.settle(&[&block]);
    let gone = Fault::answer(400, "InvalidGroup.NotFound", &format!("The security group '{group}' does not exist"));
    cloud.aws.revoke(&rule(&cloud, &group, "10.0.0.1/32").id).unwrap();
    // An empty list is believed only of a group that exists, and that it does not exist only of an answer that stays the same.
    cloud.aws.fault(On::action("DescribeSecurityGroups").times(1), gone.clone());
    assert_eq!(cloud.plans(ADDRESS), ["update"]);
    cloud.aws.fault("DescribeSecurityGroups", gone);
    let plan = || cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().failed().unwrap();
    assert_says(&plan(), &["The security group is not found", "terraform state rm", "rules/group-lost"]);
    let destroy = ["destroy", "-refresh=false", "-auto-approve", "-no-color", "-input=false"];
    let said = cloud.terraform.run(&destroy).unwrap().ok().unwrap();
    assert_says(&said, &["The security group does not exist", cloud.aws.region(), cloud.aws.account_id()]);
    cloud.aws.heal();
    cloud.settle(&[&block]);
    cloud.aws.fault(
        "DescribeSecurityGroupRules",
        Fault::answer(403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
    );
    assert_says(&plan(), &["AWS denies a change of the security group's rules", "ec2:DescribeSecurityGroupRules"]);
    cloud.aws.heal();
    assert!(cloud.attributes(ADDRESS)["id"] == group, "a failed read keeps the state");
    cloud.settle(&[]);
}

#[test]
fn a_throttled_account_converges() {
    let (mut cloud, group, block) = bench(&["10.0.0.1"]);
    cloud.arguments = "max_retries = 25".to_owned();
    let blocks: Vec<Block> = (0..20)
        .map(|number| {
            block.clone().named(&format!("it{number}")).set("ingress", ssh(&[&format!("10.0.{number}.1"), &format!("10.0.{number}.2")]))
        })
        .collect();
    cloud.aws.fault(On::any().chance(0.3, 7), Fault::throttle());
    cloud.apply(&blocks.iter().collect::<Vec<_>>()).ok().unwrap();
    cloud.aws.heal();
    cloud.settled();
    assert_eq!(peers(&cloud, &group).len(), 40);
}
