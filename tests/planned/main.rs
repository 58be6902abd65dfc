//! All real resources over generated (prior state, configuration, unknown positions, ignored attributes), judged as Terraform judges them.
#![cfg(test)]

mod resources;

use bastion::tfplugin::contract::ignore::{Ignored, ignore_changes};
use bastion::tfplugin::contract::propose::propose;
use bastion::tfplugin::contract::{assert_apply_compatible, assert_no_change, assert_plan_valid, assert_second_plan_consistent};
use bastion::tfplugin::diagnostic::{Diagnostics, Severity};
use bastion::tfplugin::erased::{ErasedApply, ErasedChange, ErasedKept, ErasedPlanned, ErasedResource, Registry};
use bastion::tfplugin::kind::Private;
use bastion::tfplugin::schema::transform::null_unknowns;
use bastion::tfplugin::schema::{Attribute, Nesting, Presence, Schema, Shape};
use bastion::tfplugin::value::Value;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio_util::sync::CancellationToken;

/// How many chains of create, change and change again a resource goes through. A chain takes some milliseconds …
const CASES: u32 = 1500;

/// … but for a tunnel's, whose passphrase takes 100 at each use.
const SLOW_CASES: u32 = 300;

/// One change: which arguments are written anew, which parts are unknown at plan, and what is ignored.
#[derive(Clone)]
struct Step {
    config: Value,
    /// The arguments that are taken from it; the others stay as they were written before.
    anew: Vec<String>,
    /// Whether those come from something that is yet to be made, and are unknown at plan.
    late: bool,
    /// Which other parts are.
    hidden: Vec<bool>,
    ignored: Ignored,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = resources::show(&self.config);
        write!(f, "{shown} anew {:?} late {} hidden {:?} ignored {:?}", self.anew, self.late, self.hidden, self.ignored)
    }
}

/// What Terraform keeps of an object.
#[derive(Clone)]
struct Kept {
    state: Value,
    private: Private,
}

fn step(config: BoxedStrategy<Value>, names: Vec<String>) -> impl Strategy<Value = Step> {
    let hidden = |share: f64| prop::collection::vec(prop::bool::weighted(share), 40);
    let hidden = prop_oneof![2 => Just(vec![]), 1 => hidden(0.04), 1 => hidden(0.3)];
    let ignored = prop_oneof![
        3 => Just(Ignored::Attributes(vec![])),
        1 => Just(Ignored::All),
        3 => prop::sample::subsequence(names.clone(), 1..=2).prop_map(Ignored::Attributes),
    ];
    let anew = prop::sample::subsequence(names, 0..=3);
    (config, anew, any::<bool>(), hidden, ignored).prop_map(|(config, anew, late, hidden, ignored)| Step {
        config,
        anew,
        late,
        hidden,
        ignored,
    })
}

/// A configuration with some arguments of another.
fn rewritten(config: &Value, step: &Step) -> Value {
    match config {
        Value::Map(fields) => {
            let field = |(name, field): (&String, &Value)| {
                let field = if step.anew.contains(name) { step.config.field(name) } else { field };
                (name.clone(), field.clone())
            };
            Value::Map(fields.iter().map(field).collect())
        }
        other => other.clone(),
    }
}

fn arguments(schema: &Schema) -> Vec<String> {
    schema
        .attributes
        .iter()
        .filter(|attribute| attribute.presence != Presence::Computed)
        .map(|attribute| attribute.name.to_owned())
        .collect()
}

/// The configuration as the first plan sees it.
fn partly_known(attributes: &[Attribute], written: &Value, step: &Step) -> Value {
    let mut partly = hide(attributes, written, &mut step.hidden.iter().copied());
    if let (Value::Map(fields), true) = (&mut partly, step.late) {
        fields.extend(step.anew.iter().map(|name| (name.clone(), Value::UNKNOWN)));
    }
    partly
}

/// The value with some of its configured parts unknown, as if they came from something that is yet to be made.
fn hide(attributes: &[Attribute], value: &Value, picks: &mut impl Iterator<Item = bool>) -> Value {
    let Value::Map(fields) = value else { return value.clone() };
    let hidden = fields.iter().map(|(name, field)| {
        let attribute = attributes.iter().find(|attribute| attribute.name == name);
        let hidden = match attribute {
            Some(attribute) if attribute.presence != Presence::Computed => hide_attribute(attribute, field, picks),
            _ => field.clone(),
        };
        (name.clone(), hidden)
    });
    Value::Map(hidden.collect())
}

fn hide_attribute(attribute: &Attribute, value: &Value, picks: &mut impl Iterator<Item = bool>) -> Value {
    if picks.next().unwrap_or(false) {
        return Value::UNKNOWN;
    }
    match (&attribute.shape, value) {
        (Shape::Nested(Nesting::Single, inner), Value::Map(_)) => hide(inner, value, picks),
        (Shape::Nested(_, inner), Value::Map(objects)) => {
            let each = |(key, object): (&String, &Value)| (key.clone(), hide(inner, object, picks));
            Value::Map(objects.iter().map(each).collect())
        }
        (Shape::Type(_), Value::List(elements)) => {
            let each = |element: &Value| if picks.next().unwrap_or(false) { Value::UNKNOWN } else { element.clone() };
            Value::List(elements.iter().map(each).collect())
        }
        _ => value.clone(),
    }
}

fn words(diagnostics: &Diagnostics) -> Vec<String> {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    errors.map(|diagnostic| format!("{}: {}: {}", diagnostic.attribute, diagnostic.summary, diagnostic.detail)).collect()
}

/// A provider process. It is configured with values that are yet to be made, so that a refresh reaches nothing: state is all there is.
fn process() -> Registry {
    let registry = bastion::provider::registry();
    let configuration = &registry.configuration;
    let block = Value::Map(configuration.schema().attributes.iter().map(|attribute| (attribute.name.to_owned(), Value::UNKNOWN)).collect());
    assert!(!configuration.configure(block, "1.11.4").has_errors());
    registry
}

/// What Terraform asks while it plans: a refresh, then the plan.
async fn refresh_and_plan(resource: &dyn ErasedResource, prior: Option<&Kept>, config: &Value) -> Result<ErasedPlanned, Vec<String>> {
    if let Some(prior) = prior {
        let kept = ErasedKept { state: prior.state.clone(), private: prior.private.clone() };
        let read = resource.read(CancellationToken::new(), kept).await.map_err(|refused| words(&refused))?;
        assert!(read.is_some_and(|read| read.state == prior.state), "a refresh that reaches nothing changes nothing");
    }
    plan(resource, prior, config).await
}

async fn plan(resource: &dyn ErasedResource, prior: Option<&Kept>, config: &Value) -> Result<ErasedPlanned, Vec<String>> {
    let proposed = propose(resource.schema(), prior.map(|prior| &prior.state), config);
    let private = prior.map(|prior| prior.private.clone()).unwrap_or_default();
    let change = ErasedChange { prior: prior.map(|prior| prior.state.clone()), config: config.clone(), proposed, private };
    resource.plan(CancellationToken::new(), change).await.map_err(|refused| words(&refused))
}

/// One change as Terraform makes it, in a process for each walk: plan with unknowns, then plan without and apply, then plan again.
/// `Ok(None)`: the user's own mistake.
async fn change(type_name: &str, prior: Option<&Kept>, written: &Value, step: &Step) -> Result<Option<Kept>, String> {
    let [planning, applying, planning_again] = std::array::from_fn(|_| process());
    let [planner, resource, after] = [&planning, &applying, &planning_again].map(|registry| registry.resources[type_name].as_ref());
    let schema = resource.schema();
    if resource.validate(written.clone()).has_errors() {
        return Ok(None);
    }
    let before = prior.map(|prior| &prior.state);
    let config = ignore_changes(&step.ignored, before, written);
    let partly = ignore_changes(&step.ignored, before, &partly_known(&schema.attributes, written, step));
    let Ok(second) = plan(resource, prior, &config).await else { return Ok(None) };
    let first = refresh_and_plan(planner, prior, &partly).await.map_err(|words| format!("a plan with unknown values fails: {words:?}"))?;
    // What is planned as it is, Terraform does not plan once more.
    if let Some(prior) = prior.filter(|prior| assert_no_change(schema, &prior.state, &first.planned).is_empty()) {
        let faults = assert_plan_valid(schema, before, &partly, &first.planned);
        return if faults.is_empty() { Ok(Some(prior.clone())) } else { Err(format!("the first plan: {faults:?}")) };
    }
    for (what, faults) in [
        ("the first plan", assert_plan_valid(schema, before, &partly, &first.planned)),
        ("the second plan", assert_plan_valid(schema, before, &config, &second.planned)),
        ("the final plan", assert_second_plan_consistent(schema, &first.planned, &second.planned)),
    ] {
        if !faults.is_empty() {
            return Err(format!("{what}: {faults:?}"));
        }
    }
    // A replacement is a plan of its own; an apply is made where nothing has to be reached for it.
    if prior.is_some() && !second.requires_replace.is_empty() {
        return Ok(None);
    }
    let kept = if resources::is_offline(resource.type_name(), &second.planned) {
        let prior = prior.map(|prior| prior.state.clone());
        let private = second.private.clone();
        let apply = ErasedApply { prior: prior.clone(), planned: second.planned.clone(), config: written.clone(), private };
        let done = if prior.is_none() {
            resource.create(CancellationToken::new(), apply).await
        } else {
            resource.update(CancellationToken::new(), apply).await
        };
        let Some(state) = done.state.filter(|_| !done.diagnostics.has_errors()) else {
            // A secret that was taken out of the plan is judged in apply.
            return if step.ignored == Ignored::Attributes(vec![]) {
                Err(format!("the apply fails: {:?}", words(&done.diagnostics)))
            } else {
                Ok(None)
            };
        };
        let faults = assert_apply_compatible(schema, &second.planned, &state);
        if !faults.is_empty() {
            return Err(format!("the apply: {faults:?}"));
        }
        Kept { state, private: done.private }
    } else {
        Kept { state: resources::made_up(&second.planned, &schema.block_type()), private: second.private.clone() }
    };
    let settled = ignore_changes(&step.ignored, Some(&kept.state), written);
    let again = refresh_and_plan(after, Some(&kept), &settled).await.map_err(|words| format!("the plan after it fails: {words:?}"))?;
    let faults = assert_no_change(schema, &kept.state, &again.planned);
    if faults.is_empty() { Ok(Some(kept)) } else { Err(format!("the plan after it is not empty: {faults:?}")) }
}

fn drive(type_name: &str, cases: u32, config: BoxedStrategy<Value>) {
    let steps = prop::collection::vec(step(config, arguments(process().resources[type_name].schema())), 2..5);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = std::cell::Cell::new(0_u32);
    // The same changes in every run: what fails here fails for whoever looks into it.
    let runner = Config { cases, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new_with_rng(runner, TestRng::deterministic_rng(RngAlgorithm::ChaCha)).run(&steps, |steps| {
        let mut kept: Option<Kept> = None;
        let mut config = steps.first().map_or(Value::Null, |step| step.config.clone());
        for step in &steps {
            config = rewritten(&config, step);
            match runtime.block_on(change(type_name, kept.as_ref(), &config, step)) {
                Ok(Some(object)) => {
                    kept = Some(object);
                    made.set(made.get() + 1);
                }
                Ok(None) => break,
                Err(fault) => return Err(TestCaseError::fail(fault)),
            }
        }
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{type_name}: {error}");
    }
    assert!(made.get() > cases / 2, "only {} changes were made: most configurations are refused", made.get());
}

#[test]
fn tunnels_are_what_was_planned() {
    drive("bastion_ssh_tunnel_connection", SLOW_CASES, resources::tunnel());
}

#[test]
fn connections_are_what_was_planned() {
    drive("bastion_postgres_connection", CASES, resources::connection());
}

#[test]
#[cfg(feature = "aws")]
fn objects_are_what_was_planned() {
    drive("bastion_authorized_keys", CASES, resources::key_object());
}

#[test]
#[cfg(feature = "aws")]
fn rules_are_what_was_planned() {
    drive("bastion_security_group_rules", CASES, resources::rules());
}

#[test]
fn unknown_parts_are_hidden_where_a_user_can_write_them() {
    let schema = bastion::provider::registry().resources["bastion_ssh_tunnel_connection"].schema().clone();
    let config = resources::whole(&schema, [("name", "n".into()), ("id", Value::Null)]);
    let hidden = hide(&schema.attributes, &config, &mut std::iter::repeat(true));
    assert!(*hidden.field("name") == Value::UNKNOWN && hidden.field("id").is_null());
    assert!(null_unknowns(hidden).field("name").is_null());
}
