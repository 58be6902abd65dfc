//! Every RPC, asked of a sample provider by a gRPC client, on good days and bad ones.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[cfg(test)]
mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bastion::tfplugin::proto::tfplugin6::provider_client::ProviderClient;
use bastion::tfplugin::proto::tfplugin6::*;
use support::sample::{RENEW_AT, Seen, registry};
use support::{PATIENCE, provider, serve};
use tonic::transport::Channel;

type Client = ProviderClient<Channel>;

const NIL: &[u8] = &[0xc0];
const UNKNOWN: &[u8] = &[0xd4, 0, 0];

async fn client() -> (Client, Seen) {
    let seen = Seen::default();
    let (channel, _) = serve(registry(&seen)).await;
    (provider(channel), seen)
}

/// msgpack of text, or the bytes of `NIL` and `UNKNOWN`.
fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmp::encode::write_str(&mut bytes, text).unwrap();
    bytes
}

fn map(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmp::encode::write_map_len(&mut bytes, u32::try_from(fields.len()).unwrap()).unwrap();
    for (name, value) in fields {
        rmp::encode::write_str(&mut bytes, name).unwrap();
        bytes.extend_from_slice(value);
    }
    bytes
}

fn dynamic(msgpack: Vec<u8>) -> Option<DynamicValue> {
    Some(DynamicValue { msgpack, json: Vec::new() })
}

fn null() -> Option<DynamicValue> {
    dynamic(NIL.to_vec())
}

fn thing(id: &[u8], name: &str, wording: &[u8], password: &[u8]) -> Option<DynamicValue> {
    // Sorted, as both sides send them.
    dynamic(map(&[("id", id), ("key", NIL), ("name", &text(name)), ("password_wo", password), ("text", wording)]))
}

fn state_of(name: &str) -> Option<DynamicValue> {
    thing(&text(&format!("id-{name}")), name, NIL, NIL)
}

fn summaries(diagnostics: &[Diagnostic]) -> Vec<(i32, &str)> {
    diagnostics.iter().map(|diagnostic| (diagnostic.severity, diagnostic.summary.as_str())).collect()
}

fn at(diagnostic: &Diagnostic) -> Vec<String> {
    use attribute_path::step::Selector;
    let steps = diagnostic.attribute.iter().flat_map(|path| &path.steps);
    let name = |selector: &Selector| match selector {
        Selector::AttributeName(name) | Selector::ElementKeyString(name) => name.clone(),
        Selector::ElementKeyInt(index) => index.to_string(),
    };
    steps.filter_map(|step| step.selector.as_ref().map(name)).collect()
}

const ERROR: i32 = 1;
const WARNING: i32 = 2;
const ALLOWED: ClientCapabilities = ClientCapabilities { deferral_allowed: false, write_only_attributes_allowed: true };

fn create(name: &str) -> apply_resource_change::Request {
    apply_resource_change::Request {
        type_name: "sample_thing".to_owned(),
        prior_state: null(),
        planned_state: thing(UNKNOWN, name, NIL, NIL),
        config: thing(NIL, name, NIL, NIL),
        planned_private: b"planned".to_vec(),
        ..Default::default()
    }
}

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

async fn apply(client: &mut Client, request: apply_resource_change::Request) -> apply_resource_change::Response {
    client.apply_resource_change(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn metadata_and_schemas() {
    let (mut client, _) = client().await;
    let metadata = client.get_metadata(get_metadata::Request {}).await.unwrap().into_inner();
    assert_eq!(metadata.resources[0].type_name, "sample_thing");
    assert_eq!(metadata.data_sources[0].type_name, "sample_lookup");
    assert_eq!(metadata.ephemeral_resources[0].type_name, "sample_port");
    assert_eq!(metadata.functions[0].name, "join");
    let schemas = client.get_provider_schema(get_provider_schema::Request {}).await.unwrap().into_inner();
    let capabilities = ServerCapabilities { plan_destroy: true, get_provider_schema_optional: true, ..Default::default() };
    assert_eq!((metadata.server_capabilities, schemas.server_capabilities), (Some(capabilities), Some(capabilities)));
    assert_eq!(schemas.provider.unwrap().block.unwrap().attributes[0].name, "region");
    assert_eq!(schemas.resource_schemas["sample_thing"].version, 2);
    assert!(schemas.data_source_schemas.contains_key("sample_lookup") && schemas.ephemeral_resource_schemas.contains_key("sample_port"));
    let join = &schemas.functions["join"];
    assert_eq!(join.parameters[0].r#type, b"\"string\"");
    assert!(join.variadic_parameter.as_ref().unwrap().allow_null_value && !join.parameters[0].allow_null_value);
    let functions = client.get_functions(get_functions::Request {}).await.unwrap().into_inner();
    assert_eq!(functions.functions, schemas.functions);
    let identities = client.get_resource_identity_schemas(get_resource_identity_schemas::Request {}).await.unwrap().into_inner();
    assert!(identities.identity_schemas.is_empty() && identities.diagnostics.is_empty());
}

#[tokio::test]
async fn the_provider_block() {
    let (mut client, seen) = client().await;
    let validate = |region: &[u8]| validate_provider_config::Request { config: dynamic(map(&[("region", region)])) };
    let judged = client.validate_provider_config(validate(&text("moon"))).await.unwrap().into_inner();
    assert_eq!(summaries(&judged.diagnostics), [(ERROR, "No such region")]);
    assert_eq!(at(&judged.diagnostics[0]), ["region"]);
    assert!(client.validate_provider_config(validate(UNKNOWN)).await.unwrap().into_inner().diagnostics.is_empty());
    let misfit = client.validate_provider_config(validate(&[0x90])).await.unwrap().into_inner();
    assert_eq!(summaries(&misfit.diagnostics), [(ERROR, "Unreadable value")]);
    assert_eq!(at(&misfit.diagnostics[0]), ["region"]);
    for region in [UNKNOWN, NIL] {
        let request = configure_provider::Request {
            terraform_version: "1.11.4".to_owned(),
            config: dynamic(map(&[("region", region)])),
            client_capabilities: None,
        };
        assert!(client.configure_provider(request).await.unwrap().into_inner().diagnostics.is_empty());
    }
    assert_eq!(seen.configured.load(Ordering::SeqCst), 2);
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
    assert_eq!(refused, [vec!["password_wo"], vec!["key", "passphrase_wo"]]);
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
    assert_eq!((gone.new_state, gone.diagnostics), (null(), vec![]));
    let stuck = apply(&mut client, delete("stuck")).await;
    assert_eq!((stuck.new_state, stuck.private), (state_of("stuck"), b"made".to_vec()));
    assert_eq!(summaries(&stuck.diagnostics), [(ERROR, "Stuck")]);
}

#[tokio::test]
async fn stopping_cancels_the_work_and_not_the_server() {
    let (mut client, seen) = client().await;
    let waiting = tokio::spawn({
        let mut client = client.clone();
        async move { apply(&mut client, create("waits")).await }
    });
    tokio::time::timeout(PATIENCE, async {
        while seen.creating.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(client.stop_provider(stop_provider::Request {}).await.unwrap().into_inner().error, "");
    let stopped = tokio::time::timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap();
    assert_eq!((stopped.new_state, summaries(&stopped.diagnostics)), (state_of("waits"), vec![(ERROR, "Stopped")]));

    let lookup = || read_data_source::Request {
        type_name: "sample_lookup".to_owned(),
        config: dynamic(map(&[("answer", NIL), ("key", &text("waits"))])),
        ..Default::default()
    };
    let late = tokio::time::timeout(PATIENCE, client.read_data_source(lookup())).await.unwrap().unwrap().into_inner();
    assert_eq!(summaries(&late.diagnostics), [(ERROR, "Stopped")], "what was under way when the stop came does not escape it");

    let again = configure_provider::Request {
        terraform_version: "1.11.4".to_owned(),
        config: dynamic(map(&[("region", NIL)])),
        client_capabilities: None,
    };
    client.configure_provider(again).await.unwrap();
    let fresh = tokio::time::timeout(Duration::from_millis(300), client.read_data_source(lookup())).await;
    assert!(fresh.is_err(), "a new walk is not stopped");
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
async fn data_sources() {
    let (mut client, _) = client().await;
    let config = |key: &str| dynamic(map(&[("answer", NIL), ("key", &text(key))]));
    let request =
        |key: &str| read_data_source::Request { type_name: "sample_lookup".to_owned(), config: config(key), ..Default::default() };
    let found = client.read_data_source(request("life")).await.unwrap().into_inner();
    assert_eq!(found.state, dynamic(map(&[("answer", &text("answer to life")), ("key", &text("life"))])));
    for (key, summary) in [("missing", "Missing"), ("panics", "The provider has a fault")] {
        let refused = client.read_data_source(request(key)).await.unwrap().into_inner();
        assert_eq!((refused.state, summaries(&refused.diagnostics)), (None, vec![(ERROR, summary)]));
    }
    let validate = validate_data_resource_config::Request { type_name: "sample_lookup".to_owned(), config: config("") };
    let judged = client.validate_data_resource_config(validate).await.unwrap().into_inner();
    assert_eq!(summaries(&judged.diagnostics), [(ERROR, "Empty key")]);
}

#[tokio::test]
async fn ephemeral_resources() {
    let (mut client, seen) = client().await;
    let type_name = || "sample_port".to_owned();
    let config = |host: &str| dynamic(map(&[("host", &text(host)), ("port", NIL)]));
    let validate = validate_ephemeral_resource_config::Request { type_name: type_name(), config: config("") };
    let judged = client.validate_ephemeral_resource_config(validate).await.unwrap().into_inner();
    assert_eq!(summaries(&judged.diagnostics), [(ERROR, "Empty host")]);

    let request = |host| open_ephemeral_resource::Request { type_name: type_name(), config: config(host), client_capabilities: None };
    let opened = client.open_ephemeral_resource(request("db")).await.unwrap().into_inner();
    assert_eq!(opened.result, dynamic(map(&[("host", &text("db")), ("port", &[0xcd, 0x12, 0x67])])));
    assert_eq!(opened.renew_at, Some(prost_types::Timestamp { seconds: 2_000_000_000, nanos: 5 }));
    assert_eq!(RENEW_AT, Duration::new(2_000_000_000, 5));
    let private = opened.private.unwrap();

    let renew = renew_ephemeral_resource::Request { type_name: type_name(), private: Some(private.clone()) };
    let renewed = client.renew_ephemeral_resource(renew).await.unwrap().into_inner();
    assert_eq!((renewed.private.as_deref(), renewed.diagnostics.len()), (Some(&private[..]), 0));
    assert_eq!(renewed.renew_at.unwrap().seconds, 4_000_000_000);

    let close = close_ephemeral_resource::Request { type_name: type_name(), private: Some(private) };
    assert!(client.close_ephemeral_resource(close).await.unwrap().into_inner().diagnostics.is_empty());
    assert_eq!(seen.closed.load(Ordering::SeqCst), 1);
    let close = close_ephemeral_resource::Request { type_name: type_name(), private: None };
    assert_eq!(summaries(&client.close_ephemeral_resource(close).await.unwrap().into_inner().diagnostics), [(ERROR, "Unknown port")]);
    let refused = client.open_ephemeral_resource(request("closed")).await.unwrap().into_inner();
    assert_eq!((refused.result, summaries(&refused.diagnostics)), (None, vec![(ERROR, "Closed")]));
}

#[tokio::test]
async fn functions() {
    let (mut client, _) = client().await;
    let mut call = async |name: &str, arguments: &[Vec<u8>]| {
        let arguments = arguments.iter().cloned().map(|bytes| dynamic(bytes).unwrap()).collect();
        let response = client.call_function(call_function::Request { name: name.to_owned(), arguments }).await.unwrap().into_inner();
        (response.result, response.error.map(|error| (error.text, error.function_argument)))
    };
    assert_eq!(call("join", &[text("-"), text("a"), text("b")]).await, (dynamic(text("a-b")), None));
    assert_eq!(call("join", &[text("-")]).await, (dynamic(text("")), None));
    let null = call("join", &[text("-"), text("a"), NIL.to_vec()]).await;
    assert_eq!(null, (None, Some(("a part is null".to_owned(), Some(2)))));
    let (_, misfit) = call("join", &[text("-"), vec![0x90]]).await;
    assert_eq!(misfit.unwrap().1, Some(1));
    let (_, few) = call("join", &[]).await;
    assert_eq!(few.unwrap(), ("1 arguments are needed, 0 were given".to_owned(), None));
    let (_, panicked) = call("join", &[text("-"), text("panics")]).await;
    assert!(panicked.is_some_and(|(text, argument)| text.contains("fault") && !text.contains("hunter2") && argument.is_none()));
    let (_, unheard_of) = call("split", &[]).await;
    assert!(unheard_of.unwrap().0.contains("`split` does not exist"));
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

/// `$response` has one error diagnostic that names what does not exist.
macro_rules! assert_unheard_of {
    ($response:expr) => {{
        let diagnostics = $response.await.unwrap().into_inner().diagnostics;
        assert_eq!(diagnostics.len(), 1);
        assert!(
            diagnostics[0].severity == ERROR && diagnostics[0].detail.contains("`nonsense` does not exist"),
            "{}",
            diagnostics[0].detail
        );
    }};
}

#[tokio::test]
async fn unknown_names_are_diagnostics() {
    let (mut client, _) = client().await;
    let type_name = || "nonsense".to_owned();
    assert_unheard_of!(client.validate_resource_config(validate_resource_config::Request { type_name: type_name(), ..Default::default() }));
    assert_unheard_of!(
        client.validate_data_resource_config(validate_data_resource_config::Request { type_name: type_name(), config: None })
    );
    let request = validate_ephemeral_resource_config::Request { type_name: type_name(), config: None };
    assert_unheard_of!(client.validate_ephemeral_resource_config(request));
    assert_unheard_of!(client.upgrade_resource_state(upgrade_resource_state::Request { type_name: type_name(), ..Default::default() }));
    assert_unheard_of!(
        client.upgrade_resource_identity(upgrade_resource_identity::Request { type_name: type_name(), ..Default::default() })
    );
    assert_unheard_of!(client.read_resource(read_resource::Request { type_name: type_name(), ..Default::default() }));
    assert_unheard_of!(client.plan_resource_change(plan_resource_change::Request { type_name: type_name(), ..Default::default() }));
    assert_unheard_of!(client.apply_resource_change(apply_resource_change::Request { type_name: type_name(), ..Default::default() }));
    assert_unheard_of!(client.import_resource_state(import_resource_state::Request { type_name: type_name(), ..Default::default() }));
    assert_unheard_of!(client.move_resource_state(move_resource_state::Request { target_type_name: type_name(), ..Default::default() }));
    assert_unheard_of!(client.generate_resource_config(generate_resource_config::Request { type_name: type_name(), state: None }));
    assert_unheard_of!(client.read_data_source(read_data_source::Request { type_name: type_name(), ..Default::default() }));
    assert_unheard_of!(client.open_ephemeral_resource(open_ephemeral_resource::Request { type_name: type_name(), ..Default::default() }));
    assert_unheard_of!(client.renew_ephemeral_resource(renew_ephemeral_resource::Request { type_name: type_name(), private: None }));
    assert_unheard_of!(client.close_ephemeral_resource(close_ephemeral_resource::Request { type_name: type_name(), private: None }));
    let request = validate_list_resource_config::Request { type_name: type_name(), ..Default::default() };
    assert_unheard_of!(client.validate_list_resource_config(request));
    assert_unheard_of!(client.validate_action_config(validate_action_config::Request { type_name: type_name(), config: None }));
    assert_unheard_of!(client.plan_action(plan_action::Request { action_type: type_name(), ..Default::default() }));
}

#[tokio::test]
async fn what_this_provider_does_not_do_is_said() {
    let (mut client, _) = client().await;
    let type_name = || "sample_thing".to_owned();
    let moved = move_resource_state::Request { target_type_name: type_name(), source_type_name: "x".to_owned(), ..Default::default() };
    let moved = client.move_resource_state(moved).await.unwrap().into_inner();
    assert_eq!(summaries(&moved.diagnostics), [(ERROR, "Move not supported")]);
    let identity = upgrade_resource_identity::Request { type_name: type_name(), ..Default::default() };
    let identity = client.upgrade_resource_identity(identity).await.unwrap().into_inner();
    assert_eq!(summaries(&identity.diagnostics), [(ERROR, "No resource identity")]);
    let generated = generate_resource_config::Request { type_name: type_name(), state: state_of("a") };
    let generated = client.generate_resource_config(generated).await.unwrap().into_inner();
    assert_eq!(summaries(&generated.diagnostics), [(ERROR, "No generated configuration")]);

    let list = list_resource::Request { type_name: type_name(), ..Default::default() };
    let mut events = client.list_resource(list).await.unwrap().into_inner();
    assert_eq!(summaries(&events.message().await.unwrap().unwrap().diagnostic), [(ERROR, "Unknown list resource type")]);
    assert!(events.message().await.unwrap().is_none());

    let invoke = invoke_action::Request { action_type: "sample_act".to_owned(), ..Default::default() };
    let mut events = client.invoke_action(invoke).await.unwrap().into_inner();
    let Some(invoke_action::event::Type::Completed(completed)) = events.message().await.unwrap().unwrap().r#type else {
        panic!("a completed event")
    };
    assert_eq!(summaries(&completed.diagnostics), [(ERROR, "Unknown action type")]);
    assert!(events.message().await.unwrap().is_none());
}
