//! Configurations of each resource as people write them, in a few values an argument, so that changes meet often.

use std::collections::BTreeMap;

use bastion::tfplugin::schema::{Schema, Type};
use bastion::tfplugin::value::Value;
use proptest::prelude::*;

const KEYS: [&str; 3] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea again",
];

type Values = BoxedStrategy<Value>;

/// One of these texts.
fn text(values: &'static [&'static str]) -> Values {
    prop::sample::select(values).prop_map(Value::from).boxed()
}

fn number(values: &'static [i64]) -> Values {
    prop::sample::select(values).prop_map(Value::from).boxed()
}

fn truth() -> Values {
    any::<bool>().prop_map(Value::from).boxed()
}

/// Given or not.
fn maybe(value: Values) -> Values {
    prop_oneof![1 => Just(Value::Null), 2 => value].boxed()
}

/// Some of these, at least one, in any order: a set.
fn some(values: &'static [&'static str]) -> Values {
    let chosen = prop::sample::subsequence(values.to_vec(), 1..=values.len()).prop_shuffle();
    chosen.prop_map(|texts| Value::List(texts.into_iter().map(Value::from).collect())).boxed()
}

/// An object of these fields.
fn object<const N: usize>(fields: [(&'static str, Values); N]) -> Values {
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    values.prop_map(move |values| Value::Map(names.iter().map(ToString::to_string).zip(values).collect())).boxed()
}

/// A configuration with a null for whatever is not given, as Terraform sends it.
pub fn whole<const N: usize>(schema: &Schema, fields: [(&str, Value); N]) -> Value {
    let mut all: BTreeMap<_, _> = schema.attributes.iter().map(|attribute| (attribute.name.to_owned(), Value::Null)).collect();
    all.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    Value::Map(all)
}

fn configured<const N: usize>(type_name: &'static str, fields: [(&'static str, Values); N]) -> Values {
    let schema = bastion::provider::registry().resources[type_name].schema().clone();
    let given = object(fields);
    given
        .prop_map(move |given| match (whole(&schema, []), given) {
            (Value::Map(mut all), Value::Map(given)) => {
                all.extend(given);
                Value::Map(all)
            }
            _ => Value::Null,
        })
        .boxed()
}

/// Generated keys in plain text: a passphrase costs some 100 ms a use, and is in one of eight.
fn pairs() -> Values {
    let rotation = || maybe(number(&[1, 2, 3]));
    let plain = object([
        ("passphrase_wo", Just(Value::Null).boxed()),
        ("passphrase_wo_version", Just(Value::Null).boxed()),
        ("previous_passphrase_wo", Just(Value::Null).boxed()),
        ("allow_plaintext_in_state", Just(Value::from(true)).boxed()),
        ("rotation", rotation()),
        ("keep_previous", maybe(truth())),
        ("retire", maybe(number(&[1, 2, 3]))),
    ]);
    let sealed = object([
        ("passphrase_wo", text(&["correct horse", "lost"])),
        ("passphrase_wo_version", maybe(number(&[1, 2]))),
        ("previous_passphrase_wo", maybe(text(&["correct horse"]))),
        ("allow_plaintext_in_state", Just(Value::Null).boxed()),
        ("rotation", rotation()),
        ("keep_previous", maybe(truth())),
        ("retire", maybe(number(&[1, 2, 3]))),
    ]);
    prop_oneof![7 => plain, 1 => sealed].boxed()
}

fn supplied() -> Values {
    let keys: Vec<Value> = (0..2)
        .map(|_| {
            let key = bastion::key::PrivateKey::generate_ed25519().unwrap();
            Value::from(key.to_openssh().unwrap().expose().as_str())
        })
        .collect();
    object([
        ("private_key_wo", prop::sample::select(keys).boxed()),
        ("private_key_wo_version", maybe(number(&[1, 2]))),
        ("passphrase_wo", Just(Value::Null).boxed()),
    ])
}

/// `bastion_ssh_tunnel_connection`
pub fn tunnel() -> Values {
    let keys = prop_oneof![3 => (pairs(), Just(Value::Null)), 1 => (Just(Value::Null), supplied())];
    let keyed = object([
        ("name", text(&["a", "b"])),
        ("host", text(&["one.example.com", "two.example.com"])),
        ("port", maybe(number(&[22, 2222]))),
        ("user", text(&["neosync", "mz"])),
        ("host_keys", some(&KEYS)),
    ]);
    let all = configured("bastion_ssh_tunnel_connection", []);
    (all, keyed, keys)
        .prop_map(|(all, given, (pairs, supplied))| {
            let (Value::Map(mut all), Value::Map(given)) = (all, given) else { return Value::Null };
            all.extend(given);
            all.insert("key_pairs".to_owned(), pairs);
            all.insert("supplied_key".to_owned(), supplied);
            Value::Map(all)
        })
        .boxed()
}

/// `bastion_postgres_connection`
pub fn connection() -> Values {
    let verify = object([
        ("enabled", maybe(truth())),
        ("timeout", maybe(text(&["10s", "20s"]))),
        ("replication", maybe(truth())),
        ("publication", maybe(text(&["p"]))),
        ("tables", maybe(some(&["public.orders", "public.lines"]))),
    ]);
    let tunnel = object([
        ("name", maybe(text(&["a", "b"]))),
        ("host", text(&["bastion.example.com"])),
        ("port", maybe(number(&[22, 2222]))),
        ("user", text(&["neosync"])),
        ("host_keys", some(&KEYS)),
        ("insecure_ignore_host_key", Just(Value::Null).boxed()),
        ("private_key", Just(Value::Null).boxed()),
    ]);
    let key = bastion::key::PrivateKey::generate_ed25519().unwrap().to_openssh().unwrap();
    let key = Value::from(key.expose().as_str());
    let way = prop_oneof![(Just(Value::Null), Just(Value::Null)), (tunnel, Just(key))];
    let given = configured(
        "bastion_postgres_connection",
        [
            ("name", text(&["orders", "lines"])),
            ("host", text(&["db.internal"])),
            ("port", maybe(number(&[5432, 6432]))),
            ("user", text(&["app"])),
            ("password_wo", maybe(text(&["hunter2"]))),
            ("password_wo_version", maybe(number(&[1, 2]))),
            ("database", text(&["orders"])),
            ("sslmode", maybe(text(&["disable", "require"]))),
            ("verify", maybe(verify)),
            ("triggers", maybe(object([("keys", text(&["1", "2"]))]))),
        ],
    );
    (given, way)
        .prop_map(|(given, (tunnel, key))| {
            let Value::Map(mut given) = given else { return Value::Null };
            given.insert("ssh_tunnel".to_owned(), tunnel);
            given.insert("ssh_private_key_wo".to_owned(), key);
            Value::Map(given)
        })
        .boxed()
}

/// `bastion_authorized_keys`
#[cfg(feature = "aws")]
pub fn key_object() -> Values {
    configured(
        "bastion_authorized_keys",
        [
            ("bucket", text(&["my-bastion", "another-bastion"])),
            ("user", text(&["neosync", "mz"])),
            ("public_keys", some(&KEYS)),
            ("permit_open", maybe(prop_oneof![some(&["db.internal:5432", "other.internal:5432"]), Just(Value::List(vec![]))].boxed())),
            ("from", maybe(some(&["198.51.100.1", "198.51.100.1/32", "10.0.0.0/8"]))),
            ("expires", maybe(text(&["2099-01-01T00:00:00Z", "2099-01-01T01:00:00+01:00"]))),
            ("comment", maybe(text(&["one", "two"]))),
            ("prefix", maybe(text(&["public-keys/", "keys/"]))),
            ("kms_key_id", maybe(text(&["alias/bastion", "1234abcd-12ab-34cd-56ef-1234567890ab"]))),
            ("adopt", maybe(truth())),
            ("expected_bucket_owner", maybe(text(&["123456789012"]))),
        ],
    )
}

/// `bastion_security_group_rules`
#[cfg(feature = "aws")]
pub fn rules() -> Values {
    let entry = || {
        let ports =
            prop_oneof![number(&[22, 443]).prop_map(|port| [port, Value::Null, Value::Null]), Just([Value::Null, 20.into(), 25.into()]),];
        let peers =
            some(&["198.51.100.1", "198.51.100.1/32", "198.51.100.2", "2001:DB8::1", "sg-1a2b3c4d", "pl-68a54001", "subnet-1a2b3c4d"]);
        (ports, peers, maybe(text(&["tcp", "TCP"])), maybe(text(&["one", "two"]))).prop_map(
            |([port, from, to], peers, protocol, description)| {
                let fields = [
                    ("port", port),
                    ("from_port", from),
                    ("to_port", to),
                    ("peers", peers),
                    ("protocol", protocol),
                    ("description", description),
                ];
                Value::Map(fields.map(|(name, field)| (name.to_owned(), field)).into())
            },
        )
    };
    let entries = move || {
        let names = prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
        prop::collection::btree_map(names, entry(), 1..=2).prop_map(Value::Map).boxed()
    };
    configured(
        "bastion_security_group_rules",
        [("security_group_id", text(&["sg-0123456789abcdef0"])), ("ingress", entries()), ("egress", maybe(entries()))],
    )
}

/// Whether an apply of this resource reaches nothing.
pub fn is_offline(type_name: &str, planned: &Value) -> bool {
    match type_name {
        "bastion_ssh_tunnel_connection" => true,
        "bastion_postgres_connection" => planned.is_wholly_known() || *planned.field("verify").field("enabled") == Value::from(false),
        _ => false,
    }
}

/// What an apply that cannot be made here could have made of a plan.
pub fn made_up(planned: &Value, r#type: &Type) -> Value {
    match (planned, r#type) {
        (Value::Unknown(_), Type::String) => "0123456789abcdef".into(),
        (Value::Unknown(_), Type::Number) => 1.into(),
        (Value::Unknown(_), Type::Bool) => true.into(),
        (Value::Unknown(_), Type::List(_) | Type::Set(_)) => Value::List(vec![]),
        (Value::Unknown(_), _) => Value::Map(BTreeMap::new()),
        (Value::Map(fields), Type::Object(types)) => {
            let made =
                |(name, field): (&String, &Value)| (name.clone(), types.get(name).map_or(Value::Null, |inner| made_up(field, inner)));
            Value::Map(fields.iter().map(made).collect())
        }
        (Value::Map(elements), Type::Map(inner)) => {
            Value::Map(elements.iter().map(|(key, element)| (key.clone(), made_up(element, inner))).collect())
        }
        (Value::List(elements), Type::List(inner) | Type::Set(inner)) => {
            Value::List(elements.iter().map(|element| made_up(element, inner)).collect())
        }
        (known, _) => known.clone(),
    }
}

/// A configuration of made-up values, to be read by whoever mends what broke.
pub fn show(value: &Value) -> String {
    match value {
        Value::Map(fields) => {
            let given = fields.iter().filter(|(_, field)| !field.is_null());
            format!("{{{}}}", given.map(|(name, field)| format!("{name}={}", show(field))).collect::<Vec<_>>().join(" "))
        }
        Value::List(elements) => format!("[{}]", elements.iter().map(show).collect::<Vec<_>>().join(" ")),
        Value::String(text) => text.chars().take(40).collect(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        other => format!("{other:?}"),
    }
}
