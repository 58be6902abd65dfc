//! A walk as Terraform's users see it: its stages in the log as they are walked, and as values afterwards.

use tracing::{debug, info};

use crate::check::Walked;
use crate::path::event::{Event, Observer};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::{Shape, Type};

model! {
    /// A walked stage.
    pub struct Hop {
        /// Its name.
        pub stage: Attr<String>,
        /// `passed`, `skipped` or `failed`.
        pub status: Attr<String>,
        /// What is known of it.
        pub note: Attr<String>,
    }
}

impl Hop {
    /// The walked stages as state keeps them.
    pub(super) fn all(path: Vec<Walked>) -> Attr<Vec<Self>> {
        let hop = |walked: Walked| Self {
            stage: Attr::Known(walked.stage.name().to_owned()),
            status: Attr::Known(walked.status.name().to_owned()),
            note: Attr::Known(walked.note),
        };
        Attr::Known(path.into_iter().map(hop).collect())
    }

    /// The shape of such a list.
    pub(super) fn list() -> Shape {
        Shape::Type(Type::list(Type::object([("stage", Type::String), ("status", Type::String), ("note", Type::String)])))
    }
}

/// Tells the log of a walk; `name` is what the walk is for.
pub(super) fn log(name: &str) -> impl Observer {
    move |event: &Event| match event {
        Event::Started { stage } => debug!(connection = name, stage = stage.name(), "stage begins"),
        Event::Passed { stage, note, took } => {
            debug!(connection = name, stage = stage.name(), note, milliseconds = took.as_millis(), "stage passed");
        }
        Event::Waiting { stage, tries, next_try_in, heard } => info!(
            connection = name,
            stage = stage.name(),
            tries,
            next_try_in_seconds = next_try_in.as_secs_f64(),
            heard = heard.as_str(),
            "not yet, trying again"
        ),
        Event::Failed { stage } => info!(connection = name, stage = stage.name(), "stage failed"),
    }
}
