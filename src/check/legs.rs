//! The order of the legs: through the hops, to the target, or as far as was asked for.

use tokio_util::sync::CancellationToken;

use super::Report;
use super::prove::{Proof, postgres};
use super::walk::Walk;
use crate::path::diagnosis::Diagnosis;
use crate::path::position::Position;
use crate::path::route::Target;
use crate::path::stage::Stage;
use crate::way::{Failure, unpinned};

impl Walk<'_> {
    /// Walks within the time for the whole, or until it is told to stop.
    pub(super) async fn prove(&self, cancelled: &CancellationToken) -> Result<Report, Box<Diagnosis>> {
        self.within(cancelled, || self.attempt()).await
    }

    /// Once from start to end. A session that is good enough is walked over, not opened again.
    async fn attempt(&self) -> Result<Report, Failure> {
        let route = &self.request.route;
        let target = route.hops.len();
        let last_hop = self.request.until.map_or(target, |until| until.leg);
        let proof = match (route.hop(last_hop), &route.target) {
            (Some(_), _) => self.visit(last_hop).await?,
            (None, None) => self.login(target).await?,
            (None, Some(_)) if !self.dials(target) => self.visit(target).await?,
            (None, Some(Target::Tcp(at))) => self.dialer().dial(target, at).await.map(|_| Some(Proof::Tcp))?,
            (None, Some(Target::Postgres { at, login })) => postgres::prove(self, target, at, login.as_ref()).await?,
        };
        Ok(Report { proof, path: self.steps.walked(), seen_as: self.steps.seen_as() })
    }

    /// A path that ends with the login to its last hop.
    async fn login(&self, legs: usize) -> Result<Option<Proof>, Failure> {
        if let Some(last) = legs.checked_sub(1) {
            self.dialer().session(last, self.dialer().since).await?;
        }
        Ok(None)
    }

    /// A walk that ends on a leg on which nobody says who they are, or with a hop's login.
    async fn visit(&self, leg: usize) -> Result<Option<Proof>, Failure> {
        let dialer = self.dialer();
        let reaches = |stage| self.reaches(Position::new(leg, stage));
        let (hop, Some(at)) = (self.request.route.hop(leg), self.request.route.address(leg)) else { return Ok(None) };
        if hop.is_some() && reaches(Stage::Authenticate) {
            dialer.session(leg, dialer.since).await?;
        } else if self.dials(leg) {
            let asked = hop.filter(|_| reaches(Stage::Handshake));
            asked.and_then(unpinned).map_or(Ok(()), Err)?;
            // To a server's MaxStartups each connection counts that has not logged in.
            let _place = match hop {
                Some(_) => dialer.sessions.place(self.request.route.hops.iter().take(leg + 1).map(|hop| hop.at.clone()).collect()).await,
                None => None,
            };
            let stream = dialer.dial(leg, at).await?;
            if let Some(hop) = asked {
                dialer.shake_hands(stream, leg, hop).await?;
            }
        } else if leg == 0 && reaches(Stage::Resolve) {
            dialer.resolve(at).await?;
        } else if leg == 0 && reaches(Stage::Admit) {
            dialer.admit(at).await?;
        }
        Ok(None)
    }
}
