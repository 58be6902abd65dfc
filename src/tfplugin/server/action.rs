//! Parts of the protocol that this provider has nothing to offer for: list resources and actions. Said, not hung up on.

use crate::tfplugin::proto::tfplugin6::{
    Diagnostic, invoke_action, list_resource, plan_action, validate_action_config, validate_list_resource_config,
};
use crate::tfplugin::server::convert;

fn no_list(type_name: &str) -> Vec<Diagnostic> {
    convert::diagnostics(super::unheard_of("list resource type", type_name))
}

fn no_action(type_name: &str) -> Vec<Diagnostic> {
    convert::diagnostics(super::unheard_of("action type", type_name))
}

pub(super) fn validate_list(type_name: &str) -> validate_list_resource_config::Response {
    validate_list_resource_config::Response { diagnostics: no_list(type_name) }
}

pub(super) fn list(type_name: &str) -> list_resource::Event {
    list_resource::Event { diagnostic: no_list(type_name), ..Default::default() }
}

pub(super) fn validate(type_name: &str) -> validate_action_config::Response {
    validate_action_config::Response { diagnostics: no_action(type_name) }
}

pub(super) fn plan(type_name: &str) -> plan_action::Response {
    plan_action::Response { diagnostics: no_action(type_name), ..Default::default() }
}

pub(super) fn invoke(type_name: &str) -> invoke_action::Event {
    let completed = invoke_action::event::Completed { diagnostics: no_action(type_name) };
    invoke_action::Event { r#type: Some(invoke_action::event::Type::Completed(completed)) }
}
