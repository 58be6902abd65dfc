//! Rules of a security group when something goes wrong: races, lost answers, no head-room, kill -9 between any two calls.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::{Allow, Direction, Fault, On, Pause};

use crate::cloud::Cloud;
use crate::security_group_rules::{ADDRESS, bench, block, calls, peers, ssh};
use crate::support::{Block, assert_says};

/// How long terraform may take to come to a call.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs an apply and looks at the group after each of its calls.
fn watched(cloud: &Cloud, group: &str, mut look: impl FnMut(&BTreeSet<String>)) {
    std::thread::scope(|scope| {
        let mut pause = cloud.aws.pause_after(On::any());
        let apply = scope.spawn(|| cloud.terraform.apply().unwrap().ok().unwrap());
        while !apply.is_finished() {
            if pause.wait(Duration::from_millis(20)).is_ok() {
                // The next call is held before this one may go on, so none slips through.
                let next = cloud.aws.pause_after(On::any());
                look(&peers(cloud, group).into_iter().collect());
                pause.release();
                pause = next;
            }
        }
        apply.join().unwrap();
    });
}

#[test]
fn thirty_random_changes_lock_nobody_out() {
    let (cloud, group, _) = bench(&["10.0.0.1"]);
    // A linear congruential generator (Knuth's MMIX): the same thirty changes in every run.
    let mut seed: u64 = 3;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut before: BTreeSet<String> = BTreeSet::new();
    let (mut looks, mut lockouts) = (0, 0);
    for round in 0..30 {
        let mut after: BTreeSet<String> = (0..6).filter(|_| random(2) == 0).map(|number| format!("10.0.0.{number}/32")).collect();
        after.insert(format!("10.0.1.{}/32", random(3)));
        let texts: Vec<&str> = after.iter().map(String::as_str).collect();
        cloud.write(&[&block(&group, &texts)]);
        cloud.aws.forget_calls();
        let both: Vec<&String> = before.intersection(&after).collect();
        watched(&cloud, &group, |there| {
            looks += 1;
            // Whoever may come in before and after may come in all the time; and somebody always may.
            let shut_out = !both.iter().all(|peer| there.contains(*peer)) || (round > 0 && there.is_empty());
            lockouts += usize::from(shut_out);
        });
        assert_eq!(peers(&cloud, &group), after.iter().cloned().collect::<Vec<_>>(), "round {round}");
        let count = |action: &str| cloud.aws.count(action);
        // One describe is the refresh's, one the last before something is removed; a removal is tried before it is made.
        assert!(count("DescribeSecurityGroupRules") <= 3 && count("CreateTags") <= 1, "{:?}", calls(&cloud));
        assert!(count("AuthorizeSecurityGroupIngress") <= 1 && count("RevokeSecurityGroupIngress") <= 2, "{:?}", calls(&cloud));
        before = after;
    }
    assert!(looks >= 60, "the group was looked at {looks} times only");
    assert_eq!(lockouts, 0);
}

const BEFORE: [&str; 2] = ["10.0.0.1", "10.0.0.2"];
const AFTER: [&str; 2] = ["10.0.0.2", "10.0.0.3"];

fn with_egress(block: Block) -> Block {
    block.set("egress", "{ sync = { port = 443, peers = [\"0.0.0.0/0\"] } }")
}

/// Applies once more, which must make the group exactly what is wanted; destroys, which must leave nothing.
fn converges(cloud: &Cloud, group: &str, block: &Block, wanted: &[&str]) {
    cloud.settle(&[block]);
    assert_eq!(peers(cloud, group), wanted);
    assert!(cloud.aws.rules(group).iter().all(|rule| rule.tags.keys().any(|key| key.starts_with("bastion-owner/"))));
    cloud.apply(&[]).ok().unwrap();
    assert!(cloud.aws.rules(group).is_empty(), "an orphan is left");
}

#[test]
fn a_create_killed_between_any_two_calls_is_taken_up() {
    type When = fn(&Cloud) -> Pause;
    let moments: [When; 5] = [
        |cloud| cloud.aws.pause_after("DescribeSecurityGroupRules"),
        |cloud| cloud.aws.pause_before("AuthorizeSecurityGroupIngress"),
        |cloud| cloud.aws.pause_after("AuthorizeSecurityGroupIngress"),
        |cloud| cloud.aws.pause_before("AuthorizeSecurityGroupEgress"),
        |cloud| cloud.aws.pause_after("AuthorizeSecurityGroupEgress"),
    ];
    let (cloud, group, block) = bench(&BEFORE);
    // With a name of its own, what the killed one has made is its successor's to remove, too.
    let block = with_egress(block).text("owner", "neosync/test");
    for moment in moments {
        cloud.write(&[&block]);
        cloud.kill_at(&moment(&cloud));
        assert!(!cloud.terraform.state().unwrap_or_default().contains(ADDRESS));
        converges(&cloud, &group, &block, &["0.0.0.0/0", "10.0.0.1/32", "10.0.0.2/32"]);
    }
}

#[test]
fn what_a_killed_create_of_a_drawn_owner_made_is_shared_and_named() {
    let (cloud, group, block) = bench(&BEFORE);
    cloud.write(&[&block]);
    cloud.kill_at(&cloud.aws.pause_after("AuthorizeSecurityGroupIngress"));
    cloud.settle(&[&block]);
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32", "10.0.0.2/32"], "no duplicate");
    let said = cloud.apply(&[]).ok().unwrap();
    assert_says(&said, &["Rules stay, because others use them", "10.0.0.1/32, owner"]);
}

#[test]
fn an_update_killed_between_any_two_calls_is_taken_up() {
    type When = fn(&Cloud) -> Pause;
    let moments: [When; 6] = [
        |cloud| cloud.aws.pause_before("AuthorizeSecurityGroupIngress"),
        |cloud| cloud.aws.pause_after("AuthorizeSecurityGroupIngress"),
        |cloud| cloud.aws.pause_before("RevokeSecurityGroupIngress"),
        |cloud| cloud.aws.pause_after("RevokeSecurityGroupIngress"),
        |cloud| cloud.aws.pause_before(On::action("RevokeSecurityGroupIngress").skip(1)),
        |cloud| cloud.aws.pause_after(On::action("RevokeSecurityGroupIngress").skip(1)),
    ];
    let (cloud, group, before) = bench(&BEFORE);
    let after = block(&group, &AFTER);
    for moment in moments {
        cloud.apply(&[&before]).ok().unwrap();
        cloud.write(&[&after]);
        cloud.kill_at(&moment(&cloud));
        assert!(peers(&cloud, &group).contains(&"10.0.0.2/32".to_owned()));
        converges(&cloud, &group, &after, &["10.0.0.2/32", "10.0.0.3/32"]);
    }
}

#[test]
fn a_killed_update_leaves_nothing_to_a_destroy() {
    let (cloud, group, before) = bench(&BEFORE);
    cloud.settle(&[&before]);
    cloud.write(&[&block(&group, &AFTER)]);
    cloud.kill_at(&cloud.aws.pause_after("AuthorizeSecurityGroupIngress"));
    assert_eq!(peers(&cloud, &group).len(), 3);
    cloud.settle(&[]);
    assert!(cloud.aws.rules(&group).is_empty(), "an orphan is left");
}

#[test]
fn a_destroy_killed_on_its_way_is_finished_by_the_next() {
    let (cloud, group, block) = bench(&BEFORE);
    let block = with_egress(block);
    cloud.settle(&[&block]);
    cloud.write(&[]);
    cloud.kill_at(&cloud.aws.pause_after("RevokeSecurityGroupIngress"));
    cloud.settle(&[]);
    assert!(cloud.aws.rules(&group).is_empty());
}

#[test]
fn a_race_for_the_same_rule_is_read_again() {
    let (cloud, group, block) = bench(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    cloud.write(&[&block]);
    let pause = cloud.aws.pause_before("AuthorizeSecurityGroupIngress");
    std::thread::scope(|scope| {
        let apply = scope.spawn(|| cloud.terraform.apply().unwrap());
        pause.wait(PATIENCE).unwrap();
        cloud.aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, "10.0.0.2/32")).unwrap();
        pause.release();
        apply.join().unwrap().ok().unwrap();
    });
    cloud.settled();
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"]);
    assert_eq!(cloud.aws.count("AuthorizeSecurityGroupIngress"), 2);
    cloud.settle(&[]);
    assert_eq!(peers(&cloud, &group), ["10.0.0.2/32"], "the faster one's rule stays");
}

#[test]
fn a_lost_answer_is_no_duplicate() {
    let (cloud, group, before) = bench(&BEFORE);
    // The first revocation of an update only tries.
    for (action, tries) in [("AuthorizeSecurityGroupIngress", 0), ("RevokeSecurityGroupIngress", 1)] {
        cloud.aws.fault(On::action(action).skip(tries).times(1), Fault::DropAfter);
    }
    cloud.settle(&[&before]);
    let after = block(&group, &AFTER);
    cloud.settle(&[&after]);
    assert!(cloud.aws.calls().iter().any(|call| call.code.as_deref() == Some("InvalidPermission.Duplicate")));
    assert!(cloud.aws.calls().iter().any(|call| call.code.as_deref() == Some("InvalidSecurityGroupRuleId.NotFound")));
    cloud.aws.fault(On::action("RevokeSecurityGroupIngress").times(1), Fault::DropAfter);
    converges(&cloud, &group, &after, &["10.0.0.2/32", "10.0.0.3/32"]);
}

#[test]
fn rules_that_do_not_show_yet_are_waited_for() {
    let (cloud, group, block) = bench(&BEFORE);
    cloud.aws.hide_new_rules(3);
    cloud.apply(&[&block]).ok().unwrap();
    assert_eq!(calls(&cloud).len(), 2, "the answer names the rules, so nobody waits: {:?}", calls(&cloud));
    // The refresh does not see them, so they are made again, which EC2 refuses.
    cloud.aws.hide_new_rules(0);
    cloud.settle(&[&block]);
    assert!(cloud.aws.calls().iter().any(|call| call.code.as_deref() == Some("InvalidPermission.Duplicate")));
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32", "10.0.0.2/32"]);
}

#[test]
fn what_was_made_a_moment_ago_is_waited_for() {
    let (cloud, group, block) = bench(&["10.0.0.1"]);
    let subnet = cloud.aws.make_subnet("10.0.7.0/24").unwrap();
    let unknown = format!("The security group '{group}' does not exist");
    cloud.aws.fault(On::action("AuthorizeSecurityGroupIngress").times(2), Fault::answer(400, "InvalidGroup.NotFound", &unknown));
    cloud.settle(&[&block.set("ingress", ssh(&["10.0.0.1", &subnet]))]);
    assert_eq!(peers(&cloud, &group), ["10.0.0.1/32", "10.0.7.0/24"]);
}

#[test]
fn without_head_room_rules_are_changed_in_place() {
    let (cloud, group, before) = bench(&["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
    cloud.aws.quota(2);
    cloud.settle(&[&before]);
    let ids = || cloud.aws.rules(&group).into_iter().map(|rule| rule.id).collect::<BTreeSet<_>>();
    let made = ids();
    let after = block(&group, &["10.0.0.2", "10.0.0.3", "2001:db8::2"]);
    cloud.settle(&[&after]);
    assert_eq!(peers(&cloud, &group), ["10.0.0.2/32", "10.0.0.3/32", "2001:db8::2/128"]);
    assert_eq!(ids(), made);
    let more = block(&group, &["10.0.0.3", "10.0.0.4", "10.0.0.5", "2001:db8::2"]);
    let said = cloud.apply(&[&more]).failed().unwrap();
    assert_says(
        &said,
        &[
            "The security group can hold no more rules",
            "holds 3 ingress rules, and the change needs room for",
            "Service Quotas",
            "rules/quota",
        ],
    );
    assert!(peers(&cloud, &group).contains(&"10.0.0.3/32".to_owned()));
    cloud.aws.quota(3);
    converges(&cloud, &group, &more, &["10.0.0.3/32", "10.0.0.4/32", "10.0.0.5/32", "2001:db8::2/128"]);
}

#[test]
fn an_interrupt_ends_within_two_seconds_and_loses_nothing() {
    use std::os::unix::process::CommandExt;
    let (cloud, group, block) = bench(&BEFORE);
    cloud.write(&[&block]);
    let pause = cloud.aws.pause_after("AuthorizeSecurityGroupIngress");
    let mut command = cloud.terraform.command(&["apply", "-auto-approve", "-no-color", "-input=false"]);
    let apply = command.process_group(0).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    pause.wait(PATIENCE).unwrap();
    let told = std::time::Instant::now();
    rustix::process::kill_process(rustix::process::Pid::from_child(&apply), rustix::process::Signal::INT).unwrap();
    let output = apply.wait_with_output().unwrap();
    // Two seconds for the provider, and some for terraform to write and go.
    assert!(told.elapsed() < Duration::from_secs(4), "{:?}", told.elapsed());
    assert!(!output.status.success());
    assert_says(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()), &["The call was interrupted", "account/interrupted"]);
    pause.release();
    converges(&cloud, &group, &block, &["10.0.0.1/32", "10.0.0.2/32"]);
}

#[test]
fn half_of_an_apply_is_true_state() {
    let (cloud, group, before) = bench(&BEFORE);
    let denied = Fault::answer(403, "UnauthorizedOperation", "You are not authorized to perform this operation.");
    cloud.aws.fault("AuthorizeSecurityGroupEgress", denied.clone());
    let said = cloud.apply(&[&with_egress(before.clone())]).failed().unwrap();
    assert_says(&said, &["AWS denies a change", "ec2:AuthorizeSecurityGroupEgress", "ec2:CreateTags", "rules/denied"]);
    assert!(cloud.aws.rules(&group).is_empty(), "a create that fails takes back what it made");
    cloud.aws.heal();
    cloud.settle(&[&with_egress(before.clone())]);
    assert_eq!(peers(&cloud, &group).len(), 3);
    cloud.aws.fault("RevokeSecurityGroupIngress", denied);
    cloud.apply(&[&with_egress(block(&group, &AFTER))]).failed().unwrap();
    assert_eq!(cloud.attributes(ADDRESS)["rules"]["ingress/neosync"].as_array().unwrap().len(), 3, "old and new are both there");
    cloud.aws.heal();
    converges(&cloud, &group, &with_egress(block(&group, &AFTER)), &["0.0.0.0/0", "10.0.0.2/32", "10.0.0.3/32"]);
}

#[test]
fn malformed_input_is_refused_at_plan_on_its_argument_without_a_call() {
    let cases = [
        ("{ it = { port = 22, peers = [\"10.1.2.3/8\"] } }", "write 10.0.0.0/8, or 10.1.2.3/32 for the one address"),
        ("{ it = { port = 22, peers = [\"::ffff:1.2.3.4\"] } }", "write 1.2.3.4"),
        ("{ it = { port = 22, peers = [\"subnet-0abc\"] } }", "8 or 17 hexadecimal digits"),
        ("{ it = { port = 22, peers = [\"neosync.example.com\"] } }", "A peer is an IP address"),
        ("{ it = { port = 22, peers = [] } }", "There are no peers"),
        ("{ it = { port = 65536, peers = [\"1.2.3.4\"] } }", "from 0 to 65535"),
        ("{ it = { from_port = 23, to_port = 22, peers = [\"1.2.3.4\"] } }", "The port range is upside down"),
        ("{ it = { protocol = \"all\", port = 22, peers = [\"1.2.3.4\"] } }", "has no ports"),
        ("{ it = { protocol = \"sctp\", port = 22, peers = [\"1.2.3.4\"] } }", "The protocol is not a protocol"),
        ("{ it = { port = 22, peers = [\"1.2.3.4\"], description = \"Neosync's\" } }", "The description cannot be used"),
    ];
    let (cloud, _, block) = bench(&["10.0.0.1"]);
    for (ingress, words) in cases {
        cloud.write(&[&block.clone().set("ingress", ingress)]);
        let said = cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().failed().unwrap();
        let low = said.replace("a peer is an", "A peer is an");
        assert_says(&low, &[words, "ingress = "]);
    }
    cloud.write(&[&block.clone().set("ingress", ssh(&["0.0.0.0/0"])).set("egress", "{ db = { port = 5432, peers = [\"10.0.0.0/8\"] } }")]);
    let said = cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert_says(&said, &["Warning: SSH is open to the whole internet", "Warning: The bastion may not reach S3", "deletes every login"]);
    assert!(calls(&cloud).is_empty(), "a plan of something new calls nobody: {:?}", calls(&cloud));
}
