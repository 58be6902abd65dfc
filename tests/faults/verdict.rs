//! A fault made, the path checked, and what was said of it judged.

use std::process::Output;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bastion::check::{Patience, Sessions, check_with, hold};
use bastion::key::PrivateKey;
use bastion::path::catalogue::examples;
use bastion::path::diagnosis::Diagnosis;
use bastion::path::event::Event;
use bastion::path::stage::Stage;
use lab::Namespace;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::fault::{End, Fault, Place};
use crate::heals::HEALING;
use crate::more::MORE;
use crate::table::FAULTS;
use crate::world::{Distance, World};

/// How much longer than its limit a stage may take: the project's own bound.
const TOLERANCE: f64 = 1.1;

/// How late a busy machine may wake a task that shares its two cores with servers that start.
const BUSY: Duration = Duration::from_millis(500);

/// By these the child knows what to do, and the parent finds what it says.
pub const FAULT: &str = "BASTION_FAULT";
pub const FAR: &str = "BASTION_FAR";
const VERDICT: &str = "VERDICT ";

/// What was said of a fault.
#[derive(Clone)]
pub struct Verdict {
    pub code: String,
    pub summary: String,
    /// The failing stage's time and limit, in seconds.
    pub took: f64,
    pub limit: f64,
    /// What is not as it has to be.
    pub wrong: Vec<String>,
    pub text: String,
}

impl Verdict {
    fn new(code: &str, summary: &str) -> Self {
        Self { code: code.to_owned(), summary: summary.to_owned(), took: 0.0, limit: 0.0, wrong: Vec::new(), text: String::new() }
    }

    fn to_json(&self) -> Value {
        let Self { code, summary, took, limit, wrong, text } = self;
        json!({ "code": code, "summary": summary, "took": took, "limit": limit, "wrong": wrong, "text": text })
    }

    fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let wrong = json["wrong"].as_array()?.iter().filter_map(|wrong| Some(wrong.as_str()?.to_owned())).collect();
        let (took, limit) = (json["took"].as_f64()?, json["limit"].as_f64()?);
        Some(Self { code: text("code")?, summary: text("summary")?, took, limit, wrong, text: text("text")? })
    }

    pub fn stage(&self) -> &str {
        self.code.split('/').next().unwrap()
    }

    pub fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Makes the fault where it can be made, and judges; none, with the reason, where it cannot.
pub fn of(fault: &'static Fault, distance: Distance) -> Result<Verdict, String> {
    match fault.place {
        Place::Here => Ok(here(fault, distance)),
        Place::Apart(network) => {
            Namespace::available().map_err(|why| format!("fault {} was not made: {why:#}", fault.number))?;
            let mut namespace = Namespace::new().unwrap();
            network(&mut namespace).unwrap();
            let number = fault.number.to_string();
            let mut environment = vec![(FAULT, number.as_str())];
            if distance == Distance::Far {
                environment.push((FAR, "1"));
            }
            let this = std::env::current_exe().unwrap();
            let arguments = ["--exact", "verdict::in_a_network_of_its_own", "--ignored", "--nocapture"];
            let output = namespace.run(&this, &arguments, &environment).unwrap();
            Ok(told(&output))
        }
    }
}

fn told(output: &Output) -> Verdict {
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.split_once(VERDICT).map(|(_, json)| json));
    let verdict = line.and_then(|line| Verdict::from_json(&serde_json::from_str(line).ok()?));
    verdict.unwrap_or_else(|| panic!("no verdict: {said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// The other side of [`of`].
#[test]
#[ignore = "the other tests run it in a network of its own, with the number of a fault"]
fn in_a_network_of_its_own() {
    let number: usize = std::env::var(FAULT).expect("the number of a fault").parse().unwrap();
    let distance = if std::env::var_os(FAR).is_some() { Distance::Far } else { Distance::Near };
    let fault = FAULTS.iter().chain(&MORE).chain(&HEALING).find(|fault| fault.number == number).unwrap();
    println!("{VERDICT}{}", here(fault, distance).to_json());
}

fn here(fault: &Fault, distance: Distance) -> Verdict {
    let mut world = World::new(distance);
    (fault.inject)(&mut world);
    // What heals is given no time for it, or it would be waited for; what does not has all the time there is, and must not use it.
    if fault.end == End::Fails && can_heal(fault.code) {
        world.hurry();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let verdict = runtime.block_on(walked(fault, &mut world));
    runtime.shutdown_background();
    verdict
}

/// The stages at which the user has not been named to the bastion.
const BEFORE_THE_USER: [Stage; 5] = [Stage::Configure, Stage::Resolve, Stage::Connect, Stage::Handshake, Stage::HostKey];

fn can_heal(code: &str) -> bool {
    let key = PrivateKey::generate_ed25519().unwrap().public();
    examples(&key).iter().any(|cause| format!("{}/{}", cause.stage(), cause.slug()) == code && cause.heals())
}

async fn walked(fault: &Fault, world: &mut World) -> Verdict {
    let waits = Mutex::new(Vec::new());
    let mend = Mutex::new(world.mend.take());
    let on = Mutex::new(world.on.take());
    let held = on.lock().unwrap().as_ref().is_some_and(|(stage, _)| *stage == Stage::Hold);
    let observer = |event: &Event| match event {
        Event::Waiting { at, heard, .. } => {
            waits.lock().unwrap().push((at.stage, heard.to_string()));
            if let Some(mend) = mend.lock().unwrap().take() {
                std::thread::spawn(mend);
            }
        }
        Event::Started { at } => {
            // In the walk's own task, so that nothing is said in this stage before it is done.
            if let Some((_, act)) = on.lock().unwrap().take_if(|(on, _)| *on == at.stage) {
                act();
            }
        }
        _ => {}
    };
    let (request, patience, sessions, cancelled) = (&world.request, &world.patience, Sessions::new(), CancellationToken::new());
    let began = Instant::now();
    let ended = if held {
        hold(request, patience, &sessions, &observer, &cancelled).await
    } else {
        check_with(request, patience, &sessions, &observer, &cancelled).await.map(drop)
    };
    let mut verdict = match (&ended, fault.end) {
        (Err(diagnosis), _) => judged(fault, diagnosis, patience),
        (Ok(()), _) => healed(fault, &waits.lock().unwrap()),
    };
    if verdict.took == 0.0 {
        verdict.took = began.elapsed().as_secs_f64();
    }
    if let (End::Heals, Err(diagnosis)) = (fault.end, &ended) {
        verdict.wrong.push(format!("it has to end in success: {diagnosis}"));
    }
    if let Some(bastion) = world.bastion.as_ref().filter(|_| fault.end == End::Fails && BEFORE_THE_USER.contains(&fault.stage())) {
        let told = bastion.logins().len() + bastion.failed_logins().len() + bastion.unknown_users().len();
        if told > 0 {
            verdict.wrong.push("the bastion heard of the user before it was trusted".to_owned());
        }
    }
    // The one more is who holds the only place, where there is but one; or who looks whether the bastion is there.
    if let Some(tries) = world.bastion.as_ref().map(|bastion| bastion.connections()).filter(|_| fault.end == End::Fails)
        && tries > 1 + usize::from(["handshake/too-many-startups", "dial/resolver-silent"].contains(&fault.code))
    {
        verdict.wrong.push(format!("the bastion was connected to {tries} times"));
    }
    verdict
}

/// A path that is proven was waited for, at the fault's own stage.
fn healed(fault: &Fault, waits: &[(Stage, String)]) -> Verdict {
    let (code, limit) = match waits.first() {
        Some((stage, heard)) if *stage == fault.stage() && heard.contains(fault.heard) => (fault.code.to_owned(), 60.0),
        waited => (format!("proven after {waited:?}"), 0.0),
    };
    let mut verdict = Verdict { limit, ..Verdict::new(&code, "Proven, once it had healed") };
    if fault.end == End::Fails {
        verdict.wrong.push("nothing was noticed".to_owned());
    }
    if code != fault.code {
        verdict.wrong.push(format!("expected {}, got {code}", fault.code));
    }
    verdict
}

fn judged(fault: &Fault, diagnosis: &Diagnosis, patience: &Patience) -> Verdict {
    let text = format!("{}\n\n{diagnosis}", diagnosis.summary());
    let (took, limit) = (diagnosis.took, patience.limit(fault.stage()));
    let mut wrong = Vec::new();
    if diagnosis.code() != fault.code {
        wrong.push(format!("expected {}", fault.code));
    }
    let heard = diagnosis.heard.as_str();
    let asked = diagnosis.cause.is_heard();
    if !heard.contains(fault.heard) || (asked && fault.heard.is_empty() && fault.code.ends_with("/silent") && !heard.is_empty()) {
        wrong.push(format!("heard `{heard}` instead of `{}`", fault.heard));
    }
    if took > limit.mul_f64(TOLERANCE) + BUSY {
        wrong.push(format!("took {took:?}, and its limit is {limit:?}"));
    }
    if diagnosis.tries != 1 {
        wrong.push(format!("tried {} times", diagnosis.tries));
    }
    let (place, words) = fault.remedy;
    let remedies = diagnosis.remedies();
    if !remedies.get(place - 1).is_some_and(|remedy| remedy.contains(words)) {
        wrong.push(format!("`{words}` is not number {place} of {remedies:#?}"));
    }
    if fault.class.is_some() && remedies.len() < 2 {
        wrong.push("its class has several candidates".to_owned());
    }
    wrong.extend(ill_said(&diagnosis.to_string()));
    let (took, limit) = (took.as_secs_f64(), limit.as_secs_f64());
    Verdict { code: diagnosis.code(), summary: diagnosis.summary().to_owned(), took, limit, wrong, text }
}

/// What no message may be or contain.
fn ill_said(text: &str) -> Vec<String> {
    let bare =
        ["os error", "Broken pipe", "Error(", "Err(", "Kind", "russh", "tokio", "rustls", "unexpected end of file", "?", "unknown error"];
    let mut wrong: Vec<_> = bare.iter().filter(|bare| text.contains(**bare)).map(|bare| format!("says `{bare}`: {text}")).collect();
    let lines = text.lines().count();
    if lines > 14 {
        wrong.push(format!("has {lines} lines: {text}"));
    }
    wrong
}
