//! What happened in this process a moment ago: which logins' objects were written, and what was told of which bastion.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::path::diagnosis::Diagnosis;
use crate::path::position::Position;
use crate::path::route::Hop;

/// A failure on the way: where, what, and through which hops.
type Failing = (Position, String, Vec<Hop>);

/// The process's short memory.
#[derive(Default)]
pub(super) struct Recent {
    written: Mutex<HashSet<String>>,
    told: Mutex<HashMap<Failing, String>>,
}

impl Recent {
    /// The object of a login was written. A process is one command of Terraform's, and a bastion needs minutes to sync.
    pub(super) fn wrote(&self, user: &str) {
        lock(&self.written).insert(user.to_owned());
    }

    /// Whether a bastion may still have to learn what a login may do.
    pub(super) fn settles(&self, hops: &[Hop]) -> bool {
        let written = lock(&self.written);
        hops.iter().any(|hop| hop.canary.is_none() && hop.user.as_ref().is_some_and(|user| written.contains(user)))
    }

    /// Who was told the same of the same bastion before, if anybody was; else it is told now, in the name of `who`.
    pub(super) fn told(&self, who: &str, diagnosis: &Diagnosis) -> Option<String> {
        let hops = &diagnosis.route.hops;
        let through = hops.get(..=diagnosis.at.leg)?.to_vec();
        let mut told = lock(&self.told);
        let failing = (diagnosis.at, diagnosis.code(), through);
        if let Some(before) = told.get(&failing) {
            return Some(before.clone());
        }
        told.insert(failing, who.to_owned());
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::cause::Cause;
    use crate::path::route::tests::route;
    use crate::path::stage::Stage;

    #[test]
    fn one_dead_bastion_is_told_once_and_each_other_failure_too() {
        let recent = Recent::default();
        let at = |leg, stage, cause| Diagnosis::new(route("db"), Position::new(leg, stage), cause);
        let dead = at(0, Stage::Connect, Cause::ConnectSilent);
        assert_eq!(recent.told("a", &dead), None);
        assert_eq!(recent.told("b", &dead), Some("a".to_owned()));
        assert_eq!(recent.told("c", &at(0, Stage::Connect, Cause::ConnectRefused)), None);
        // Behind the bastion each has a target of its own.
        for who in ["a", "b"] {
            assert_eq!(recent.told(who, &at(1, Stage::Dial, Cause::DialRefused)), None);
        }
        let mut elsewhere = dead;
        elsewhere.route.hops[0].at.host = "other.example.com".parse().unwrap();
        assert_eq!(recent.told("d", &elsewhere), None);
    }

    #[test]
    fn a_bastion_settles_while_its_object_is_new_and_nothing_tells_whether_it_arrived() {
        let (recent, mut route) = (Recent::default(), route("db"));
        assert!(!recent.settles(&route.hops));
        recent.wrote("tf");
        assert!(recent.settles(&route.hops));
        route.hops[0].canary = crate::key::canary("", "");
        assert!(!recent.settles(&route.hops));
    }
}
