//! The verdict as one JSON object, for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::error::CliError;
use crate::check::Survey;
use crate::path::diagnosis::Diagnosis;
use crate::path::stage::Stage;
use crate::path::walked::Walked;

/// `ok`, `failed_stage`, `code`, `summary`, `heard`, `means`, `remedies`, `tries`, `until` (the last stage asked for, if not all are), `path`,
/// `server_version`, `took` (seconds).
pub(super) fn verdict(survey: &Survey, until: Option<Stage>, took: Duration) -> String {
    let failure = survey.verdict.as_ref().err();
    let text = |of: &dyn Fn(&Diagnosis) -> String| failure.map_or(Value::Null, |diagnosis| Value::String(of(diagnosis)));
    let version = survey.verdict.as_ref().ok().and_then(|report| report.server_version());
    let proven = until.map_or_else(|| "The path is proven".to_owned(), |until| format!("The path is proven up to {until}"));
    object(&json!({
        "ok": failure.is_none(),
        "failed_stage": text(&|diagnosis| diagnosis.stage().name().to_owned()),
        "code": text(&Diagnosis::code),
        "summary": failure.map_or(&*proven, |diagnosis| diagnosis.summary()),
        "heard": failure.map(|diagnosis| diagnosis.heard.as_str()).filter(|heard| !heard.is_empty()),
        "means": text(&Diagnosis::means),
        "remedies": failure.map(|diagnosis| diagnosis.remedies()).unwrap_or_default(),
        "tries": failure.map(|diagnosis| diagnosis.tries),
        "until": until.map(Stage::name),
        "path": survey.path.iter().map(hop).collect::<Vec<_>>(),
        "server_version": version,
        "took": took.as_secs_f64(),
    }))
}

/// The same for arguments that are wrong: nothing was walked.
pub(super) fn refusal(error: &CliError) -> String {
    refused(&error.code(), &error.to_string())
}

pub(super) fn refused(code: &str, means: &str) -> String {
    object(&json!({
        "ok": false,
        "failed_stage": Stage::Configure.name(),
        "code": code,
        "summary": "The arguments are wrong; nothing was tried",
        "heard": null,
        "means": means,
        "remedies": [],
        "tries": null,
        "until": null,
        "path": [],
        "server_version": null,
        "took": 0.0,
    }))
}

fn hop(Walked { at, hop, status, note, .. }: &Walked) -> Value {
    json!({ "stage": at.stage.name(), "hop": hop, "status": status.name(), "note": note })
}

fn object(value: &Value) -> String {
    format!("{value}\n")
}
