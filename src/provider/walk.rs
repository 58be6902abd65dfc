//! A walk as Terraform's users see it: its stages in the log as they are walked, and as values afterwards.

use tracing::{debug, info};

use crate::path::event::{Event, Observer};
use crate::path::walked::Walked;
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::{Shape, Type};

model! {
    /// A walked stage.
    pub struct Hop {
        /// Its name.
        pub stage: Attr<String>,
        /// Where the leg leads that it is of.
        pub hop: Attr<String>,
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
            stage: Attr::Known(walked.at.stage.name().to_owned()),
            hop: Attr::Known(walked.hop),
            status: Attr::Known(walked.status.name().to_owned()),
            note: Attr::Known(walked.note),
        };
        Attr::Known(path.into_iter().map(hop).collect())
    }

    /// The shape of such a list.
    pub(super) fn list() -> Shape {
        Shape::Type(Type::list(Type::object([
            ("stage", Type::String),
            ("hop", Type::String),
            ("status", Type::String),
            ("note", Type::String),
        ])))
    }
}

/// Tells the log of a walk; `name` is what the walk is for.
pub(super) fn log(name: &str) -> impl Observer {
    move |event: &Event| match event {
        Event::Started { at } => debug!(connection = name, leg = at.leg, stage = at.stage.name(), "stage begins"),
        Event::Passed { at, note, took, .. } => {
            debug!(connection = name, leg = at.leg, stage = at.stage.name(), note, milliseconds = took.as_millis(), "stage passed");
        }
        Event::Waiting { at, tries, next_try_in, heard } => info!(
            connection = name,
            leg = at.leg,
            stage = at.stage.name(),
            tries,
            next_try_in_seconds = next_try_in.as_secs_f64(),
            heard = heard.as_str(),
            "not yet, trying again"
        ),
        Event::Failed { at } => info!(connection = name, leg = at.leg, stage = at.stage.name(), "stage failed"),
    }
}
