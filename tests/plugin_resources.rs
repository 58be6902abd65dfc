//! The verbs of a resource, asked of a sample provider by a gRPC client, on good days and bad ones.

#[cfg(test)]
mod support;

use bastion::tfplugin::proto::tfplugin6::*;
use support::wire::*;

fn update(wording: &str) -> apply_resource_change::Request {
    apply_resource_change::Request {
        type_name: "sample_thing".to_owned(),
        prior_state: state_of("a"),
        planned_state: thing(&text("id-a"), "a", &text(wording), NIL),
        config: thing(NIL, "a", &text(wording), NIL),
        planned_private: b"made".to_vec(),
        ..Default::default()
    }
}

#[tokio::test]
async fn resource_configurations() {
    let (mut client, _) = client().await;
    let request = |config, client_capabilities| validate_resource_config::Request {
        type_name: "sample_thing".to_owned(),
        config,
        client_capabilities,
    };
    for (name, found) in [("good", vec![]), ("bad", vec![(ERROR, "Bad name")]), ("odd", vec![(WARNING, "Odd name")])] {
        let config = thing(NIL, name, UNKNOWN, &text("hunter2"));
        let judged = client.validate_resource_config(request(config, Some(ALLOWED))).await.unwrap().into_inner();
        assert_eq!(summaries(&judged.diagnostics), found, "{name}");
    }
    let key = map(&[("kind", NIL), ("passphrase_wo", UNKNOWN)]);
    let config = map(&[("id", NIL), ("key", &key), ("name", &text("good")), ("password_wo", &text("hunter2")), ("text", NIL)]);
    let judged = client.validate_resource_config(request(dynamic(config), None)).await.unwrap().into_inner();
    let refused = judged.diagnostics.iter().map(at).collect::<Vec<_>>();
    assert_eq!(refused, [vec!["password_wo"], vec!["key"]]);
    assert!(judged.diagnostics[1].detail.ends_with("This is about `key.passphrase_wo`."));
    assert!(judged.diagnostics.iter().all(|diagnostic| diagnostic.detail.contains("Terraform 1.11")));
}

#[tokio::test]
async fn stored_state() {
    let (mut client, _) = client().await;
    let request = |version, json: &str| upgrade_resource_state::Request {
        type_name: "sample_thing".to_owned(),
        version,
        raw_state: Some(RawState { json: json.as_bytes().to_vec(), ..Default::default() }),
    };
    let old = r#"{"id":"id-a","name":"a","text":null,"password_wo":"leaked","dropped":[1]}"#;
    for version in [0, 2] {
        let upgraded = client.upgrade_resource_state(request(version, old)).await.unwrap().into_inner();
        assert_eq!((upgraded.upgraded_state, upgraded.diagnostics), (state_of("a"), vec![]));
    }
    for (version, json) in [(3, old), (2, ""), (2, "{"), (2, r#"{"name":7}"#)] {
        let refused = client.upgrade_resource_state(request(version, json)).await.unwrap().into_inner();
        assert_eq!(summaries(&refused.diagnostics), [(ERROR, "Unreadable state")], "{version} {json}");
        assert_eq!(refused.upgraded_state, None);
    }
}

#[tokio::test]
async fn reading() {
    let (mut client, _) = client().await;
    let request = |name: &str| read_resource::Request {
        type_name: "sample_thing".to_owned(),
        current_state: state_of(name),
        private: b"made".to_vec(),
        ..Default::default()
    };
    let found = client.read_resource(request("a")).await.unwrap().into_inner();
    assert_eq!((found.new_state, found.private, found.diagnostics), (state_of("a"), b"made".to_vec(), vec![]));
    let gone = client.read_resource(request("gone")).await.unwrap().into_inner();
    assert_eq!((gone.new_state, gone.diagnostics), (null(), vec![]));
    let failed = client.read_resource(request("unreadable")).await.unwrap().into_inner();
    assert_eq!((failed.new_state, failed.private), (state_of("unreadable"), b"made".to_vec()));
    assert_eq!(summaries(&failed.diagnostics), [(ERROR, "Unreadable")]);
}

#[tokio::test]
async fn planning() {
    let (mut client, _) = client().await;
    let request = |prior, proposed, config| plan_resource_change::Request {
        type_name: "sample_thing".to_owned(),
        prior_state: prior,
        proposed_new_state: proposed,
        config,
        prior_private: b"made".to_vec(),
        client_capabilities: Some(ALLOWED),
        ..Default::default()
    };
    let password = text("hunter2");
    let config = thing(NIL, "a", UNKNOWN, &password);
    let made = client.plan_resource_change(request(null(), config.clone(), config)).await.unwrap().into_inner();
    assert_eq!(made.planned_state, thing(UNKNOWN, "a", UNKNOWN, NIL), "computed is unknown, write-only is null");
    assert_eq!((made.planned_private, made.requires_replace, made.diagnostics), (b"planned".to_vec(), vec![], vec![]));

    let key = map(&[("kind", NIL), ("passphrase_wo", &password)]);
    let nested = map(&[("id", NIL), ("key", &key), ("name", &text("a")), ("password_wo", NIL), ("text", NIL)]);
    let planned_key = map(&[("kind", UNKNOWN), ("passphrase_wo", NIL)]);
    let planned = map(&[("id", UNKNOWN), ("key", &planned_key), ("name", &text("a")), ("password_wo", NIL), ("text", NIL)]);
    let made = client.plan_resource_change(request(null(), dynamic(nested.clone()), dynamic(nested))).await.unwrap().into_inner();
    assert_eq!(made.planned_state, dynamic(planned));

    let moved = thing(&text("id-a"), "b", NIL, &password);
    let config = thing(NIL, "b", NIL, &password);
    let changed = client.plan_resource_change(request(state_of("a"), moved, config)).await.unwrap().into_inner();
    assert_eq!(changed.planned_state, thing(&text("id-a"), "b", NIL, NIL));
    assert_eq!(changed.planned_private, b"made");
    assert_eq!(changed.requires_replace.len(), 1);

    let destroyed = client.plan_resource_change(request(state_of("a"), null(), null())).await.unwrap().into_inner();
    assert_eq!((destroyed.planned_state, destroyed.planned_private, destroyed.diagnostics), (null(), b"made".to_vec(), vec![]));

    let config = thing(NIL, "unplannable", NIL, NIL);
    let refused = client.plan_resource_change(request(null(), config.clone(), config)).await.unwrap().into_inner();
    assert_eq!((summaries(&refused.diagnostics), refused.planned_state), (vec![(ERROR, "Unplannable")], None));
}

#[tokio::test]
async fn creating() {
    let (mut client, _) = client().await;
    let done = apply(&mut client, create("a")).await;
    assert_eq!((done.new_state, done.private), (state_of("a"), b"made".to_vec()));
    assert_eq!(summaries(&done.diagnostics), [(WARNING, "Made")]);

    let partly = apply(&mut client, create("partly")).await;
    assert_eq!(partly.new_state, state_of("partly"), "what was made is tainted, not forgotten");
    assert_eq!(summaries(&partly.diagnostics), [(ERROR, "Partly")]);

    let refused = apply(&mut client, create("refused")).await;
    assert_eq!((refused.new_state, summaries(&refused.diagnostics)), (null(), vec![(ERROR, "Refused")]));

    let secret = apply_resource_change::Request { config: thing(NIL, "needs-password", NIL, &text("hunter2")), ..create("needs-password") };
    assert_eq!(apply(&mut client, secret).await.new_state, state_of("needs-password"));
}

#[tokio::test]
async fn a_panic_loses_nothing_and_tells_nothing() {
    let (mut client, _) = client().await;
    let early = apply(&mut client, create("panics")).await;
    assert_eq!(early.new_state, null());
    let late = apply(&mut client, create("panics-later")).await;
    assert_eq!((late.new_state, late.private), (state_of("panics-later"), b"made".to_vec()));
    let updated = apply(&mut client, update("panics")).await;
    assert_eq!((updated.new_state, updated.private), (state_of("a"), b"made".to_vec()));
    for diagnostics in [early.diagnostics, late.diagnostics, updated.diagnostics] {
        assert_eq!(summaries(&diagnostics), [(ERROR, "The provider has a fault")]);
        assert!(!diagnostics[0].detail.contains("hunter2") && diagnostics[0].detail.contains("sample_thing"));
    }
}

#[tokio::test]
async fn updating_and_deleting() {
    let (mut client, _) = client().await;
    let done = apply(&mut client, update("new")).await;
    assert_eq!((done.new_state, done.diagnostics), (thing(&text("id-a"), "a", &text("new"), NIL), vec![]));
    let refused = apply(&mut client, update("refused")).await;
    assert_eq!((refused.new_state, summaries(&refused.diagnostics)), (state_of("a"), vec![(ERROR, "Refused")]));

    let delete = |name: &str| apply_resource_change::Request {
        type_name: "sample_thing".to_owned(),
        prior_state: state_of(name),
        planned_state: null(),
        config: null(),
        planned_private: b"made".to_vec(),
        ..Default::default()
    };
    let gone = apply(&mut client, delete("a")).await;
    assert_eq!((gone.new_state, summaries(&gone.diagnostics)), (null(), vec![(WARNING, "Removed")]), "what was left in place is told");
    let stuck = apply(&mut client, delete("stuck")).await;
    assert_eq!((stuck.new_state, stuck.private), (state_of("stuck"), b"made".to_vec()));
    assert_eq!(summaries(&stuck.diagnostics), [(ERROR, "Stuck")]);
}

#[tokio::test]
async fn importing() {
    let (mut client, _) = client().await;
    let request =
        |id: &str| import_resource_state::Request { type_name: "sample_thing".to_owned(), id: id.to_owned(), ..Default::default() };
    let found = client.import_resource_state(request("id-a")).await.unwrap().into_inner();
    let [imported] = &found.imported_resources[..] else { panic!("one resource") };
    assert_eq!((imported.type_name.as_str(), &imported.state, &imported.private[..]), ("sample_thing", &state_of("a"), &b"imported"[..]));
    assert_eq!(summaries(&found.diagnostics), [(WARNING, "The password is not imported")]);
    for (id, summary) in [("nonsense", "No such thing"), ("", "Import without an id")] {
        let refused = client.import_resource_state(request(id)).await.unwrap().into_inner();
        assert_eq!((summaries(&refused.diagnostics), refused.imported_resources.len()), (vec![(ERROR, summary)], 0));
    }
}

#[tokio::test]
async fn big_values_travel_both_ways() {
    let (mut client, _) = client().await;
    let big = text(&"x".repeat(8 * 1024 * 1024));
    let request =
        apply_resource_change::Request { planned_state: thing(UNKNOWN, "a", &big, NIL), config: thing(NIL, "a", &big, NIL), ..create("a") };
    assert_eq!(apply(&mut client, request).await.new_state, thing(&text("id-a"), "a", &big, NIL));
}

#[tokio::test]
async fn hostile_values_are_diagnostics() {
    let (mut client, _) = client().await;
    for bytes in [&b"\xc1"[..], b"\xdf\xff\xff\xff\xff", b"\x81", b"\xc0\xc0", &[0x91; 100_000]] {
        let request = apply_resource_change::Request { planned_state: dynamic(bytes.to_vec()), ..create("a") };
        let refused = apply(&mut client, request).await;
        assert_eq!(
            (summaries(&refused.diagnostics), refused.new_state),
            (vec![(ERROR, "Unreadable value")], null()),
            "{:?}",
            bytes.first()
        );
    }
    for config in [None, null()] {
        let request =
            validate_resource_config::Request { type_name: "sample_thing".to_owned(), config, client_capabilities: Some(ALLOWED) };
        assert_eq!(client.validate_resource_config(request).await.unwrap().into_inner().diagnostics.len(), 1);
    }
}
