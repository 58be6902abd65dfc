//! What is said when the provider itself is wrong: caught panics and broken promises, never a secret in either.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::attribute_path::AttributePath;
use super::diagnostic::{Diagnostic, Severity};

/// The summary of every fault diagnostic.
pub const SUMMARY: &str = "The provider has a fault";

/// Where faults are reported.
pub const REPORT: &str = "Please report this, with the configuration but without its secrets, where you got the provider from.";

/// A fault that was noticed: `what` is a sentence about the provider, without any value in it.
#[must_use]
pub fn noticed(attribute: AttributePath, what: &str) -> Diagnostic {
    Diagnostic { severity: Severity::Error, summary: SUMMARY.to_owned(), detail: format!("{what}\n{REPORT}"), attribute }
}

/// A panic during `verb` of `type_name`.
#[must_use]
pub fn panicked(verb: &str, type_name: &str) -> Diagnostic {
    noticed(AttributePath::root(), &format!("It stopped in the middle of `{verb}` of `{type_name}`."))
}

/// Runs `work`; a panic becomes a diagnostic. Its payload is dropped unread, because it may quote a secret.
///
/// # Errors
///
/// The diagnostic of [`panicked`].
pub fn catch<T>(verb: &str, type_name: &str, work: impl FnOnce() -> T) -> Result<T, Diagnostic> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_payload| panicked(verb, type_name))
}

/// Awaits `work`; a panic becomes a diagnostic. Its payload is dropped unread, because it may quote a secret.
///
/// # Errors
///
/// The diagnostic of [`panicked`].
pub async fn catch_async<T>(verb: &str, type_name: &str, work: impl Future<Output = T>) -> Result<T, Diagnostic> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_payload| panicked(verb, type_name))
}
