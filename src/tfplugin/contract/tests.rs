//! One case for each rule of Terraform's.

use super::ignore::{Ignored, ignore_changes};
use super::propose::propose;
use super::*;
use crate::tfplugin::schema::{nested_list, nested_set, nested_single, set_of, string};

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect())
}

fn schema() -> Schema {
    let inner = || vec![Attribute::required("key", string(), ""), Attribute::computed("made", string(), "")];
    Schema::new(
        "",
        vec![
            Attribute::computed("id", string(), ""),
            Attribute::required("name", string(), ""),
            Attribute::optional_computed("port", string(), ""),
            Attribute::optional("note", string(), ""),
            Attribute::optional("secret_wo", string(), "").write_only(),
            Attribute::optional("one", nested_single(inner()), ""),
            Attribute::optional("many", nested_list(inner()), ""),
            Attribute::optional("any", nested_set(inner()), ""),
            Attribute::computed("names", set_of(Type::String), ""),
            Attribute::optional("labels", set_of(Type::String), ""),
        ],
    )
}

fn element(made: Value) -> Value {
    object([("key", "k".into()), ("made", made)])
}

fn configured() -> Value {
    object([
        ("name", "n".into()),
        ("secret_wo", "hunter2".into()),
        ("one", element(Value::Null)),
        ("any", Value::List(vec![element(Value::Null)])),
    ])
}

fn planned() -> Value {
    object([
        ("id", Value::UNKNOWN),
        ("name", "n".into()),
        ("port", "22".into()),
        ("one", element(Value::UNKNOWN)),
        ("any", Value::List(vec![element(Value::UNKNOWN)])),
        ("names", Value::List(vec!["a".into(), Value::UNKNOWN])),
    ])
}

fn with(value: Value, name: &str, field: Value) -> Value {
    let Value::Map(mut fields) = value else { panic!("not an object") };
    fields.insert(name.to_owned(), field);
    Value::Map(fields)
}

fn applied() -> Value {
    let made = object([
        ("id", "i".into()),
        ("one", element("m".into())),
        ("any", Value::List(vec![element("m".into())])),
        ("names", Value::List(vec!["b".into(), "a".into()])),
    ]);
    let Value::Map(made) = made else { panic!("not an object") };
    made.into_iter().fold(planned(), |value, (name, field)| with(value, &name, field))
}

#[test]
fn a_right_plan_and_a_right_apply_are_not_blamed() {
    assert_eq!(assert_plan_valid(&schema(), None, &configured(), &planned()), [""; 0]);
    assert_eq!(assert_apply_compatible(&schema(), &planned(), &applied()), [""; 0]);
    assert_eq!(assert_second_plan_consistent(&schema(), &planned(), &planned()), [""; 0]);
    assert_eq!(assert_second_plan_consistent(&schema(), &planned(), &applied()), [""; 0]);
    let proposed = strip_write_only(&schema(), propose(&schema(), Some(&applied()), &configured()));
    assert_eq!(assert_no_change(&schema(), &applied(), &proposed), [""; 0]);
    assert_eq!(assert_plan_valid(&schema(), Some(&applied()), &configured(), &proposed), [""; 0]);
}

#[test]
fn what_is_configured_is_planned_as_configured() {
    let blamed = |name: &str, field: Value| assert_plan_valid(&schema(), None, &configured(), &with(planned(), name, field));
    assert_eq!(blamed("name", "N".into()), ["`name` is planned neither as configured nor as it was"]);
    assert_eq!(blamed("note", "x".into()), ["`note` is planned, but it is neither configured nor computed"]);
    assert_eq!(blamed("secret_wo", "hunter2".into()), ["a write-only value is not null"]);
    assert_eq!(blamed("one", Value::Null), ["`one` is configured, but planned to be absent"]);
    assert_eq!(blamed("one", Value::UNKNOWN), ["`one` is configured, but planned as unknown"]);
    assert_eq!(blamed("one", object([("key", "K".into())])), ["`one.key` is planned neither as configured nor as it was"]);
    assert_eq!(blamed("any", Value::List(vec![])), ["`any` is planned with other elements than configured"]);
    assert_eq!(blamed("many", Value::List(vec![])), ["`many` is planned, but it is neither configured nor computed"]);
    assert_eq!(blamed("port", 22.into()), ["`port`: a string is needed, but this is a number"]);
    assert_eq!(assert_plan_valid(&schema(), None, &configured(), &Value::Null), ["the planned value is not an object"]);
}

#[test]
fn the_order_of_a_set_means_nothing() {
    let labelled = |value: Value, labels: [&str; 2]| with(value, "labels", Value::List(labels.map(Value::from).to_vec()));
    let (config, plan) = (labelled(configured(), ["a", "b"]), labelled(planned(), ["b", "a"]));
    assert_eq!(assert_plan_valid(&schema(), None, &config, &plan), [""; 0]);
    assert_eq!(assert_apply_compatible(&schema(), &plan, &labelled(applied(), ["a", "b"])), [""; 0]);
    let broken = ["`labels` is planned neither as configured nor as it was"];
    assert_eq!(assert_plan_valid(&schema(), None, &config, &labelled(planned(), ["b", "c"])), broken);
}

#[test]
fn another_spelling_of_the_prior_value_may_stay() {
    let prior = with(applied(), "name", "N".into());
    let plan = with(applied(), "name", "N".into());
    assert_eq!(assert_plan_valid(&schema(), Some(&prior), &configured(), &plan), [""; 0]);
    let config = with(configured(), "name", Value::Null);
    assert_eq!(
        assert_plan_valid(&schema(), Some(&prior), &config, &plan),
        ["`name` is planned, but it is neither configured nor computed"]
    );
}

#[test]
fn what_was_planned_is_what_is_applied() {
    let blamed = |name: &str, field: Value| assert_apply_compatible(&schema(), &planned(), &with(applied(), name, field));
    assert_eq!(blamed("port", "23".into()), ["`port` is not as planned"]);
    assert_eq!(blamed("port", Value::Null), ["`port` was there and is null now"]);
    assert_eq!(blamed("note", "x".into()), ["`note` was null and is not now"]);
    assert_eq!(blamed("id", Value::UNKNOWN), ["`id` is still unknown"]);
    assert_eq!(blamed("port", Value::UNKNOWN), ["`port` is still unknown", "`port` was known and is unknown now"]);
    assert_eq!(blamed("names", Value::List(vec!["b".into(), "c".into()])), ["`names` has other elements than planned"]);
    assert_eq!(blamed("names", Value::List(vec!["a".into()])), [""; 0], "the unknown element may have been this one");
    assert_eq!(blamed("names", Value::List(vec![])), ["`names` has other elements than planned"]);
    assert_eq!(
        blamed("names", Value::List(vec!["a".into(), "b".into(), "c".into()])),
        ["`names` has other elements than planned"],
        "one unknown element is one at the most"
    );
    assert_eq!(
        blamed("any", Value::List(vec![element("m".into()), object([("key", "other".into())])])),
        ["`any` has other elements than planned"]
    );
    assert_eq!(blamed("secret_wo", "hunter2".into()), ["a write-only value is not null", "`secret_wo` was null and is not now"]);
}

#[test]
fn a_promise_about_an_unknown_value_holds() {
    let promise = |refinement: Refinement| with(planned(), "id", Value::Unknown(Some(Box::new(refinement))));
    let broken = ["`id` is not what was promised of it"];
    let prefix = promise(Refinement { prefix: Some("sg-".to_owned()), ..Refinement::default() });
    assert_eq!(assert_apply_compatible(&schema(), &prefix, &applied()), broken);
    assert_eq!(assert_apply_compatible(&schema(), &prefix, &with(applied(), "id", "sg-1".into())), [""; 0]);
    let not_null = promise(Refinement { not_null: true, ..Refinement::default() });
    assert_eq!(assert_apply_compatible(&schema(), &not_null, &with(applied(), "id", Value::Null)), broken);
    let number = Refinement { lower: Some((1.into(), false)), upper: Some((2.into(), true)), ..Refinement::default() };
    assert!(!keeps(&number, &1.into()) && keeps(&number, &2.into()) && !keeps(&number, &3.into()));
    let length = Refinement { min_length: Some(1), max_length: Some(1), ..Refinement::default() };
    assert!(!keeps(&length, &Value::List(vec![])) && keeps(&length, &Value::List(vec![Value::Null])));
}

#[test]
fn a_plan_that_churns_shows() {
    let churned = with(with(applied(), "id", Value::UNKNOWN), "names", Value::List(vec!["a".into(), "b".into()]));
    assert_eq!(assert_no_change(&schema(), &applied(), &churned), ["`id` would change"]);
}

#[test]
fn what_is_ignored_is_as_it_was_in_a_plan_and_as_it_is_written_in_apply() {
    let prior = with(applied(), "name", "before".into());
    let ignored = |names: &[&str]| Ignored::Attributes(names.iter().map(ToString::to_string).collect());
    let planned = ignore_changes(&ignored(&["name", "secret_wo"]), Some(&prior), &configured());
    assert!(*planned.field("name") == "before".into() && planned.field("secret_wo").is_null());
    assert!(planned.field("one") == configured().field("one"));
    assert!(ignore_changes(&Ignored::All, Some(&prior), &configured()) == prior);
    for ignored in [Ignored::All, ignored(&["name"])] {
        assert!(ignore_changes(&ignored, None, &configured()) == configured(), "a new object has nothing to be kept");
    }
}

#[test]
fn a_proposal_keeps_what_was_computed_and_takes_what_is_configured() {
    let second = object([("key", "new".into()), ("made", Value::Null)]);
    let config = with(configured(), "any", Value::List(vec![second.clone(), element(Value::Null)]));
    let config = with(config, "many", Value::List(vec![element(Value::Null), second.clone()]));
    let prior = with(applied(), "many", Value::List(vec![element("first".into())]));
    let proposed = propose(&schema(), Some(&prior), &config);
    assert!(*proposed.field("id") == "i".into() && *proposed.field("port") == "22".into());
    assert!(*proposed.field("secret_wo") == "hunter2".into(), "Terraform proposes it, and the plan must not");
    assert!(*proposed.field("many") == Value::List(vec![element("first".into()), second.clone()]));
    assert!(*proposed.field("any") == Value::List(vec![second, element("m".into())]));
    assert!(*propose(&schema(), None, &config).field("id") == Value::Null);
}
