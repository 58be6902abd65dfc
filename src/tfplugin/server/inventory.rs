//! What the provider has: names, schemas, capabilities. Works at any time, configured or not.

use std::collections::BTreeMap;

use crate::tfplugin::erased::Registry;
use crate::tfplugin::proto::tfplugin6::{ServerCapabilities, get_functions, get_metadata, get_provider_schema};
use crate::tfplugin::schema::Schema;
use crate::tfplugin::server::convert;

const fn capabilities() -> ServerCapabilities {
    ServerCapabilities {
        plan_destroy: true,
        // One schema call in a plan instead of three.
        get_provider_schema_optional: true,
        move_resource_state: false,
        generate_resource_config: false,
    }
}

pub(super) fn metadata(registry: &Registry) -> get_metadata::Response {
    use get_metadata::{DataSourceMetadata, EphemeralMetadata, FunctionMetadata, ResourceMetadata};

    fn named<T, U>(of: &BTreeMap<&'static str, T>, make: impl Fn(String) -> U) -> Vec<U> {
        of.keys().map(|name| make((*name).to_owned())).collect()
    }
    get_metadata::Response {
        server_capabilities: Some(capabilities()),
        data_sources: named(&registry.data_sources, |type_name| DataSourceMetadata { type_name }),
        resources: named(&registry.resources, |type_name| ResourceMetadata { type_name }),
        functions: named(&registry.functions, |name| FunctionMetadata { name }),
        ephemeral_resources: named(&registry.ephemerals, |type_name| EphemeralMetadata { type_name }),
        ..Default::default()
    }
}

pub(super) fn schemas(registry: &Registry) -> get_provider_schema::Response {
    fn each<'a, T: 'a>(
        of: &'a BTreeMap<&'static str, T>,
        schema: impl Fn(&'a T) -> &'a Schema,
    ) -> BTreeMap<String, crate::tfplugin::proto::tfplugin6::Schema> {
        of.iter().map(|(name, kind)| ((*name).to_owned(), convert::schema(schema(kind)))).collect()
    }
    get_provider_schema::Response {
        provider: Some(convert::schema(registry.configuration.schema())),
        resource_schemas: each(&registry.resources, |kind| kind.schema()),
        data_source_schemas: each(&registry.data_sources, |kind| kind.schema()),
        ephemeral_resource_schemas: each(&registry.ephemerals, |kind| kind.schema()),
        functions: convert::functions(registry),
        server_capabilities: Some(capabilities()),
        ..Default::default()
    }
}

pub(super) fn functions(registry: &Registry) -> get_functions::Response {
    get_functions::Response { functions: convert::functions(registry), diagnostics: Vec::new() }
}
