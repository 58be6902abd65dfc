//! Kills at random instants: of terraform, of the provider, of both; in a create, an update and a destroy.
//!
//! `BASTION_KILLS` is how many, `BASTION_SEED` where they begin.

use std::time::Duration;

use crate::cloud::{Cloud, Victim};
use crate::support::Block;

/// Some minutes' worth.
const KILLS: u64 = 24;

/// An apply of the tests takes about so long; some kills come too late, as some of a user's do.
const LONGEST: u64 = 1_800;

/// A linear congruential generator (Knuth's MMIX): the same kills in every run.
pub struct Dice(u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Takes a resource through its life, with a kill in each step. `versions` are configurations of it, the first of which is made, the others
/// follow; `holds` looks at what stands after each kill, and `ended` at what stands once nothing is wanted any more.
pub fn survive(cloud: &Cloud, versions: &[Vec<&Block>], begin: impl Fn(&Cloud), holds: impl Fn(&Cloud, usize), ended: impl Fn(&Cloud)) {
    let mut dice = Dice(number("BASTION_SEED", 7));
    let kills = number("BASTION_KILLS", KILLS);
    let mut hit = 0;
    let mut made = 0;
    while made < kills {
        // Create, each update, destroy.
        for step in 0..=versions.len() {
            begin(cloud);
            cloud.write(versions.get(step).map_or(&[], Vec::as_slice));
            let victim = [Victim::Terraform, Victim::Provider, Victim::Both][usize::try_from(dice.below(3)).unwrap()];
            let delay = Duration::from_millis(dice.below(LONGEST));
            let alive = cloud.kill_after(delay, victim);
            made += 1;
            hit += u64::from(alive);
            println!("kill {made}: {victim:?} after {delay:?} in step {step}, alive: {alive}");
            holds(cloud, step);
            cloud.terraform.apply().unwrap().ok().unwrap();
            cloud.settled();
            holds(cloud, step);
        }
        ended(cloud);
    }
    assert!(hit * 3 >= made, "only {hit} of {made} kills came in time");
}
