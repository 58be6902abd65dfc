//! Requests to the sample provider, and what its answers hold.

use bastion::tfplugin::proto::tfplugin6::provider_client::ProviderClient;
use bastion::tfplugin::proto::tfplugin6::{ClientCapabilities, Diagnostic, DynamicValue, apply_resource_change, attribute_path};
use tonic::transport::Channel;

use super::sample::{Seen, registry};
use super::{provider, serve};

pub type Client = ProviderClient<Channel>;

pub const NIL: &[u8] = &[0xc0];
pub const UNKNOWN: &[u8] = &[0xd4, 0, 0];

pub async fn client() -> (Client, Seen) {
    let seen = Seen::default();
    let (channel, _) = serve(registry(&seen)).await;
    (provider(channel), seen)
}

/// msgpack of text, or the bytes of `NIL` and `UNKNOWN`.
pub fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmp::encode::write_str(&mut bytes, text).unwrap();
    bytes
}

pub fn map(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmp::encode::write_map_len(&mut bytes, u32::try_from(fields.len()).unwrap()).unwrap();
    for (name, value) in fields {
        rmp::encode::write_str(&mut bytes, name).unwrap();
        bytes.extend_from_slice(value);
    }
    bytes
}

pub fn dynamic(msgpack: Vec<u8>) -> Option<DynamicValue> {
    Some(DynamicValue { msgpack, json: Vec::new() })
}

pub fn null() -> Option<DynamicValue> {
    dynamic(NIL.to_vec())
}

pub fn thing(id: &[u8], name: &str, wording: &[u8], password: &[u8]) -> Option<DynamicValue> {
    // Sorted, as both sides send them.
    dynamic(map(&[("id", id), ("key", NIL), ("name", &text(name)), ("password_wo", password), ("text", wording)]))
}

pub fn state_of(name: &str) -> Option<DynamicValue> {
    thing(&text(&format!("id-{name}")), name, NIL, NIL)
}

pub fn summaries(diagnostics: &[Diagnostic]) -> Vec<(i32, &str)> {
    diagnostics.iter().map(|diagnostic| (diagnostic.severity, diagnostic.summary.as_str())).collect()
}

pub fn at(diagnostic: &Diagnostic) -> Vec<String> {
    use attribute_path::step::Selector;
    let steps = diagnostic.attribute.iter().flat_map(|path| &path.steps);
    let name = |selector: &Selector| match selector {
        Selector::AttributeName(name) | Selector::ElementKeyString(name) => name.clone(),
        Selector::ElementKeyInt(index) => index.to_string(),
    };
    steps.filter_map(|step| step.selector.as_ref().map(name)).collect()
}

pub const ERROR: i32 = 1;
pub const WARNING: i32 = 2;
pub const ALLOWED: ClientCapabilities = ClientCapabilities { deferral_allowed: false, write_only_attributes_allowed: true };

pub fn create(name: &str) -> apply_resource_change::Request {
    apply_resource_change::Request {
        type_name: "sample_thing".to_owned(),
        prior_state: null(),
        planned_state: thing(UNKNOWN, name, NIL, NIL),
        config: thing(NIL, name, NIL, NIL),
        planned_private: b"planned".to_vec(),
        ..Default::default()
    }
}

pub async fn apply(client: &mut Client, request: apply_resource_change::Request) -> apply_resource_change::Response {
    client.apply_resource_change(request).await.unwrap().into_inner()
}
