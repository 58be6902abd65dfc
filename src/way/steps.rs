//! The story of a walk: which stages began and passed, what failed, what is told of it, and who hears of it meanwhile.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use crate::key::PublicKey;
use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::{Event, Observer};
use crate::path::heard::{Heard, printable};
use crate::path::position::Position;
use crate::path::route::Route;
use crate::path::stage::Stage;
use crate::path::walked::{Status, Walked};

/// How a stage has failed since it last passed.
#[derive(Clone, Copy)]
pub(crate) struct Failing {
    pub(crate) tries: u32,
    pub(crate) since: Instant,
    /// Where the walk was when it was noticed: a connection may turn out to be none only in the handshake.
    noticed: Position,
}

struct State {
    /// Where the walk is: the last stage that it began.
    at: Position,
    /// When that stage began, this time.
    entered: Instant,
    /// When each begun stage began first.
    began: BTreeMap<Position, Instant>,
    /// The passed stages.
    passed: BTreeMap<Position, Walked>,
    failing: BTreeMap<Position, Failing>,
    /// The failure that will be told, unless the walk gets further than where it was noticed.
    told: Option<(Failure, Position)>,
    /// This machine's address, once a door has told it.
    seen_as: Option<IpAddr>,
}

/// The story of one walk.
pub(crate) struct Steps<'a> {
    route: &'a Route,
    observer: &'a dyn Observer,
    /// When the walk began.
    pub(crate) began: Instant,
    state: Mutex<State>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(route: &'a Route, observer: &'a dyn Observer) -> Self {
        let now = Instant::now();
        let began = BTreeMap::from([(Position::START, now)]);
        let (passed, failing) = (BTreeMap::new(), BTreeMap::new());
        let state = State { at: Position::START, entered: now, began, passed, failing, told: None, seen_as: None };
        Self { route, observer, began: now, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stage begins. On a further try of a passed stage nobody is told again.
    pub(crate) fn begin(&self, leg: usize, stage: Stage) {
        let at = Position::new(leg, stage);
        let mut state = self.state();
        (state.at, state.entered) = (at, Instant::now());
        if let Entry::Vacant(entry) = state.began.entry(at) {
            entry.insert(Instant::now());
            drop(state);
            self.observer.event(&Event::Started { at });
        }
    }

    /// The stage under way holds.
    pub(crate) fn pass(&self, note: impl Into<String>) {
        self.end(Status::Passed, note);
    }

    /// The stage under way ends so.
    pub(crate) fn end(&self, status: Status, note: impl Into<String>) {
        let note = printable(&note.into());
        let mut state = self.state();
        let at = state.at;
        let took = state.began.get(&at).map_or(Duration::ZERO, Instant::elapsed);
        state.failing.retain(|_, failing| failing.noticed != at);
        // What was overcome is no longer the story.
        state.told.take_if(|(_, noticed)| *noticed == at);
        let known = state.passed.insert(at, Walked::new(self.route, at, status, note.clone()));
        drop(state);
        if known.is_none() {
            self.observer.event(&Event::Passed { at, status, note, took });
        }
    }

    /// The stages up to a session that another walk opened.
    pub(crate) fn adopt(&self, walked: &[Walked]) {
        for Walked { at, status, note, .. } in walked {
            self.begin(at.leg, at.stage);
            self.end(*status, note.clone());
        }
    }

    /// What passed, in order.
    pub(crate) fn walked(&self) -> Vec<Walked> {
        self.state().passed.values().cloned().collect()
    }

    /// What passed up to a position, that one included.
    pub(crate) fn walked_to(&self, at: Position) -> Vec<Walked> {
        self.state().passed.range(..=at).map(|(_, walked)| walked.clone()).collect()
    }

    /// The failed stage and those before it.
    pub(crate) fn walked_until(&self, diagnosis: &Diagnosis) -> Vec<Walked> {
        let mut path: Vec<_> = self.state().passed.range(..diagnosis.at).map(|(_, walked)| walked.clone()).collect();
        path.push(Walked::new(self.route, diagnosis.at, Status::Failed, diagnosis.heard.to_string()));
        path
    }

    /// From which address of this machine's all is seen.
    pub(crate) fn see_from(&self, address: IpAddr) {
        self.state().seen_as = Some(address);
    }

    /// That address, where it is known.
    pub(crate) fn seen_as(&self) -> Option<IpAddr> {
        self.state().seen_as
    }

    /// The next try waits.
    pub(crate) fn wait(&self, at: Position, tries: u32, next_try_in: Duration, heard: Heard) {
        self.observer.event(&Event::Waiting { at, tries, next_try_in, heard });
    }

    /// How often a stage has failed since it last passed.
    pub(crate) fn tries(&self, at: Position) -> u32 {
        self.state().failing.get(&at).map_or(0, |failing| failing.tries)
    }

    /// Takes a failure into the story. The first error at the furthest position is the story; retries can change what is heard (a throttled
    /// login becomes a refused connection).
    pub(crate) fn remember(&self, failure: &Failure) {
        let mut state = self.state();
        if state.told.as_ref().is_none_or(|(told, _)| failure.at > told.at) {
            state.told = Some((failure.clone(), failure.at.max(state.at)));
        }
    }

    /// Takes a failure into the story, and answers how its stage fails.
    pub(crate) fn tell(&self, failure: &Failure) -> Failing {
        self.remember(failure);
        let mut state = self.state();
        let noticed = failure.at.max(state.at);
        let fresh = Failing { tries: 0, since: state.entered, noticed };
        let failing = state.failing.entry(failure.at).or_insert(fresh);
        failing.tries += 1;
        failing.noticed = failing.noticed.max(noticed);
        *failing
    }

    /// The walk is told to stop.
    pub(crate) fn interrupted(&self) -> Failure {
        let at = self.state().at;
        Failure { at, cause: Cause::Interrupted { stage: at.stage }, heard: Heard::default() }
    }

    /// The time is up: what failed so far is the story; if nothing failed, the stage under way is.
    pub(crate) fn out_of_time(&self) -> Failure {
        let at = self.state().at;
        Failure { at, cause: Cause::OutOfTime { stage: at.stage }, heard: Heard::default() }
    }

    /// The last failure, and with it the end. The first failure at the furthest position is what is told.
    pub(crate) fn failed(&self, last: Failure, key: impl FnOnce(usize) -> Option<PublicKey>) -> Box<Diagnosis> {
        let mut state = self.state();
        let told = match (state.told.take(), &last.cause) {
            // Being told to stop is no verdict on the path; what was heard until then is worth knowing.
            (Some((told, _)), Cause::Interrupted { .. }) => Failure { heard: told.heard, ..last },
            // Further on than what failed so far: that was overcome.
            (Some((_, noticed)), Cause::OutOfTime { .. }) if last.at > noticed => last,
            (Some((told, _)), _) => told,
            (None, _) => last,
        };
        let Failure { at, cause, heard } = told;
        // One that is not told apart on the way began with the one before it.
        let began = state.began.range(..=at).next_back().map_or(state.entered, |(_, began)| *began);
        let tries = state.failing.get(&at).map_or(1, |failing| failing.tries);
        let route = Route { seen_as: state.seen_as, ..self.route.clone() };
        drop(state);
        self.observer.event(&Event::Failed { at });
        let (public_key, took) = (key(at.leg), began.elapsed());
        Box::new(Diagnosis { heard, public_key, took, tries, ..Diagnosis::new(route, at, cause) })
    }
}
