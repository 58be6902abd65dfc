//! Every RPC but the verbs of resources, asked of a sample provider by a gRPC client, on good days and bad ones.

#[cfg(test)]
mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bastion::tfplugin::proto::tfplugin6::*;
use support::PATIENCE;
use support::sample::RENEW_AT;
use support::wire::*;

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
