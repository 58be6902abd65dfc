//! A rule that passes from one resource to another is described as its new user wants it, and what is changed on it behind Terraform's back shows.

use lab::{Fault, Rule};

use crate::cloud::Cloud;
use crate::security_group_owners::{never_out, second_state, write_second};
use crate::security_group_rules::{ADDRESS, bench, calls, peers, ssh};
use crate::support::{Block, assert_says};

const PEER: &str = "10.0.0.1/32";

fn only(cloud: &Cloud, group: &str) -> Rule {
    let [rule] = cloud.aws.rules(group).try_into().unwrap_or_else(|rules| panic!("one rule: {rules:?}"));
    rule
}

/// Description, `Name` and the default tag `team` of the one rule there is.
fn described(cloud: &Cloud, group: &str) -> [String; 3] {
    let Rule { description, tags, .. } = only(cloud, group);
    [description.unwrap_or_default(), tags["Name"].clone(), tags.get("team").cloned().unwrap_or_default()]
}

fn entry(name: &str, more: &str) -> String {
    format!("{{ {name} = {{ port = 22, peers = [\"10.0.0.1\"]{more} }} }}")
}

#[test]
fn who_is_left_a_rule_in_the_same_run_describes_it() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    let made = |name: &str, ingress: &str| block.clone().named(name).set("ingress", ingress);
    cloud.settle(&[&block]);
    let id = only(&cloud, &group).id;
    cloud.aws.forget_rules();
    // The resource is renamed, and its entry too: with a description of its own, and without one.
    for (name, ingress, expected) in [
        ("renamed", entry("other", ", description = \"mine\""), ["mine", "ingress/other", ""]),
        ("again", entry("third", ""), ["third", "ingress/third", ""]),
    ] {
        let said = cloud.apply(&[&made(name, &ingress)]).ok().unwrap();
        assert!(said.contains("1 added, 0 changed, 1 destroyed"), "{said}");
        assert_eq!((described(&cloud, &group), only(&cloud, &group).id), (expected.map(ToOwned::to_owned), id.clone()));
        cloud.settled();
    }
    never_out(&cloud, &group, &[PEER]);
    // However many rules there are, it is one call for the tags and one for the descriptions.
    let many: Vec<String> = (0..100).map(|number| format!("10.0.1.{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    cloud.aws.quota(200);
    cloud.settle(&[&made("again", &ssh(&many))]);
    cloud.aws.forget_calls();
    cloud.apply(&[&made("last", &ssh(&many).replace("neosync", "other"))]).ok().unwrap();
    assert_eq!(cloud.aws.count("ModifySecurityGroupRules"), 1);
    // The mark of the one who comes, of the one who leaves, and the name.
    assert_eq!(cloud.aws.count("CreateTags"), 3);
    cloud.settled();
}

#[test]
fn who_is_left_a_rule_by_another_state_describes_it_with_the_next_apply() {
    let (mut cloud, group, block) = bench(&["10.0.0.1"]);
    cloud.arguments = "default_tags = { team = \"data\" }".to_owned();
    let other = second_state(&cloud);
    write_second(&cloud, &other, &[&block.clone().set("ingress", entry("theirs", ""))]);
    other.apply().unwrap().ok().unwrap();
    cloud.settle(&[&block]);
    assert_eq!(described(&cloud, &group), ["theirs", "ingress/theirs", ""].map(ToOwned::to_owned), "what is shared is not altered");
    write_second(&cloud, &other, &[]);
    other.apply().unwrap().ok().unwrap();
    cloud.aws.forget_rules();
    let plan = cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert_says(&plan, &["- description = \"theirs\" -> null", "- \"Name\" = \"ingress/theirs\" -> null", "+ \"team\" = \"data\""]);
    cloud.settle(&[&block]);
    assert_eq!(described(&cloud, &group), ["neosync", "ingress/neosync", "data"].map(ToOwned::to_owned));
    never_out(&cloud, &group, &[PEER]);
}

#[test]
fn tags_that_somebody_changed_show_and_heal() {
    let (mut cloud, group, block) = bench(&["10.0.0.1", "10.0.0.2"]);
    cloud.arguments = "default_tags = { team = \"data\", stage = \"dev\" }".to_owned();
    cloud.settle(&[&block]);
    let [first, second] = [0, 1].map(|at| cloud.aws.rules(&group)[at].id.clone());
    let before = cloud.aws.rules(&group);
    cloud.aws.tag_rule(&first, "team", "other").unwrap();
    cloud.aws.untag_rule(&second, "stage").unwrap();
    cloud.aws.tag_rule(&second, "Name", "mine").unwrap();
    let plan = cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert_says(&plan, &["\"other\" -> \"data\"", "+ \"stage\" = \"dev\"", "= \"mine\" -> null", "0 to add, 1 to change"]);
    // Seen by two refreshes, it still shows.
    cloud.terraform.run(&["apply", "-refresh-only", "-auto-approve", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert_eq!(cloud.plans(ADDRESS), ["update"]);
    cloud.aws.forget_calls();
    cloud.settle(&[&block]);
    assert_eq!(cloud.aws.rules(&group), before);
    let changes: Vec<_> = calls(&cloud).into_iter().filter(|call| !call.starts_with("Describe")).collect();
    assert!(changes.iter().all(|call| call == "CreateTags"), "{changes:?}");
    for gone in ["managed-by", "Name"] {
        cloud.aws.untag_rule(&first, gone).unwrap();
        assert_eq!(cloud.plans(ADDRESS), ["update"], "{gone}");
        cloud.settle(&[&block]);
        assert_eq!(cloud.aws.rules(&group), before);
    }
    cloud.aws.tag_rule(&first, "somebody", "else").unwrap();
    cloud.settled();
}

#[test]
fn a_replacement_that_another_resource_triggers_keeps_the_rules() {
    for owner in [None, Some("neosync/prod")] {
        let (cloud, group, block) = bench(&["10.0.0.1", "10.0.0.2"]);
        let trigger = |value: &str| Block::new("terraform_data", "trigger").text("input", value);
        let block = owner.map_or(block.clone(), |owner| block.text("owner", owner));
        let block = block.raw("lifecycle {\n    create_before_destroy = true\n    replace_triggered_by = [terraform_data.trigger]\n  }");
        cloud.settle(&[&block, &trigger("a")]);
        let ids = |cloud: &Cloud| cloud.aws.rules(&group).into_iter().map(|rule| rule.id).collect::<Vec<_>>();
        let before = ids(&cloud);
        cloud.aws.forget_rules();
        let said = cloud.apply(&[&block, &trigger("b")]).ok().unwrap();
        assert!(said.contains("1 added, 1 changed, 1 destroyed"), "{said}");
        assert!(!said.contains("Rules stay"), "a replacement is nothing to warn of: {said}");
        cloud.settled();
        assert_eq!(ids(&cloud), before, "{owner:?}");
        // Other peers at the same time: the older object's are removed with it.
        cloud.settle(&[&block.clone().set("ingress", ssh(&["10.0.0.2", "10.0.0.3"])), &trigger("c")]);
        never_out(&cloud, &group, &["10.0.0.2/32"]);
        assert_eq!(peers(&cloud, &group), ["10.0.0.2/32", "10.0.0.3/32"], "{owner:?}");
        cloud.settle(&[]);
        assert!(cloud.aws.rules(&group).is_empty());
    }
}

#[test]
fn a_listing_that_never_ends_is_an_error() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    cloud.settle(&[&block]);
    cloud.aws.forget_calls();
    let page = "<DescribeSecurityGroupRulesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><securityGroupRuleSet/>\
                <nextToken>again</nextToken></DescribeSecurityGroupRulesResponse>";
    cloud.aws.fault("DescribeSecurityGroupRules", Fault::Text(page.to_owned()));
    for arguments in [["plan", "-refresh=true"], ["destroy", "-refresh=false"]] {
        let said = cloud
            .terraform
            .run(&[&arguments[..], if arguments[0] == "plan" { &[] } else { &["-auto-approve"] }, &["-no-color", "-input=false"]].concat());
        assert_says(&said.unwrap().failed().unwrap(), &["The list of the group's rules does not end", "rules/endless"]);
    }
    assert!(cloud.aws.count("DescribeSecurityGroupRules") <= 100, "{}", cloud.aws.count("DescribeSecurityGroupRules"));
    cloud.aws.heal();
    cloud.settled();
    assert_eq!(peers(&cloud, &group), [PEER]);
}
