//! How long a failed stage may heal, and how often it is tried.

use std::time::Duration;

use ring::rand::SecureRandom;

use super::sessions::REFUSAL_PAUSE;
use crate::backoff::Backoff;
use crate::path::stage::Stage;

/// How long a name, an address or a balancer's target may take to come up: a new balancer's name and first healthy target need about a minute.
const REACH_WINDOW: Duration = Duration::from_secs(60);
/// How long a key may take to reach the bastion: its sync runs every five minutes, and needs time itself.
const KEY_WINDOW: Duration = Duration::from_secs(6 * 60);
/// How long a database may start up or lack a slot.
const OPEN_WINDOW: Duration = Duration::from_secs(60);

/// How long a stage may heal, and how it is tried.
pub(super) const fn patience(stage: Stage) -> (Duration, Backoff) {
    let seconds = Duration::from_secs;
    match stage {
        Stage::Authenticate => (KEY_WINDOW, Backoff::new(REFUSAL_PAUSE, seconds(8), seconds(10))),
        Stage::Login | Stage::Open => (OPEN_WINDOW, Backoff::new(seconds(1), seconds(2), seconds(8))),
        _ => (REACH_WINDOW, Backoff::new(Duration::from_millis(500), seconds(1), seconds(8))),
    }
}

/// An evenly drawn number. Without randomness the pauses are merely not jittered.
pub(super) fn dice() -> u32 {
    let mut bytes = [0; 4];
    match ring::rand::SystemRandom::new().fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes),
        Err(_) => u32::MAX,
    }
}
