//! Walks that end before the database is ready, because that is all that was asked for.

use super::Walk;
use super::first_hop::unpinned;
use crate::check::failure::Failure;
use crate::check::{Report, Status, Walked};
use crate::path::diagnosis::Diagnosis;
use crate::path::route::{Bastion, Host, Port};
use crate::path::stage::Stage;

impl Walk<'_> {
    /// Whether the walk goes as far as this stage.
    pub(super) fn reaches(&self, stage: Stage) -> bool {
        let last = match self.request.until {
            None => return true,
            Some(Stage::Handshake) => Stage::HostKey,
            Some(Stage::Forward) => Stage::Dial,
            Some(Stage::Login) => Stage::Open,
            Some(last) => last,
        };
        stage <= last
    }

    /// A walk on which nobody says who they are: it needs no key and shares no session.
    pub(super) async fn visit(&self, bastion: Option<&Bastion>, host: &Host, port: Port) -> Result<Report, Failure> {
        let asked = bastion.filter(|_| self.reaches(Stage::Handshake));
        if let Some(failure) = asked.and_then(unpinned) {
            return Err(failure);
        }
        if !self.reaches(Stage::Resolve) {
            return Ok(self.report());
        }
        let addresses = self.resolve(host, port).await?;
        if self.reaches(Stage::Connect) {
            let connected = self.connect_to(&addresses, host, port).await?;
            if let Some(bastion) = asked {
                self.shake_hands(connected, bastion).await?;
            }
        }
        Ok(self.report())
    }

    /// A path that ends before the database says its version.
    pub(super) fn report(&self) -> Report {
        Report { server_version: String::new(), path: self.walked() }
    }

    /// The stages up to the failed one.
    pub(in crate::check) fn walked_to(&self, diagnosis: &Diagnosis) -> Vec<Walked> {
        let failed = diagnosis.stage();
        let mut path: Vec<_> = self.walked().into_iter().filter(|walked| walked.stage < failed).collect();
        path.push(Walked { stage: failed, status: Status::Failed, note: diagnosis.heard.to_string() });
        path
    }
}
