//! Kinds that only read and break their promises, and a registry with one of each kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::tfplugin::erased::Registry;
use crate::tfplugin::erased::adapter::tests::{Thing, Things, advice, assert_fault, refused, schema, summaries, thing};
use crate::tfplugin::kind::{Function, FunctionError, Opened, Parameter, Signature};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::Type;

/// One type for all that only reads.
struct Reads {
    closed: Arc<AtomicBool>,
}

impl Reads {
    fn answer(config: Thing) -> Thing {
        match config.name.known().map(String::as_str) {
            Some("panic") => panic!("hunter2"),
            Some("unknown") => Thing { id: Attr::Unknown, ..config },
            _ => Thing { id: "read".into(), ..config },
        }
    }
}

impl DataSource for Reads {
    type Model = Thing;

    fn type_name(&self) -> &'static str {
        "bastion_look"
    }

    fn schema(&self) -> Schema {
        schema()
    }

    fn validate(&self, config: &Thing) -> Diagnostics {
        drop(Self::answer(config.clone()));
        Diagnostics::new()
    }

    async fn read(&self, _call: &Call<Thing>, config: Thing) -> Result<(Thing, Diagnostics), Diagnostics> {
        Ok((Self::answer(config), advice()))
    }
}

impl Ephemeral for Reads {
    type Model = Thing;

    fn type_name(&self) -> &'static str {
        "bastion_open"
    }

    fn schema(&self) -> Schema {
        schema()
    }

    fn validate(&self, config: &Thing) -> Diagnostics {
        drop(Self::answer(config.clone()));
        Diagnostics::new()
    }

    async fn open(&self, _call: &Call<Thing>, config: Thing) -> Result<Opened<Thing>, Diagnostics> {
        Ok(Opened { model: Self::answer(config), private: Private(b"o".to_vec()), renew_at: Some(SystemTime::UNIX_EPOCH) })
    }

    async fn renew(&self, _private: &Private) -> Result<Option<SystemTime>, Diagnostics> {
        panic!("hunter2")
    }

    async fn close(&self, private: &Private) -> Result<(), Diagnostics> {
        assert!(private.0 == b"o", "hunter2");
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Configuration for Reads {
    type Model = Thing;

    fn schema(&self) -> Schema {
        schema()
    }

    fn validate(&self, config: &Thing) -> Diagnostics {
        drop(Self::answer(config.clone()));
        Diagnostics::new()
    }

    fn configure(&self, config: Thing, terraform_version: &str) -> Diagnostics {
        assert_eq!(terraform_version, "1.11.4");
        drop(Self::answer(config));
        advice()
    }
}

impl Function for Reads {
    fn name(&self) -> &'static str {
        "shout"
    }

    fn signature(&self) -> Signature {
        let text = Parameter { name: "text", r#type: Type::String, description: "What.", allow_null: false };
        Signature { summary: "", description: "", parameters: vec![text], variadic: None, returns: Type::String }
    }

    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        match arguments.into_iter().next() {
            Some(Value::String(text)) => Ok(Value::String(text.to_uppercase())),
            _ => panic!("hunter2"),
        }
    }
}

fn reads() -> Reads {
    Reads { closed: Arc::default() }
}

#[tokio::test]
async fn data_sources_are_guarded() {
    let look = Adapter::new(schema(), reads());
    let token = CancellationToken::new;
    let Ok((read, warnings)) = ErasedDataSource::read(&look, token(), thing("x").into_value()).await else { panic!("refused") };
    assert!(*read.field("id") == "read".into());
    assert_eq!(summaries(&warnings), ["advice"]);
    assert_fault(&refused(ErasedDataSource::read(&look, token(), thing("panic").into_value()).await), "read", "bastion_look");
    assert_fault(&refused(ErasedDataSource::read(&look, token(), thing("unknown").into_value()).await), "read", "bastion_look");
    assert_fault(&ErasedDataSource::validate(&look, thing("panic").into_value()), "validate", "bastion_look");
}

#[tokio::test]
async fn ephemeral_resources_are_guarded_and_closed_when_they_cannot_be_handed_over() {
    let closed = Arc::default();
    let open = Adapter::new(schema(), Reads { closed: Arc::clone(&closed) });
    let token = CancellationToken::new;
    let Ok(opened) = open.open(token(), thing("x").into_value()).await else { panic!("refused") };
    assert!(*opened.result.field("id") == "read".into() && opened.private.0 == b"o");
    assert_eq!(opened.renew_at, Some(SystemTime::UNIX_EPOCH));
    assert!(!closed.load(Ordering::Relaxed));
    assert_fault(&refused(open.open(token(), thing("unknown").into_value()).await), "open", "bastion_open");
    assert!(closed.load(Ordering::Relaxed));
    assert_fault(&refused(open.open(token(), thing("panic").into_value()).await), "open", "bastion_open");
    assert_fault(&refused(open.renew(Private::default()).await), "renew", "bastion_open");
    assert_fault(&refused(open.close(Private::default()).await), "close", "bastion_open");
    assert_eq!(open.close(Private(b"o".to_vec())).await, Ok(()));
    assert_fault(&ErasedEphemeral::validate(&open, thing("panic").into_value()), "validate", "bastion_open");
}

#[test]
fn the_configuration_is_guarded() {
    let block = Adapter::new(schema(), reads());
    assert_eq!(summaries(&block.configure(thing("x").into_value(), "1.11.4")), ["advice"]);
    assert_fault(&block.configure(thing("panic").into_value(), "1.11.4"), "configure", "provider configuration");
    assert_fault(&ErasedConfiguration::validate(&block, thing("panic").into_value()), "validate", "provider configuration");
    assert_eq!(summaries(&block.configure(Value::Null, "1.11.4")), ["Unsuitable value"]);
}

#[test]
fn a_registry_holds_every_kind_by_name() {
    let registry = Registry::new(Settings).resource(Things).data_source(reads()).ephemeral(reads()).function(reads());
    assert_eq!(registry.check("bastion"), Ok(()));
    assert_eq!(registry.check("other").unwrap_err(), "bastion_thing: the name must be `other_` and a lower-case name");
    assert!(registry.resources.contains_key("bastion_thing"));
    assert!(registry.data_sources.contains_key("bastion_look"));
    assert!(registry.ephemerals.contains_key("bastion_open"));
    assert_eq!(
        Registry::new(reads()).check("bastion").unwrap_err(),
        "the provider's configuration: `id`: a provider's configuration computes nothing"
    );
    let shout = registry.functions.get("shout").unwrap();
    assert!(shout.call(vec!["a".into()]) == Ok("A".into()));
    let error = shout.call(vec![]).unwrap_err();
    assert!(error.text.starts_with(fault::SUMMARY) && error.text.contains("`call` of `shout`") && !error.text.contains("hunter2"));
}

struct Settings;

model! {
    struct NoSettings {}
}

impl Configuration for Settings {
    type Model = NoSettings;

    fn schema(&self) -> Schema {
        Schema::default()
    }

    fn validate(&self, _config: &NoSettings) -> Diagnostics {
        Diagnostics::new()
    }

    fn configure(&self, _config: NoSettings, _terraform_version: &str) -> Diagnostics {
        Diagnostics::new()
    }
}
