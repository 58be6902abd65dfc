//! Who in this process is making or changing what, so that who gives a thing up can wait a moment for somebody to take it over.
//!
//! Terraform runs a destroy and a create that have nothing to do with each other in any order, mostly at once: a renamed resource is one of
//! each. What the create takes over, it marks; what is marked, the destroy leaves.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

/// The places, a security group or an object, with what is going on at them.
#[derive(Default)]
pub(super) struct Arrivals(Mutex<HashMap<String, watch::Sender<Traffic>>>);

#[derive(Clone, Copy, Default)]
struct Traffic {
    under_way: usize,
    ended: usize,
}

/// A create or an update under way at a place, until it is dropped.
pub(super) struct Arrival(watch::Sender<Traffic>);

impl Arrivals {
    /// Says that a create or an update begins at a place.
    pub(super) fn begin(&self, place: &str) -> Arrival {
        let traffic = self.place(place);
        traffic.send_modify(|traffic| traffic.under_way += 1);
        Arrival(traffic)
    }

    /// Waits until one ends that is under way now or begins before the deadline; one that has begun is waited for beyond it. `false`: none came.
    pub(super) async fn next(&self, place: &str, deadline: Instant) -> bool {
        let mut traffic = self.place(place).subscribe();
        let before = traffic.borrow_and_update().ended;
        let began = traffic.wait_for(|traffic| traffic.under_way > 0 || traffic.ended > before);
        match tokio::time::timeout_at(deadline, began).await {
            Err(_) | Ok(Err(_)) => return false,
            Ok(Ok(_)) => {}
        }
        traffic.wait_for(|traffic| traffic.ended > before).await.is_ok()
    }

    fn place(&self, place: &str) -> watch::Sender<Traffic> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(place.to_owned()).or_insert_with(|| watch::Sender::new(Traffic::default())).clone()
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.send_modify(|traffic| {
            traffic.under_way -= 1;
            traffic.ended += 1;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(2)
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_comes() {
        let arrivals = Arrivals::default();
        drop(arrivals.begin("sg-1"));
        let _elsewhere = arrivals.begin("sg-2");
        assert!(!arrivals.next("sg-1", soon()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_under_way_or_begins_in_time_is_waited_for_to_the_end() {
        let arrivals = Arrivals::default();
        for begins_after in [Duration::ZERO, Duration::from_secs(1)] {
            let begun = Instant::now();
            let arrive = async {
                tokio::time::sleep(begins_after).await;
                let _arrival = arrivals.begin("sg-1");
                tokio::time::sleep(Duration::from_secs(60)).await;
            };
            let (came, ()) = tokio::join!(arrivals.next("sg-1", soon()), arrive);
            assert!(came && begun.elapsed() >= Duration::from_secs(60));
        }
    }
}
