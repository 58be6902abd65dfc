//! What a test plans for calls to come: faults, and pauses in which the world stands still between two calls.

use std::{sync::mpsc, time::Duration};

use anyhow::{Context, Result};
use hyper::StatusCode;
use tokio::sync::oneshot;

use super::call::{Named, Refusal};

/// Which calls, and how often: each that matches, unless told otherwise.
///
/// `"PutObject".into()` is short for `On::action("PutObject")`.
#[derive(Clone, Debug)]
pub struct On {
    action: Option<String>,
    target: String,
    skip: usize,
    times: usize,
    chance: Option<(f64, fastrand::Rng)>,
}

impl On {
    /// Every call of every service.
    pub fn any() -> On {
        On { action: None, target: String::new(), skip: 0, times: usize::MAX, chance: None }
    }

    /// Calls of an action by its API name: `AuthorizeSecurityGroupIngress`, `PutObject`, `AssumeRole`.
    pub fn action(name: &str) -> On {
        On { action: Some(name.into()), ..On::any() }
    }

    /// Those alone whose target has this piece: the id of a security group, `bucket/key`.
    pub fn target(self, piece: &str) -> On {
        On { target: piece.into(), ..self }
    }

    /// The first so many are spared.
    pub fn skip(self, calls: usize) -> On {
        On { skip: calls, ..self }
    }

    /// No more than so many.
    pub fn times(self, calls: usize) -> On {
        On { times: calls, ..self }
    }

    /// Each with this probability, 0 to 1, drawn from a generator that starts with the seed.
    pub fn chance(self, probability: f64, seed: u64) -> On {
        On { chance: Some((probability, fastrand::Rng::with_seed(seed))), ..self }
    }

    /// Whether this call is one of them; it counts.
    fn hits(&mut self, named: &Named) -> bool {
        let matches = self.action.as_ref().is_none_or(|action| *action == named.action) && named.target.contains(&self.target);
        if !matches || self.times == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if let Some((probability, generator)) = &mut self.chance
            && generator.f64() >= *probability
        {
            return false;
        }
        self.times -= 1;
        true
    }
}

impl From<&str> for On {
    fn from(action: &str) -> On {
        On::action(action)
    }
}

/// What befalls a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this error and has no effect.
    Answer {
        /// HTTP status.
        status: u16,
        /// Amazon's code.
        code: String,
        /// Amazon's words.
        message: String,
    },
    /// It is answered with this text and a status of 200, and has no effect.
    Text(String),
    /// It waits that long, then goes its way.
    Delay(Duration),
    /// The connection is closed before the call took effect.
    DropBefore,
    /// The call takes effect, and its answer is lost with the connection.
    DropAfter,
}

impl Fault {
    /// An error by status, code and words.
    pub fn answer(status: u16, code: &str, message: &str) -> Fault {
        Fault::Answer { status, code: code.into(), message: message.into() }
    }

    /// EC2's answer to too many calls.
    pub fn throttle() -> Fault {
        Fault::answer(503, "RequestLimitExceeded", "Request limit exceeded.")
    }

    /// S3's answer to too many calls.
    pub fn slow_down() -> Fault {
        Fault::answer(503, "SlowDown", "Please reduce your request rate.")
    }
}

/// A call that is held, or will be: the next that matches, and only that one.
///
/// Dropping it releases the call. A client that goes away while its call is held before it took effect has not made it.
pub struct Pause {
    there: mpsc::Receiver<String>,
    order: Option<oneshot::Sender<Order>>,
}

impl Pause {
    /// Waits until a call is held, at most for `limit`, and names its action.
    pub fn wait(&self, limit: Duration) -> Result<String> {
        self.there.recv_timeout(limit).with_context(|| format!("waited {} s in vain for a call to hold", limit.as_secs_f32()))
    }

    /// Lets the call go on.
    pub fn release(self) {}

    /// Closes the call's connection: held before, it never takes effect; held after, its answer is lost.
    pub fn cut(mut self) {
        if let Some(order) = self.order.take() {
            // A client that is gone has cut it by itself.
            let _ = order.send(Order::Cut);
        }
    }
}

enum Order {
    Cut,
}

/// The proxy's side of a [`Pause`].
pub(super) struct Hold {
    there: mpsc::Sender<String>,
    order: oneshot::Receiver<Order>,
}

impl Hold {
    /// Holds the call until the test lets it go; `Err` if its connection is to be closed.
    pub(super) async fn hold(self, named: &Named) -> Result<(), Cut> {
        // Nobody there: the pause was dropped before a call came.
        let _ = self.there.send(named.action.clone());
        match self.order.await {
            Ok(Order::Cut) => Err(Cut),
            Err(_) => Ok(()),
        }
    }
}

/// The connection is to be closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut;

/// Where a call is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    After,
}

/// All that is planned for calls to come.
#[derive(Default)]
pub(super) struct Plan {
    faults: Vec<(On, Fault)>,
    holds: Vec<(On, Moment, Hold)>,
}

/// What befalls one call.
#[derive(Default)]
pub(super) struct Fate {
    pub(super) before: Option<Hold>,
    pub(super) delay: Duration,
    pub(super) fault: Option<Fault>,
    pub(super) after: Option<Hold>,
}

impl Fate {
    /// The planned error, as the services say errors.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let Some(Fault::Answer { status, code, message }) = &self.fault else { return None };
        Some(Refusal::with(StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), code, message))
    }
}

impl Plan {
    pub(super) fn fault(&mut self, on: On, fault: Fault) {
        self.faults.push((on, fault));
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
    }

    pub(super) fn pause(&mut self, on: On, moment: Moment) -> Pause {
        let ((arrive, there), (order, orders)) = (mpsc::channel(), oneshot::channel());
        self.holds.push((on, moment, Hold { there: arrive, order: orders }));
        Pause { there, order: Some(order) }
    }

    /// Delays add up; of the other faults the first one that was planned counts.
    pub(super) fn fate(&mut self, named: &Named) -> Fate {
        let mut fate = Fate { before: self.hold(named, Moment::Before), after: self.hold(named, Moment::After), ..Fate::default() };
        for (on, fault) in &mut self.faults {
            match fault {
                Fault::Delay(delay) if on.hits(named) => fate.delay += *delay,
                Fault::Delay(_) => {}
                _ if fate.fault.is_none() && on.hits(named) => fate.fault = Some(fault.clone()),
                _ => {}
            }
        }
        fate
    }

    fn hold(&mut self, named: &Named, moment: Moment) -> Option<Hold> {
        let found = self.holds.iter_mut().position(|(on, when, _)| *when == moment && on.hits(named))?;
        Some(self.holds.remove(found).2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(action: &str, target: &str) -> Named {
        Named { action: action.into(), target: target.into() }
    }

    fn hits(mut on: On, action: &str, target: &str) -> Vec<bool> {
        (0..5).map(|_| on.hits(&named(action, target))).collect()
    }

    #[test]
    fn action_and_target_have_to_match() {
        assert_eq!(hits(On::any(), "PutObject", "b/k"), [true; 5]);
        assert_eq!(hits("PutObject".into(), "GetObject", "b/k"), [false; 5]);
        assert_eq!(hits(On::action("PutObject").target("b/"), "PutObject", "b/k"), [true; 5]);
        assert_eq!(hits(On::action("PutObject").target("c/"), "PutObject", "b/k"), [false; 5]);
    }

    #[test]
    fn some_are_spared_and_the_rest_counted() {
        assert_eq!(hits(On::any().skip(1).times(2), "PutObject", "b/k"), [false, true, true, false, false]);
    }

    #[test]
    fn a_seed_draws_the_same_calls_again() {
        let draw = |seed| {
            let mut on = On::any().chance(0.3, seed);
            (0..1000).filter(|_| on.hits(&named("PutObject", ""))).count()
        };
        assert_eq!(draw(7), draw(7));
        assert!((200..400).contains(&draw(7)), "{}", draw(7));
    }

    #[test]
    fn delays_add_up_and_the_first_error_counts() {
        let mut plan = Plan::default();
        let second = Duration::from_secs(1);
        plan.fault(On::any(), Fault::Delay(second));
        plan.fault(On::any().times(1), Fault::DropBefore);
        plan.fault(On::any().times(1), Fault::DropAfter);
        plan.fault(On::any(), Fault::Delay(second));
        let mut fate = || {
            let fate = plan.fate(&named("PutObject", ""));
            (fate.delay, fate.fault)
        };
        assert_eq!(fate(), (2 * second, Some(Fault::DropBefore)));
        assert_eq!(fate(), (2 * second, Some(Fault::DropAfter)));
        assert_eq!(fate(), (2 * second, None));
    }
}
