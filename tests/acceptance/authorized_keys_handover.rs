//! A login's object is handed over: to a replacement, under another name, after a kill, after a lost state.

use std::time::Duration;

use lab::On;

use crate::authorized_keys_ownership::{ADDRESS, Bucket, ED25519, KEY, OTHER, claim, line, run, with_key};
use crate::cloud::provider;
use crate::support::{Block, assert_says, write_with};

/// Replaces the resource, and asserts that its object was there all the time.
fn replaced(bucket: &Bucket, owner: Option<&str>, how: &str, kill: bool) {
    let cloud = &bucket.cloud;
    let trigger = |value: &str| Block::new("terraform_data", "trigger").text("input", value);
    let given = owner.is_some();
    let block = owner.map_or_else(|| bucket.block(), |owner| bucket.block().text("owner", owner));
    let block = block.raw("lifecycle {\n    create_before_destroy = true\n    replace_triggered_by = [terraform_data.trigger]\n  }");
    cloud.settle(&[&block, &trigger("a")]);
    cloud.aws.forget_calls();
    // A stable owner's keys may change in the same moment; who is drawn anew shares what it finds.
    let key = if given && how != "taint" { OTHER } else { ED25519 };
    let next = with_key(block, key);
    match how {
        "taint" => drop(cloud.terraform.run(&["taint", ADDRESS]).unwrap().ok().unwrap()),
        "trigger" => cloud.write(&[&next, &trigger("b")]),
        _ => cloud.write(&[&next, &trigger("a")]),
    }
    let arguments: &[&str] = if how == "replace" { &["apply", "-auto-approve", "-replace", ADDRESS] } else { &["apply", "-auto-approve"] };
    if kill {
        // Looks of the plan, of the create, and then that of the destroy.
        let held = cloud.aws.pause_before(On::action("HeadObject").skip(2));
        cloud.kill_with_at(arguments, &held);
        drop(held);
        assert_eq!(bucket.deletes(), 0, "{how}");
        cloud.terraform.apply().unwrap().ok().unwrap();
    } else {
        let said = run(&cloud.terraform, arguments).ok().unwrap();
        assert!(said.contains("1 destroyed") || said.contains("2 destroyed"), "{how}: it was replaced\n{said}");
        assert!(!said.contains("The object stays"), "{how}: a replacement is nothing to warn of\n{said}");
    }
    cloud.settled();
    assert_eq!((bucket.deletes(), bucket.claims()), (0, [claim(&cloud.attributes(ADDRESS))].into()), "{how}");
    assert_eq!(bucket.lines(), line(key), "{how}");
    cloud.settle(&[]);
    assert_eq!(bucket.text(), None, "{how}");
}

#[test]
fn what_is_replaced_create_first_is_there_at_every_moment() {
    let bucket = Bucket::new();
    for owner in [None, Some("neosync/prod")] {
        for how in ["replace", "trigger", "taint"] {
            replaced(&bucket, owner, how, false);
        }
    }
}

#[test]
fn what_is_replaced_create_first_and_killed_in_between_is_there_at_every_moment() {
    let bucket = Bucket::new();
    for owner in [None, Some("neosync/prod")] {
        for how in ["replace", "trigger", "taint"] {
            replaced(&bucket, owner, how, true);
        }
    }
}

#[test]
fn a_replacement_that_gets_other_keys_at_once_needs_an_owner_and_says_so() {
    let bucket = Bucket::new();
    let cloud = &bucket.cloud;
    let trigger = |value: &str| Block::new("terraform_data", "trigger").text("input", value);
    let lifecycle = "lifecycle {\n    create_before_destroy = true\n    replace_triggered_by = [terraform_data.trigger]\n  }";
    let block = bucket.block().raw(lifecycle);
    cloud.settle(&[&block, &trigger("a")]);
    let (text, other) = (bucket.text(), with_key(block, OTHER));
    cloud.aws.forget_calls();
    let said = cloud.apply(&[&other, &trigger("b")]).failed().unwrap();
    assert_says(&said, &["bucket/owned", "give it an `owner` in an apply before", &format!("bastion leftovers {}", bucket.name)]);
    assert_eq!(bucket.text(), text, "nobody lost a key");
    // Nothing triggers a replacement any more: the keys change in place.
    cloud.settle(&[&other, &trigger("b")]);
    let owned = other.text("owner", "neosync/prod");
    cloud.settle(&[&owned, &trigger("b")]);
    let said = cloud.apply(&[&with_key(owned, ED25519), &trigger("c")]).ok().unwrap();
    assert_says(&said, &["1 added, 1 changed, 1 destroyed"]);
    cloud.settled();
    assert_eq!((bucket.deletes(), bucket.claims()), (0, [claim(&cloud.attributes(ADDRESS))].into()));
    assert_eq!(bucket.lines(), line(ED25519));
}

#[test]
fn a_rename_hands_the_object_over() {
    let bucket = Bucket::new();
    let cloud = &bucket.cloud;
    for owner in [None, Some("neosync/prod")] {
        let block = owner.map_or_else(|| bucket.block(), |owner| bucket.block().text("owner", owner));
        let names = ["neosync", "renamed", "again", "once-more"];
        cloud.settle(&[&block]);
        cloud.aws.forget_calls();
        for name in [1, 2] {
            let said = cloud.apply(&[&block.clone().named(names[name])]).ok().unwrap();
            assert!(
                said.contains("1 added, 0 changed, 1 destroyed") && !said.contains("The object stays") && !said.contains("any more"),
                "{said}"
            );
            cloud.settled();
            let claims = [claim(&cloud.attributes(&format!("bastion_authorized_keys.{}", names[name])))];
            assert_eq!((bucket.deletes(), bucket.claims()), (0, claims.into()));
        }
        // One at a time, whoever leaves first cannot wait for whoever comes, but what is there in the end is right.
        cloud.write(&[&block.clone().named(names[3])]);
        run(&cloud.terraform, &["apply", "-auto-approve", "-parallelism=1"]).ok().unwrap();
        cloud.settled();
        assert_eq!(bucket.claims().len(), 1);
        let deletes = bucket.deletes();
        let text = format!("moved {{\n  from = bastion_authorized_keys.{}\n  to = {ADDRESS}\n}}\n", names[3]);
        write_with(&cloud.terraform, &(provider(&cloud.aws, "") + &text), &[&block]);
        let said = run(&cloud.terraform, &["apply", "-auto-approve", "-parallelism=1"]).ok().unwrap();
        assert!(said.contains("0 added, 0 changed, 0 destroyed"), "{said}");
        assert_eq!((bucket.deletes(), bucket.claims().len()), (deletes, 1));
        cloud.settle(&[]);
    }
}

#[test]
fn whoever_leaves_in_the_same_apply_is_in_nobodys_way() {
    let bucket = Bucket::new();
    let cloud = &bucket.cloud;
    let (one, twin) = (bucket.block(), bucket.block().named("twin"));
    cloud.settle(&[&one, &twin]);
    cloud.aws.forget_calls();
    // The twin is removed while the keys of the other change.
    let rotated = with_key(one, OTHER);
    cloud.settle(&[&rotated]);
    // It is renamed, and its keys change.
    let said = cloud.apply(&[&with_key(rotated, ED25519).named("renamed")]).ok().unwrap();
    assert!(!said.contains("The object"), "{said}");
    cloud.settled();
    assert_eq!((bucket.deletes(), bucket.claims().len()), (0, 1));
    assert_eq!(bucket.lines(), line(ED25519));
}

#[test]
fn a_destroy_waits_for_a_create_that_is_still_under_way() {
    let bucket = Bucket::new();
    let cloud = &bucket.cloud;
    cloud.settle(&[&bucket.block()]);
    cloud.aws.forget_calls();
    cloud.write(&[&bucket.block().named("renamed")]);
    // The create has seen the object, and has not joined yet when the destroy finds itself alone.
    let held = cloud.aws.pause_before("GetObject");
    let mut apply = cloud.start(&["apply", "-auto-approve"]);
    held.wait(Duration::from_secs(30)).unwrap();
    lab::wait_until("the destroy to look", Duration::from_secs(30), || cloud.aws.count("HeadObject") >= 3).unwrap();
    drop(held);
    assert!(apply.wait().unwrap().success());
    assert_eq!((bucket.deletes(), bucket.claims().len()), (0, 1));
    cloud.settled();
}

#[test]
fn a_killed_create_is_taken_up_by_its_owner() {
    let bucket = Bucket::new();
    let cloud = &bucket.cloud;
    let block = bucket.block().text("owner", "neosync/prod");
    for next in [block.clone(), with_key(block.clone(), OTHER)] {
        cloud.write(&[&block]);
        let held = cloud.aws.pause_after("PutObject");
        cloud.kill_at(&held);
        drop(held);
        assert!(bucket.text().is_some());
        cloud.settle(&[&next]);
        assert_eq!(bucket.claims(), [claim(&cloud.attributes(ADDRESS))].into());
        cloud.settle(&[]);
        assert!(cloud.aws.object_keys(&bucket.name).unwrap().is_empty());
    }
}

#[test]
fn a_killed_create_of_a_drawn_owner_is_shared_or_named() {
    let bucket = Bucket::new();
    let cloud = &bucket.cloud;
    let killed = || {
        cloud.write(&[&bucket.block()]);
        let held = cloud.aws.pause_after("PutObject");
        cloud.kill_at(&held);
        drop(held);
        bucket.claims().first().unwrap().split_once(':').unwrap().0.to_owned()
    };
    let owner = killed();
    cloud.settle(&[&bucket.block()]);
    assert_eq!(bucket.claims().len(), 2);
    let said = cloud.apply(&[]).ok().unwrap();
    assert_says(&said, &[&format!("bastion leftovers {} --owner {owner} --remove", bucket.name)]);
    assert_eq!(bucket.claims().len(), 1);
    cloud.aws.delete_object(&bucket.name, KEY).unwrap();

    let owner = killed();
    let rotated = with_key(bucket.block(), OTHER);
    assert_says(&cloud.apply(&[&rotated]).failed().unwrap(), &["The login belongs to another owner", &owner, "bastion leftovers"]);
    cloud.settle(&[&rotated.set("adopt", "true")]);
    assert_eq!(bucket.claims(), [claim(&cloud.attributes(ADDRESS))].into());

    cloud.settle(&[&with_key(bucket.block(), OTHER).text("user", "materialize")]);
    assert_eq!(cloud.aws.object_keys(&bucket.name).unwrap(), ["public-keys/materialize.pub"], "what is moved is left");
}

#[test]
fn a_lost_state_is_found_again_by_its_owner_or_imported() {
    let bucket = Bucket::new();
    let cloud = &bucket.cloud;
    let lose = || drop(cloud.terraform.run(&["state", "rm", ADDRESS]).unwrap().ok().unwrap());
    let block = bucket.block().text("owner", "neosync/prod");
    cloud.settle(&[&block]);
    lose();
    cloud.settle(&[&with_key(block, OTHER)]);
    assert_eq!(bucket.claims(), [claim(&cloud.attributes(ADDRESS))].into());
    // A drawn owner goes on where it was.
    cloud.settle(&[&bucket.block()]);
    let claims = bucket.claims();
    assert!(!claims.first().unwrap().starts_with("neosync/prod"), "a name that was removed is not kept");
    lose();
    let id = format!("{}/{KEY}", bucket.name);
    cloud.terraform.run(&["import", "-input=false", "-no-color", ADDRESS, &id]).unwrap().ok().unwrap();
    cloud.settled();
    assert_eq!(bucket.claims(), claims);
    cloud.settle(&[]);
    assert_eq!(bucket.text(), None);
}

#[test]
fn a_login_that_a_killed_create_left_is_named_once_the_login_is_corrected() {
    for owner in [None, Some("neosync/prod")] {
        let bucket = Bucket::new();
        let cloud = &bucket.cloud;
        let block = owner.map_or_else(|| bucket.block(), |owner| bucket.block().text("owner", owner));
        // Somebody else's login with another key, and one of a tool that is not this provider, are nobody's business.
        cloud.aws.put_object(&bucket.name, "public-keys/foreign.pub", line(ED25519).as_bytes()).unwrap();
        cloud.write(&[&block]);
        let written = cloud.aws.pause_after("PutObject");
        cloud.kill_at(&written);
        drop(written);
        let said = cloud.apply(&[&block.text("user", "corrected")]).ok().unwrap();
        let left = bucket.claims().into_iter().next().unwrap();
        let (left, _) = left.rsplit_once(':').unwrap();
        assert_says(
            &said,
            &[
                "A key opens other logins too",
                &format!("`{KEY}`, claimed by"),
                &format!("bastion leftovers {} --owner {left} --remove", bucket.name),
            ],
        );
        assert!(!said.contains("foreign.pub"), "{said}");
        cloud.settled();
    }
}

#[test]
fn a_login_that_a_killed_move_left_goes_with_its_resource() {
    for owner in [None, Some("neosync/prod")] {
        let bucket = Bucket::new();
        let cloud = &bucket.cloud;
        let block = owner.map_or_else(|| bucket.block(), |owner| bucket.block().text("owner", owner));
        cloud.settle(&[&block]);
        cloud.write(&[&block.clone().text("user", "moved")]);
        let written = cloud.aws.pause_after("PutObject");
        cloud.kill_at(&written);
        drop(written);
        cloud.settle(&[&block]);
        let said = cloud.apply(&[]).ok().unwrap();
        assert_says(&said, &["Another login of this resource was removed too", "public-keys/moved.pub"]);
        assert_eq!(cloud.aws.object_keys(&bucket.name).unwrap(), [""; 0]);
    }
}

#[test]
fn who_uses_the_name_of_another_owner_is_told_that_the_object_was_taken_over() {
    let bucket = Bucket::new();
    let block = bucket.block().text("owner", "same/name");
    bucket.cloud.settle(&[&block]);
    let twice = block.clone().named("twice");
    let said = bucket.cloud.apply(&[&block, &twice]).ok().unwrap();
    assert_says(&said, &["The object of the same owner was taken over", "give one of them a name of its own"]);
}
