//! One walk's door to what it reaches first: opened before it connects, and held open as long as something uses it.

use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::failure::Failure;
use super::patience::Patience;
use super::steps::Steps;
use crate::path::admission::{Admission, Admitted, Refused};
use crate::path::cause::Cause;
use crate::path::heard::Heard;
use crate::path::refusal::{AccountReason, Reason, Refusal};
use crate::path::route::Port;
use crate::path::stage::Stage;

/// One walk's door. Once open it stays open for all of the walk's tries.
#[derive(Default)]
pub(crate) struct Door {
    admission: Option<Arc<dyn Admission>>,
    held: OnceCell<Admitted>,
}

impl Door {
    pub(crate) fn new(admission: Option<Arc<dyn Admission>>) -> Self {
        Self { admission, held: OnceCell::new() }
    }

    /// Lets this machine in; nothing where nobody has to.
    pub(crate) async fn pass(&self, port: Port, patience: &Patience, steps: &Steps<'_>) -> Result<Option<Admitted>, Failure> {
        let Some(admission) = &self.admission else { return Ok(None) };
        steps.begin(0, Stage::Admit);
        let open = async { timeout(patience.admit, admission.open(port)).await.unwrap_or_else(|_| Err(silent())) };
        let admitted = self.held.get_or_try_init(|| open).await.map_err(|refused| Failure::new(0, (refused.cause, refused.heard)))?;
        steps.see_from(admitted.address);
        steps.pass(admitted.note.clone());
        Ok(Some(admitted.clone()))
    }
}

/// AWS was asked, and nothing came back in all the time that there was.
fn silent() -> Box<Refused> {
    let reason = Reason::Account(AccountReason::Silent);
    let refusal = Refusal { reason, heard: Heard::default(), action: "ec2:AuthorizeSecurityGroupIngress" };
    Box::new(Refused { cause: Cause::NotAdmitted { refusal: Box::new(refusal) }, heard: Heard::default() })
}
