//! Between this room's types and the wire's: schemas, messages, paths, and values of a type that both sides know.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::tfplugin::attribute_path::{AttributePath, Step};
use crate::tfplugin::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::tfplugin::erased::Registry;
use crate::tfplugin::fault;
use crate::tfplugin::kind::{FunctionError, Parameter, Signature};
use crate::tfplugin::proto::tfplugin6 as proto;
use crate::tfplugin::schema::{Attribute, Nesting, Presence, Schema, Shape, Type};
use crate::tfplugin::value::Value;
use crate::tfplugin::value::json::decode_json;
use crate::tfplugin::value::msgpack;

/// A value of `kind` from the wire; an absent one is null.
///
/// # Errors
/// With the attribute that cannot be read.
pub fn decode(value: Option<&proto::DynamicValue>, kind: &Type) -> Result<Value, Diagnostics> {
    let Some(value) = value else { return Ok(Value::Null) };
    let decoded = match (value.msgpack.is_empty(), value.json.is_empty()) {
        (false, _) => msgpack::decode(&value.msgpack, kind),
        (true, false) => decode_json(&value.json, kind),
        (true, true) => return Ok(Value::Null),
    };
    decoded.map_err(|error| {
        let detail = format!("A value that Terraform sent does not fit the schema: {error}.");
        Diagnostic { severity: Severity::Error, summary: "Unreadable value".to_owned(), detail, attribute: error.path }.into()
    })
}

/// A value of `kind` that has to be there: the configuration of a block, for example.
///
/// # Errors
/// With the attribute that cannot be read, or when there is no value at all.
pub fn decode_block(value: Option<&proto::DynamicValue>, kind: &Type) -> Result<Value, Diagnostics> {
    match decode(value, kind)? {
        Value::Null => {
            let mut diagnostics = Diagnostics::new();
            diagnostics.error(AttributePath::root(), "Unreadable value", "Terraform sent nothing where a block's values belong.");
            Err(diagnostics)
        }
        value => Ok(value),
    }
}

/// A value of `kind` for the wire.
///
/// # Errors
/// When the value is not of that type, which is the provider's own fault.
pub fn encode(value: &Value, kind: &Type) -> Result<proto::DynamicValue, Diagnostics> {
    match msgpack::encode(value, kind) {
        Ok(msgpack) => Ok(proto::DynamicValue { msgpack, json: Vec::new() }),
        Err(error) => {
            let what = format!("It made a value that does not fit its own schema: {error}.");
            Err(fault::noticed(error.path, &what).into())
        }
    }
}

/// Messages for the wire.
#[must_use]
pub fn diagnostics(diagnostics: Diagnostics) -> Vec<proto::Diagnostic> {
    diagnostics.into_iter().map(diagnostic).collect()
}

fn diagnostic(diagnostic: Diagnostic) -> proto::Diagnostic {
    let severity = match diagnostic.severity {
        Severity::Error => proto::diagnostic::Severity::Error,
        Severity::Warning => proto::diagnostic::Severity::Warning,
    };
    // Terraform (1.11) points at the line of an argument, but at the resource's first line for a path that leads into an argument, and never
    // prints the path: so the argument gets the line, and the text the path.
    let argument = diagnostic.attribute.steps().first().map(path_of_one);
    let detail = match diagnostic.attribute.steps() {
        [] | [_] => diagnostic.detail,
        _ => format!("{}\n\nThis is about `{}`.", diagnostic.detail, diagnostic.attribute),
    };
    proto::Diagnostic { severity: severity.into(), summary: diagnostic.summary, detail, attribute: argument }
}

fn path_of_one(step: &Step) -> proto::AttributePath {
    proto::AttributePath { steps: vec![proto_step(step)] }
}

/// A path for the wire.
#[must_use]
pub fn path(path: &AttributePath) -> proto::AttributePath {
    proto::AttributePath { steps: path.steps().iter().map(proto_step).collect() }
}

fn proto_step(step: &Step) -> proto::attribute_path::Step {
    use proto::attribute_path::step::Selector;

    let selector = match step {
        Step::Attribute(name) => Selector::AttributeName(name.clone()),
        Step::Key(key) => Selector::ElementKeyString(key.clone()),
        Step::Index(index) => Selector::ElementKeyInt(*index),
    };
    proto::attribute_path::Step { selector: Some(selector) }
}

/// A moment for the wire; moments before 1970 do not occur.
#[must_use]
pub fn timestamp(moment: SystemTime) -> prost_types::Timestamp {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    prost_types::Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}

/// A schema for the wire.
#[must_use]
pub fn schema(schema: &Schema) -> proto::Schema {
    let block = proto::schema::Block {
        version: schema.version,
        attributes: schema.attributes.iter().map(attribute).collect(),
        description: schema.description.to_owned(),
        description_kind: proto::StringKind::Markdown.into(),
        ..Default::default()
    };
    proto::Schema { version: schema.version, block: Some(block) }
}

fn attribute(attribute: &Attribute) -> proto::schema::Attribute {
    // Terraform takes exactly one of the two.
    let (plain, nested_type) = match &attribute.shape {
        Shape::Type(plain) => (type_json(plain), None),
        Shape::Nested(nesting, attributes) => (Vec::new(), Some(object(*nesting, attributes))),
    };
    proto::schema::Attribute {
        name: attribute.name.to_owned(),
        r#type: plain,
        nested_type,
        description: attribute.description.to_owned(),
        description_kind: proto::StringKind::Markdown.into(),
        required: attribute.presence == Presence::Required,
        optional: matches!(attribute.presence, Presence::Optional | Presence::OptionalComputed),
        computed: matches!(attribute.presence, Presence::Computed | Presence::OptionalComputed),
        sensitive: attribute.sensitive,
        write_only: attribute.write_only,
        deprecated: attribute.deprecated.is_some(),
        deprecation_message: attribute.deprecated.unwrap_or_default().to_owned(),
    }
}

fn object(nesting: Nesting, attributes: &[Attribute]) -> proto::schema::Object {
    use proto::schema::object::NestingMode;

    let nesting = match nesting {
        Nesting::Single => NestingMode::Single,
        Nesting::List => NestingMode::List,
        Nesting::Set => NestingMode::Set,
        Nesting::Map => NestingMode::Map,
    };
    proto::schema::Object { attributes: attributes.iter().map(attribute).collect(), nesting: nesting.into(), ..Default::default() }
}

fn type_json(of: &Type) -> Vec<u8> {
    of.to_json().into_bytes()
}

/// A function's signature for the wire.
#[must_use]
pub fn signature(signature: &Signature) -> proto::Function {
    proto::Function {
        parameters: signature.parameters.iter().map(parameter).collect(),
        variadic_parameter: signature.variadic.as_ref().map(parameter),
        r#return: Some(proto::function::Return { r#type: type_json(&signature.returns) }),
        summary: signature.summary.to_owned(),
        description: signature.description.to_owned(),
        description_kind: proto::StringKind::Markdown.into(),
        deprecation_message: String::new(),
    }
}

fn parameter(parameter: &Parameter) -> proto::function::Parameter {
    proto::function::Parameter {
        name: parameter.name.to_owned(),
        r#type: type_json(&parameter.r#type),
        allow_null_value: parameter.allow_null,
        // Terraform then answers unknown by itself, and functions see known values only.
        allow_unknown_values: false,
        description: parameter.description.to_owned(),
        description_kind: proto::StringKind::Markdown.into(),
    }
}

/// All functions of a provider for the wire, by name.
#[must_use]
pub fn functions(registry: &Registry) -> std::collections::BTreeMap<String, proto::Function> {
    registry.functions.iter().map(|(name, function)| ((*name).to_owned(), signature(&function.signature()))).collect()
}

/// A function's refusal for the wire.
#[must_use]
pub fn function_error(error: FunctionError) -> proto::FunctionError {
    proto::FunctionError { text: error.text, function_argument: error.argument }
}

/// Why a function cannot even be called.
#[must_use]
pub fn uncalled(diagnostics: Diagnostics, argument: Option<i64>) -> proto::FunctionError {
    let text = diagnostics.into_iter().map(|diagnostic| diagnostic.detail).collect::<Vec<_>>().join("\n");
    proto::FunctionError { text, function_argument: argument }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_attribute_has_no_plain_type() {
        let inner = vec![Attribute::required("port", Shape::Type(Type::Number), "The port.")];
        let sent = schema(&Schema {
            version: 3,
            description: "A thing.",
            attributes: vec![
                Attribute::optional("peers", Shape::Type(Type::Set(Box::new(Type::String))), "Who."),
                Attribute::optional_computed("rules", Shape::Nested(Nesting::Map, inner), "What."),
                Attribute::optional("password_wo", Shape::Type(Type::String), "Secret.").write_only(),
            ],
        });
        let block = sent.block.unwrap();
        assert_eq!((sent.version, block.version), (3, 3));
        let [peers, rules, password] = &block.attributes[..] else { panic!("three attributes") };
        assert_eq!(peers.r#type, br#"["set","string"]"#);
        assert!(peers.nested_type.is_none() && peers.optional && !peers.computed && !peers.required);
        let nested = rules.nested_type.as_ref().unwrap();
        assert!(rules.r#type.is_empty() && rules.optional && rules.computed);
        assert_eq!(nested.nesting, i32::from(proto::schema::object::NestingMode::Map));
        assert_eq!((nested.attributes[0].name.as_str(), nested.attributes[0].required), ("port", true));
        assert!(password.write_only);
    }

    #[test]
    fn a_path_points_at_its_argument_and_is_told_in_words() {
        let mut all = Diagnostics::new();
        all.error(AttributePath::of("rules").key("ssh").attribute("peers").index(2), "s", "d");
        all.warning(AttributePath::root(), "w", "");
        let sent = diagnostics(all);
        assert_eq!(sent[0].severity, 1);
        assert_eq!(sent[0].attribute, Some(path(&AttributePath::of("rules"))));
        assert_eq!(sent[0].detail, "d\n\nThis is about `rules[\"ssh\"].peers[2]`.");
        assert_eq!((sent[1].severity, sent[1].attribute.is_none()), (2, true));
    }

    #[test]
    fn both_fields_empty_is_null() {
        assert!(decode(None, &Type::String) == Ok(Value::Null));
        assert!(decode(Some(&proto::DynamicValue::default()), &Type::String) == Ok(Value::Null));
        let json = proto::DynamicValue { msgpack: Vec::new(), json: b"\"a\"".to_vec() };
        assert!(decode(Some(&json), &Type::String) == Ok(Value::String("a".to_owned())));
    }

    #[test]
    fn a_value_of_the_wrong_type_names_its_attribute() {
        let block =
            Schema { attributes: vec![Attribute::required("port", Shape::Type(Type::Number), "")], ..Schema::default() }.block_type();
        let sent = proto::DynamicValue { msgpack: b"\x81\xa4port\xc3".to_vec(), json: Vec::new() };
        let found = decode(Some(&sent), &block).err().unwrap();
        assert_eq!(found.iter().next().unwrap().attribute, AttributePath::of("port"));
    }
}
