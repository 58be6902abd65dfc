//! Log lines that Terraform shows with their level: JSON on stderr, of this project's own events only.

use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Only events from here are written. Dependencies log what must not be seen: tokio-postgres its SQL, h2 its frames.
const TARGET: &str = "bastion";

/// Newline included. The plugin launcher cuts lines at 64 KiB and then no longer reads them as JSON.
const MAX_LINE: usize = 64 * 1024 - 1;

/// What is left of the message of a line that was too long: JSON can spell one byte with six.
const MAX_CUT_MESSAGE: usize = MAX_LINE / 8;

/// The least severe level to be written, from `TF_LOG_PROVIDER`, else `TF_LOG`. `None`: nothing is written.
///
/// As in Terraform, `JSON` means all of it, and so does a level that does not exist.
pub fn least_level(lookup: impl Fn(&str) -> Option<String>) -> Option<Level> {
    let wanted = ["TF_LOG_PROVIDER", "TF_LOG"].into_iter().find_map(|name| lookup(name).filter(|level| !level.is_empty()))?;
    match wanted.to_ascii_uppercase().as_str() {
        "OFF" => None,
        "ERROR" => Some(Level::ERROR),
        "WARN" => Some(Level::WARN),
        "INFO" => Some(Level::INFO),
        "DEBUG" => Some(Level::DEBUG),
        _ => Some(Level::TRACE),
    }
}

/// Sends this process's events to stderr, and says where a panic happened without quoting it. Once per process; a second call changes
/// the panic hook only.
pub fn install(lookup: impl Fn(&str) -> Option<String>) {
    std::panic::set_hook(Box::new(|panic| write_line(&mut std::io::stderr().lock(), &panic_line(panic, SystemTime::now()))));
    if let Some(least) = least_level(lookup) {
        let subscriber = tracing_subscriber::registry().with(JsonLines::new(std::io::stderr(), least));
        // Fails only where a subscriber is installed already, which then has the say.
        drop(tracing::subscriber::set_global_default(subscriber));
    }
}

/// A line that starts with `panic: ` makes Terraform say that the plugin crashed, so only a panic that nobody catches may look so: the
/// async runtime catches those in its tasks. The payload is left out, because it may quote a secret.
fn panic_line(panic: &PanicHookInfo<'_>, now: SystemTime) -> String {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), |at| format!("{}:{}", at.file(), at.line()));
    if tokio::task::try_id().is_some() {
        let mut line = Map::new();
        line.insert("place".to_owned(), place.into());
        render(line, Level::ERROR, "bastion::panic", "the provider has a fault; it goes on".to_owned(), now)
    } else {
        format!("panic: the provider has a fault at {place}\n")
    }
}

/// A log that cannot be written has nobody who could read about it.
fn write_line(to: &mut impl Write, line: &str) {
    drop(to.write_all(line.as_bytes()).and_then(|()| to.flush()));
}

/// The layer that writes one line for each event.
pub struct JsonLines<W> {
    to: Mutex<W>,
    least: Level,
}

impl<W: Write + Send + 'static> JsonLines<W> {
    /// Writes events that are at least as severe as `least`.
    pub const fn new(to: W, least: Level) -> Self {
        Self { to: Mutex::new(to), least }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target() == TARGET || metadata.target().strip_prefix(TARGET).is_some_and(|rest| rest.starts_with("::"));
        ours && *metadata.level() <= self.least
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Write + Send + 'static,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.least.into())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flatten().collect::<Vec<_>>().into_iter().rev() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.others.extend(outer.others.clone());
            }
        }
        event.record(&mut fields);
        let line = render(fields.others, *event.metadata().level(), event.metadata().target(), fields.message, SystemTime::now());
        write_line(&mut *self.to.lock().unwrap_or_else(PoisonError::into_inner), &line);
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match value {
            Value::String(text) if field.name() == "message" => self.message = text,
            value => drop(self.others.insert(field.name().to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string().into());
    }
}

fn render(mut fields: Map<String, Value>, level: Level, target: &str, mut message: String, now: SystemTime) -> String {
    let own = [
        ("@level", level.as_str().to_ascii_lowercase()),
        ("@timestamp", timestamp(now.duration_since(UNIX_EPOCH).unwrap_or_default())),
        ("@module", target.replace("::", ".")),
    ];
    let mut line = Map::new();
    line.extend(own.map(|(key, value)| (key.to_owned(), Value::from(value))));
    fields.insert("@message".to_owned(), message.clone().into());
    fields.extend(line.clone());
    let mut text = Value::Object(fields).to_string();
    if text.len() >= MAX_LINE {
        message.truncate(message.floor_char_boundary(MAX_CUT_MESSAGE));
        line.insert("@message".to_owned(), message.into());
        line.insert("cut".to_owned(), true.into());
        text = Value::Object(line).to_string();
    }
    text.push('\n');
    text
}

/// RFC 3339 in UTC with exactly six fractional digits: Terraform's reader takes no other form.
fn timestamp(since_epoch: Duration) -> String {
    const DAY: u64 = 86_400;
    let (days, second) = (since_epoch.as_secs() / DAY, since_epoch.as_secs() % DAY);
    // Civil date from a day count, in eras of 400 years that start on 1 March (Howard Hinnant, "chrono-compatible date algorithms").
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second, micros) = (second / 3_600, second / 60 % 60, second % 60, since_epoch.subsec_micros());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::secret::Secret;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(least: Level, work: impl FnOnce()) -> Vec<Map<String, Value>> {
        let to = Shared::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(JsonLines::new(to.clone(), least)), work);
        let bytes = to.0.lock().unwrap();
        String::from_utf8(bytes.clone()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn one_line_with_the_keys_that_terraform_reads() {
        let secret = Secret::from("hunter2");
        let written = lines(Level::DEBUG, || {
            let _span = tracing::debug_span!(target: "bastion::tfplugin", "rpc", tf_rpc = "ReadResource").entered();
            tracing::info!(target: "bastion::check", attempt = 2_u64, ok = false, key = ?secret, "waiting for the key\nto sync");
        });
        assert_eq!(written.len(), 1);
        let line = &written[0];
        assert_eq!(line["@level"], "info");
        assert_eq!(line["@message"], "waiting for the key\nto sync");
        assert_eq!(line["@module"], "bastion.check");
        assert_eq!(line["tf_rpc"], "ReadResource");
        assert_eq!((&line["attempt"], &line["ok"], &line["key"]), (&2.into(), &false.into(), &"(secret)".into()));
        let stamp = line["@timestamp"].as_str().unwrap();
        assert_eq!((stamp.len(), stamp.as_bytes()[19], stamp.as_bytes()[26]), (27, b'.', b'Z'));
    }

    #[test]
    fn other_targets_and_lower_levels_stay_out() {
        let written = lines(Level::INFO, || {
            tracing::error!(target: "tokio_postgres", "SELECT 'hunter2'");
            tracing::error!(target: "bastionary", "no");
            tracing::debug!(target: "bastion", "too quiet");
            tracing::warn!(target: "bastion", "yes");
        });
        assert_eq!(written.iter().map(|line| line["@message"].as_str().unwrap()).collect::<Vec<_>>(), ["yes"]);
    }

    #[test]
    fn long_lines_are_cut_before_terraform_cuts_them() {
        for filler in ["x", "\u{1}", "é"] {
            let text = render(Map::new(), Level::INFO, "bastion", filler.repeat(70_000), UNIX_EPOCH);
            assert!(text.len() <= MAX_LINE, "{} bytes", text.len());
            let line: Map<String, Value> = serde_json::from_str(&text).unwrap();
            assert!(line["@message"].as_str().unwrap().starts_with(filler) && line["cut"] == true);
        }
        let mut fields = Map::new();
        fields.insert("field".to_owned(), "x".repeat(70_000).into());
        let text = render(fields, Level::INFO, "bastion", "short".to_owned(), UNIX_EPOCH);
        assert!(text.len() <= MAX_LINE && text.contains("short"));
    }

    #[test]
    fn timestamps() {
        assert_eq!(timestamp(Duration::ZERO), "1970-01-01T00:00:00.000000Z");
        assert_eq!(timestamp(Duration::new(1_795_225_426, 422_000_999)), "2026-11-21T01:43:46.422000Z");
        assert_eq!(timestamp(Duration::from_secs(951_782_399)), "2000-02-28T23:59:59.000000Z");
        assert_eq!(timestamp(Duration::from_secs(951_782_400)), "2000-02-29T00:00:00.000000Z");
        assert_eq!(timestamp(Duration::from_secs(4_107_542_400)), "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn the_level_is_terraforms() {
        let level = |variables: &'static [(&str, &str)]| {
            least_level(move |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(level(&[]), None);
        assert_eq!(level(&[("TF_LOG", "")]), None);
        assert_eq!(level(&[("TF_LOG", "off")]), None);
        assert_eq!(level(&[("TF_LOG", "info")]), Some(Level::INFO));
        assert_eq!(level(&[("TF_LOG", "JSON")]), Some(Level::TRACE));
        assert_eq!(level(&[("TF_LOG", "JSON"), ("TF_LOG_PROVIDER", "WARN")]), Some(Level::WARN));
    }
}
