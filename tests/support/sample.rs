//! A provider of one kind each, whose objects behave as their names say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bastion::secret::Secret;
use bastion::tfplugin::attribute_path::AttributePath;
use bastion::tfplugin::diagnostic::Diagnostics;
use bastion::tfplugin::erased::Registry;
use bastion::tfplugin::kind::{
    Applied, Apply, Call, Change, Configuration, DataSource, Ephemeral, Function, FunctionError, Kept, Opened, Parameter, Planned, Private,
    Resource, Signature,
};
use bastion::tfplugin::model::{Attr, model};
use bastion::tfplugin::schema::{Attribute, Schema, Type, nested_single, string};
use bastion::tfplugin::value::Value;

/// What was asked of the sample provider, to be counted by tests.
#[derive(Clone, Default)]
pub struct Seen {
    pub configured: Arc<AtomicUsize>,
    pub creating: Arc<AtomicUsize>,
    pub closed: Arc<AtomicUsize>,
}

pub fn registry(seen: &Seen) -> Registry {
    Registry::new(Settings(seen.clone()))
        .resource(ThingKind(seen.clone()))
        .data_source(LookupKind)
        .ephemeral(PortKind(seen.clone()))
        .function(Join)
}

fn error(attribute: &str, summary: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(AttributePath::of(attribute), summary, "as asked");
    diagnostics
}

fn warning(summary: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.warning(AttributePath::root(), summary, "");
    diagnostics
}

model! {
    /// The provider block.
    pub struct Block { pub region: Attr<String> }

    /// A managed object.
    pub struct Thing {
        pub id: Attr<String>,
        pub name: Attr<String>,
        pub text: Attr<String>,
        pub password_wo: Attr<Secret<String>>,
        pub key: Attr<Key>,
    }

    /// Nested.
    pub struct Key { pub passphrase_wo: Attr<Secret<String>>, pub kind: Attr<String> }

    /// A data source.
    pub struct Lookup { pub key: Attr<String>, pub answer: Attr<String> }

    /// An ephemeral resource.
    pub struct Port { pub host: Attr<String>, pub port: Attr<i64> }
}

struct Settings(Seen);

impl Configuration for Settings {
    type Model = Block;

    fn schema(&self) -> Schema {
        Schema { version: 0, description: "Sample.", attributes: vec![Attribute::optional("region", string(), "Where.")] }
    }

    fn validate(&self, config: &Block) -> Diagnostics {
        if config.region == Attr::from("moon") { error("region", "No such region") } else { Diagnostics::new() }
    }

    fn configure(&self, _: Block, terraform_version: &str) -> Diagnostics {
        assert!(terraform_version.starts_with("1."));
        self.0.configured.fetch_add(1, Ordering::SeqCst);
        Diagnostics::new()
    }
}

struct ThingKind(Seen);

impl ThingKind {
    fn made(planned: &Thing) -> Kept<Thing> {
        let id = planned.name.clone().map(|name| format!("id-{name}"));
        Kept { model: Thing { id, ..planned.clone() }, private: Private(b"made".to_vec()) }
    }
}

impl Resource for ThingKind {
    type Model = Thing;

    fn type_name(&self) -> &'static str {
        "sample_thing"
    }

    fn schema(&self) -> Schema {
        let key = vec![
            Attribute::optional("passphrase_wo", string(), "Secret.").write_only(),
            Attribute::optional_computed("kind", string(), "Kind."),
        ];
        Schema {
            version: 2,
            description: "A thing.",
            attributes: vec![
                Attribute::computed("id", string(), "Its id."),
                Attribute::required("name", string(), "How it behaves."),
                Attribute::optional("text", string(), "Any."),
                Attribute::optional("password_wo", string(), "Secret.").write_only(),
                Attribute::optional("key", nested_single(key), "Nested."),
            ],
        }
    }

    fn validate(&self, config: &Thing) -> Diagnostics {
        match config.name.known().map(String::as_str) {
            Some("bad") => error("name", "Bad name"),
            Some("odd") => warning("Odd name"),
            _ => Diagnostics::new(),
        }
    }

    async fn plan(&self, _: &Call<Thing>, change: Change<Thing>) -> Result<Planned<Thing>, Diagnostics> {
        assert!(change.proposed.password_wo.is_null(), "proposed never holds write-only values");
        if change.config.name == Attr::from("unplannable") {
            return Err(error("name", "Unplannable"));
        }
        let moved = change.prior.as_ref().is_some_and(|prior| prior.name != change.config.name);
        let mut planned = Planned::new(change.proposed, change.private);
        if change.prior.is_none() {
            planned.private = Private(b"planned".to_vec());
        }
        if moved {
            planned.requires_replace.push(AttributePath::of("name"));
        }
        Ok(planned)
    }

    async fn create(&self, call: &Call<Thing>, apply: Apply<Thing>) -> Applied<Thing> {
        self.0.creating.fetch_add(1, Ordering::SeqCst);
        assert_eq!(apply.private.0, b"planned");
        let made = Self::made(&apply.planned);
        match apply.planned.name.known().map(String::as_str).unwrap_or_default() {
            "panics" => panic!("with hunter2"),
            "panics-later" => {
                call.keep(made);
                panic!("with hunter2")
            }
            "refused" => Applied::Nothing(error("name", "Refused")),
            "partly" => Applied::Partial(made, error("name", "Partly")),
            "waits" => {
                call.cancelled.cancelled().await;
                Applied::Partial(made, error("name", "Stopped"))
            }
            "needs-password" if apply.planned.password_wo.known().is_none_or(|password| password.expose() != "hunter2") => {
                Applied::Nothing(error("password_wo", "Wrong password"))
            }
            _ => Applied::Done(made, warning("Made")),
        }
    }

    async fn read(&self, _: &Call<Thing>, kept: Kept<Thing>) -> Result<Option<Kept<Thing>>, Diagnostics> {
        match kept.model.name.known().map(String::as_str) {
            Some("gone") => Ok(None),
            Some("unreadable") => Err(error("name", "Unreadable")),
            _ => Ok(Some(kept)),
        }
    }

    async fn update(&self, _: &Call<Thing>, apply: Apply<Thing>) -> Applied<Thing> {
        match apply.planned.text.known().map(String::as_str) {
            Some("refused") => Applied::Nothing(error("text", "Refused")),
            Some("panics") => panic!("with hunter2"),
            _ => Applied::Done(Self::made(&apply.planned), Diagnostics::new()),
        }
    }

    async fn delete(&self, _: &Call<Thing>, kept: Kept<Thing>) -> Result<Diagnostics, Diagnostics> {
        if kept.model.name == Attr::from("stuck") { Err(error("name", "Stuck")) } else { Ok(warning("Removed")) }
    }

    async fn import(&self, _: &Call<Thing>, id: &str) -> Result<(Kept<Thing>, Diagnostics), Diagnostics> {
        let name = id.strip_prefix("id-").ok_or_else(|| error("id", "No such thing"))?;
        let model = Thing { id: id.into(), name: name.into(), ..Thing::default() };
        Ok((Kept { model, private: Private(b"imported".to_vec()) }, warning("The password is not imported")))
    }
}

struct LookupKind;

impl DataSource for LookupKind {
    type Model = Lookup;

    fn type_name(&self) -> &'static str {
        "sample_lookup"
    }

    fn schema(&self) -> Schema {
        let attributes = vec![Attribute::required("key", string(), "Key."), Attribute::computed("answer", string(), "Answer.")];
        Schema { version: 0, description: "A lookup.", attributes }
    }

    fn validate(&self, config: &Lookup) -> Diagnostics {
        if config.key == Attr::from("") { error("key", "Empty key") } else { Diagnostics::new() }
    }

    async fn read(&self, call: &Call<Lookup>, config: Lookup) -> Result<(Lookup, Diagnostics), Diagnostics> {
        match config.key.known().map(String::as_str).unwrap_or_default() {
            "missing" => Err(error("key", "Missing")),
            "panics" => panic!("with hunter2"),
            "waits" => {
                call.cancelled.cancelled().await;
                Err(error("key", "Stopped"))
            }
            key => Ok((Lookup { answer: format!("answer to {key}").into(), ..config }, Diagnostics::new())),
        }
    }
}

struct PortKind(Seen);

/// When the sample's opened ports want to be renewed, after 1970.
pub const RENEW_AT: Duration = Duration::new(2_000_000_000, 5);

impl Ephemeral for PortKind {
    type Model = Port;

    fn type_name(&self) -> &'static str {
        "sample_port"
    }

    fn schema(&self) -> Schema {
        use bastion::tfplugin::schema::number;

        let attributes = vec![Attribute::required("host", string(), "Host."), Attribute::computed("port", number(), "Port.")];
        Schema { version: 0, description: "A port.", attributes }
    }

    fn validate(&self, config: &Port) -> Diagnostics {
        if config.host == Attr::from("") { error("host", "Empty host") } else { Diagnostics::new() }
    }

    async fn open(&self, _: &Call<Port>, config: Port) -> Result<Opened<Port>, Diagnostics> {
        if config.host == Attr::from("closed") {
            return Err(error("host", "Closed"));
        }
        let model = Port { port: 4711_i64.into(), ..config };
        Ok(Opened { model, private: Private(b"opened".to_vec()), renew_at: Some(UNIX_EPOCH + RENEW_AT) })
    }

    async fn renew(&self, private: &Private) -> Result<Option<std::time::SystemTime>, Diagnostics> {
        if private.0 == b"opened" { Ok(Some(UNIX_EPOCH + RENEW_AT * 2)) } else { Err(error("host", "Unknown port")) }
    }

    async fn close(&self, private: &Private) -> Result<(), Diagnostics> {
        self.0.closed.fetch_add(1, Ordering::SeqCst);
        if private.0 == b"opened" { Ok(()) } else { Err(error("host", "Unknown port")) }
    }
}

struct Join;

impl Function for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn signature(&self) -> Signature {
        let parameter = |name, allow_null| Parameter { name, r#type: Type::String, description: "A part.", allow_null };
        Signature {
            summary: "Joins.",
            description: "Joins parts by the first.",
            parameters: vec![parameter("by", false)],
            variadic: Some(parameter("part", true)),
            returns: Type::String,
        }
    }

    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let mut parts = Vec::new();
        for (at, argument) in arguments.into_iter().enumerate() {
            match argument {
                Value::String(part) if part == "panics" => panic!("with hunter2"),
                Value::String(part) => parts.push(part),
                _ => return Err(FunctionError { text: "a part is null".to_owned(), argument: i64::try_from(at).ok() }),
            }
        }
        let by = parts.remove(0);
        Ok(Value::String(parts.join(&by)))
    }
}
