//! A resource that breaks its promises in every way, and what stays in state.

use super::*;
use crate::secret::Secret;
use crate::tfplugin::kind::{Planned, Private};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::{Attribute, Type, list_of, number, string};

model! {
    pub struct Thing {
        pub id: Attr<String>,
        pub name: Attr<String>,
        pub size: Attr<i64>,
        pub secret_wo: Attr<Secret<String>>,
        pub notes: Attr<Vec<Attr<String>>>,
    }
}

pub fn schema() -> Schema {
    Schema::new(
        "A thing.",
        vec![
            Attribute::computed("id", string(), "Its id."),
            Attribute::required("name", string(), "What to do."),
            Attribute::optional("size", number(), "How large."),
            Attribute::optional("secret_wo", string(), "Never kept.").write_only(),
            Attribute::computed("notes", list_of(Type::String), "What happened."),
        ],
    )
}

/// Says what to do by its name.
pub struct Things;

fn because(summary: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(AttributePath::root(), summary, "");
    diagnostics
}

pub fn advice() -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.warning(AttributePath::root(), "advice", "");
    diagnostics
}

fn kept(model: Thing, private: &[u8]) -> Kept<Thing> {
    Kept { model, private: Private(private.to_vec()) }
}

impl Things {
    fn make(call: &Call<Thing>, apply: Apply<Thing>) -> Applied<Thing> {
        let made = Thing { id: "made".into(), notes: Attr::Known(vec![]), ..apply.planned };
        let what = made.name.clone().into_known().unwrap_or_default();
        match what.as_str() {
            "done" => Applied::Done(kept(made, b"new"), advice()),
            "done with errors" => Applied::Done(kept(made, b"new"), because("late")),
            "partial" => Applied::Partial(kept(made, b"part"), because("half")),
            "partial in silence" => Applied::Partial(kept(made, b"part"), advice()),
            "nothing" => Applied::Nothing(because("refused")),
            "nothing in silence" => Applied::Nothing(Diagnostics::new()),
            "unknown" => {
                Applied::Done(kept(Thing { notes: Attr::Known(vec!["a".into(), Attr::Unknown]), ..made }, b"new"), Diagnostics::new())
            }
            "keep, then panic" => {
                call.keep(kept(Thing { size: Attr::Unknown, ..made.clone() }, b"early"));
                call.keep(kept(made, b"checkpoint"));
                panic!("hunter2")
            }
            _ => panic!("hunter2"),
        }
    }
}

impl Resource for Things {
    type Model = Thing;

    fn type_name(&self) -> &'static str {
        "bastion_thing"
    }

    fn schema(&self) -> Schema {
        schema()
    }

    fn validate(&self, config: &Thing) -> Diagnostics {
        match config.name.known().map(String::as_str) {
            Some("panic") => panic!("hunter2"),
            _ => advice(),
        }
    }

    async fn plan(&self, _call: &Call<Thing>, change: Change<Thing>) -> Result<Planned<Thing>, Diagnostics> {
        assert!(change.proposed.secret_wo.is_null(), "write-only values are not proposed");
        match change.config.name.known().map(String::as_str) {
            Some("panic") => panic!("hunter2"),
            Some("refuse") => Err(because("refused")),
            Some("refuse in silence") => Err(Diagnostics::new()),
            Some("warn of an error") => Ok(Planned { warnings: because("late"), ..Planned::new(change.proposed, change.private) }),
            _ => {
                let model = Thing { secret_wo: change.config.secret_wo, ..change.proposed };
                Ok(Planned { requires_replace: vec![AttributePath::of("name")], warnings: advice(), ..Planned::new(model, change.private) })
            }
        }
    }

    async fn create(&self, call: &Call<Thing>, apply: Apply<Thing>) -> Applied<Thing> {
        assert!(apply.prior.is_none());
        Self::make(call, apply)
    }

    async fn read(&self, call: &Call<Thing>, kept: Kept<Thing>) -> Result<Option<Kept<Thing>>, Diagnostics> {
        match kept.model.name.known().map(String::as_str) {
            Some("panic") => panic!("hunter2"),
            Some("gone") => Ok(None),
            Some("cancelled") => Err(because(if call.cancelled.is_cancelled() { "stopped" } else { "running" })),
            Some("unknown") => Ok(Some(Kept { model: Thing { size: Attr::Unknown, ..kept.model }, private: kept.private })),
            _ => Ok(Some(Kept { model: Thing { secret_wo: Attr::Known("hunter2".into()), ..kept.model }, private: kept.private })),
        }
    }

    async fn update(&self, call: &Call<Thing>, apply: Apply<Thing>) -> Applied<Thing> {
        assert!(apply.prior.is_some());
        Self::make(call, apply)
    }

    async fn delete(&self, _call: &Call<Thing>, kept: Kept<Thing>) -> Result<Diagnostics, Diagnostics> {
        match kept.model.name.known().map(String::as_str) {
            Some("panic") => panic!("hunter2"),
            Some("refuse in silence") => Err(Diagnostics::new()),
            _ => Ok(advice()),
        }
    }

    async fn import(&self, _call: &Call<Thing>, id: &str) -> Result<(Kept<Thing>, Diagnostics), Diagnostics> {
        match id {
            "panic" => panic!("hunter2"),
            "warn of an error" => Ok((kept(Thing::default(), b""), because("late"))),
            _ => Ok((kept(Thing { id: id.into(), secret_wo: Attr::Known("hunter2".into()), ..Thing::default() }, b"imported"), advice())),
        }
    }
}

fn resource() -> Adapter<Things> {
    Adapter::new(schema(), Things)
}

pub fn thing(name: &str) -> Thing {
    Thing { name: name.into(), size: 1.into(), ..Thing::default() }
}

fn config(name: &str) -> Value {
    Thing { secret_wo: Attr::Known("hunter2".into()), ..thing(name) }.into_value()
}

fn apply(prior: Option<Thing>, name: &str) -> ErasedApply {
    let planned = Thing { id: Attr::Unknown, notes: Attr::Unknown, ..thing(name) }.into_value();
    ErasedApply { prior: prior.map(Thing::into_value), planned, config: config(name), private: Private(b"planned".to_vec()) }
}

async fn create(name: &str) -> ErasedApplied {
    resource().create(CancellationToken::new(), apply(None, name)).await
}

async fn update(name: &str) -> ErasedApplied {
    resource().update(CancellationToken::new(), apply(Some(thing("prior")), name)).await
}

pub fn summaries(diagnostics: &Diagnostics) -> Vec<&str> {
    diagnostics.iter().map(|diagnostic| diagnostic.summary.as_str()).collect()
}

/// A fault says which verb of which type, and nothing of what the panic said.
pub fn assert_fault(diagnostics: &Diagnostics, verb: &str, type_name: &str) {
    assert_eq!(summaries(diagnostics), [fault::SUMMARY]);
    let detail = diagnostics.iter().map(|diagnostic| diagnostic.detail.as_str()).collect::<String>();
    assert!(detail.contains(&format!("`{verb}` of `{type_name}`")), "{detail}");
    assert!(detail.contains(fault::REPORT) && !detail.contains("hunter2"), "{detail}");
}

pub fn refused<T>(answer: Result<T, Diagnostics>) -> Diagnostics {
    match answer {
        Ok(_) => panic!("no error"),
        Err(diagnostics) => diagnostics,
    }
}

fn made(name: &str) -> Value {
    Thing { id: "made".into(), notes: Attr::Known(vec![]), ..thing(name) }.into_value()
}

#[tokio::test]
async fn what_was_done_is_in_state_without_its_secrets() {
    for applied in [create("done").await, update("done").await] {
        assert!(applied.state == Some(made("done")), "{:?}", applied.state);
        assert!(applied.private.0 == b"new");
        assert_eq!(summaries(&applied.diagnostics), ["advice"]);
    }
}

#[tokio::test]
async fn a_panic_after_keep_leaves_what_was_kept() {
    for (verb, applied) in [("create", create("keep, then panic").await), ("update", update("keep, then panic").await)] {
        assert!(applied.state == Some(made("keep, then panic")), "{:?}", applied.state);
        assert!(applied.private.0 == b"checkpoint", "the last checkpoint counts");
        assert_fault(&applied.diagnostics, verb, "bastion_thing");
        assert!(applied.diagnostics.iter().all(|fault| fault.detail.contains(KEPT)));
    }
}

#[tokio::test]
async fn a_panic_before_keep_leaves_nothing_or_the_prior_state() {
    let created = create("panic").await;
    assert!(created.state.is_none());
    assert_fault(&created.diagnostics, "create", "bastion_thing");
    assert!(created.diagnostics.iter().all(|fault| fault.detail.contains(NOT_KEPT)));
    let updated = update("panic").await;
    assert!(updated.state == Some(thing("prior").into_value()));
    assert_fault(&updated.diagnostics, "update", "bastion_thing");
}

#[tokio::test]
async fn a_failure_always_says_why() {
    let partial = create("partial").await;
    assert!(partial.state == Some(made("partial")) && partial.private.0 == b"part");
    assert_eq!(summaries(&partial.diagnostics), ["half"]);
    assert_eq!(summaries(&create("partial in silence").await.diagnostics), ["advice", fault::SUMMARY]);

    let nothing = create("nothing").await;
    assert!(nothing.state.is_none());
    assert_eq!(summaries(&nothing.diagnostics), ["refused"]);
    assert!(update("nothing").await.state == Some(thing("prior").into_value()));
    assert_eq!(summaries(&create("nothing in silence").await.diagnostics), [fault::SUMMARY]);

    let late = create("done with errors").await;
    assert!(late.state == Some(made("done with errors")), "an object that exists is never forgotten");
    assert_eq!(summaries(&late.diagnostics), ["late"]);
}

#[tokio::test]
async fn a_state_with_unknowns_is_kept_without_them_and_blamed() {
    let applied = create("unknown").await;
    assert!(*applied.state.unwrap_or(Value::Null).field("notes") == Value::List(vec!["a".into(), Value::Null]));
    assert_fault(&applied.diagnostics, "create", "bastion_thing");
    assert_eq!(applied.diagnostics.iter().map(|diagnostic| diagnostic.attribute.to_string()).collect::<Vec<_>>(), ["notes[1]"]);
}

async fn plan(prior: Option<Value>, name: &str) -> Result<ErasedPlanned, Diagnostics> {
    let change = ErasedChange { prior, config: config(name), proposed: config(name), private: Private(b"p".to_vec()) };
    resource().plan(CancellationToken::new(), change).await
}

#[tokio::test]
async fn a_plan_marks_what_is_computed_and_drops_what_is_write_only() {
    let Ok(planned) = plan(None, "x").await else { panic!("refused") };
    assert!(planned.planned == Thing { id: Attr::Unknown, notes: Attr::Unknown, ..thing("x") }.into_value(), "{:?}", planned.planned);
    assert!(planned.private.0 == b"p");
    assert_eq!(planned.requires_replace, [AttributePath::of("name")]);
    assert_eq!(summaries(&planned.warnings), ["advice"]);
    let Ok(planned) = plan(Some(thing("x").into_value()), "x").await else { panic!("refused") };
    assert!(planned.planned.field("id").is_null(), "only a create starts from unknowns");

    assert_fault(&refused(plan(None, "panic").await), "plan", "bastion_thing");
    assert_fault(&refused(plan(None, "refuse in silence").await), "plan", "bastion_thing");
    assert_eq!(summaries(&refused(plan(None, "refuse").await)), ["refused"]);
    assert_eq!(summaries(&refused(plan(None, "warn of an error").await)), ["late"]);
}

#[tokio::test]
async fn what_does_not_fit_is_blamed_on_who_wrote_it() {
    let with_size = |size: &str| Value::Map([("size".to_owned(), Value::Number(size.parse().unwrap()))].into());
    let judged = ErasedResource::validate(&resource(), with_size("1.5"));
    assert_eq!(summaries(&judged), ["Unsuitable value"]);
    let first = judged.iter().next().cloned().unwrap();
    assert_eq!((first.attribute, first.detail.as_str()), (AttributePath::of("size"), "A whole number is needed."));

    let kept = ErasedKept { state: with_size("1.5"), private: Private::default() };
    let read = refused(resource().read(CancellationToken::new(), kept).await);
    assert_eq!(summaries(&read), [fault::SUMMARY]);
    assert_eq!(read.iter().next().map(|fault| fault.attribute.clone()), Some(AttributePath::of("size")));

    let mut broken = apply(Some(thing("prior")), "done");
    broken.planned = with_size("1.5");
    let updated = resource().update(CancellationToken::new(), broken).await;
    assert!(updated.state == Some(thing("prior").into_value()));
    assert_eq!(summaries(&updated.diagnostics), [fault::SUMMARY]);
}

#[tokio::test]
async fn the_other_verbs_are_guarded_too() {
    let kept = |name: &str| ErasedKept { state: thing(name).into_value(), private: Private::default() };
    let token = CancellationToken::new;
    assert_eq!(summaries(&ErasedResource::validate(&resource(), thing("x").into_value())), ["advice"]);
    assert_fault(&ErasedResource::validate(&resource(), thing("panic").into_value()), "validate", "bastion_thing");

    assert_fault(&refused(resource().read(token(), kept("panic")).await), "read", "bastion_thing");
    assert_fault(&refused(resource().read(token(), kept("unknown")).await), "read", "bastion_thing");
    assert!(matches!(resource().read(token(), kept("gone")).await, Ok(None)));
    assert!(matches!(resource().read(token(), kept("x")).await, Ok(Some(read)) if read.state == thing("x").into_value()));
    let stopped = token();
    stopped.cancel();
    assert_eq!(summaries(&refused(resource().read(stopped, kept("cancelled")).await)), ["stopped"]);

    assert_fault(&refused(resource().delete(token(), kept("panic")).await), "delete", "bastion_thing");
    assert_fault(&refused(resource().delete(token(), kept("refuse in silence")).await), "delete", "bastion_thing");
    assert_eq!(resource().delete(token(), kept("x")).await, Ok(advice()), "what was left in place is told");

    assert_fault(&refused(resource().import(token(), "panic".to_owned()).await), "import", "bastion_thing");
    assert_eq!(summaries(&refused(resource().import(token(), "warn of an error".to_owned()).await)), ["late"]);
    let Ok((imported, warnings)) = resource().import(token(), "i".to_owned()).await else { panic!("refused") };
    assert!(imported.state.field("secret_wo").is_null() && *imported.state.field("id") == "i".into());
    assert_eq!(summaries(&warnings), ["advice"]);
}
