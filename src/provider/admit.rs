//! `admit`: the security group that lets this machine in for the time of a walk.

use std::net::IpAddr;
use std::sync::Arc;

use super::Shared;
use crate::path::admission::Admission;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::{Attribute, nested_single, string};

model! {
    /// `admit = {…}`.
    pub struct AdmitModel {
        /// The bastion's.
        pub security_group_id: Attr<String>,
        /// This machine's; absent: it is asked for.
        pub address: Attr<String>,
    }
}

/// The argument, for a schema.
pub(super) fn attribute() -> Attribute {
    let attributes = vec![
        Attribute::required("security_group_id", string(), "A security group of the bastion, `sg-…`."),
        Attribute::optional(
            "address",
            string(),
            "This machine's address as the bastion sees it. Default: the answer of https://checkip.amazonaws.com, an IPv4 address.",
        ),
    ];
    Attribute::optional(
        "admit",
        nested_single(attributes),
        "Lets the machine that runs Terraform in while it walks the path: a rule for this one address and the bastion's port, with a mark that \
         expires after 15 minutes unless it is renewed, and removed with the last session. Where another rule lets the machine in, nothing is \
         added. Without `admit`, a rule of your own has to let the machine in.",
    )
}

/// Judges the argument; values that are not known yet are not judged.
pub(super) fn judge(admit: &Attr<AdmitModel>, at: &AttributePath, diagnostics: &mut Diagnostics) {
    let Attr::Known(admit) = admit else { return };
    if let Some(text) = admit.address.known().filter(|text| text.parse::<IpAddr>().is_err()) {
        let detail = format!("\"{text}\" is not one IP address, such as 203.0.113.7: `admit` never lets more than one machine in.");
        diagnostics.error(at.clone().attribute("address"), "The address is not an IP address", detail);
    }
    #[cfg(feature = "aws")]
    if let Some(Err(error)) = admit.security_group_id.known().map(|text| text.parse::<crate::aws::security_group_rules::GroupId>()) {
        let detail = super::tunnel::sentence(&error);
        diagnostics.error(at.clone().attribute("security_group_id"), "The security group's id is not one", detail);
    }
}

/// Who lets this machine in; nobody where nobody was asked to.
#[cfg(feature = "aws")]
pub(super) fn admission(shared: &Shared, admit: &Attr<AdmitModel>, at: &AttributePath) -> Result<Option<Arc<dyn Admission>>, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    judge(admit, at, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let Attr::Known(model) = admit else { return Ok(None) };
    let group = model.security_group_id.known().and_then(|id| id.parse().ok());
    let Some(group) = group else { return Err(super::fault("a machine was to be admitted to an unknown security group")) };
    let address = model.address.known().and_then(|text| text.parse().ok());
    let account = shared.aws.required()?;
    match crate::aws::SecurityGroupAdmission::new(account, group, address) {
        Some(admission) => Ok(Some(Arc::new(admission))),
        None => {
            diagnostics.error(
                at.clone().attribute("address"),
                "The address is not that of one machine",
                "It is a multicast, broadcast, link-local or unspecified address, and the bastion sees none of those.",
            );
            Err(diagnostics)
        }
    }
}

/// Who lets this machine in: nobody can, in a build without AWS.
#[cfg(not(feature = "aws"))]
pub(super) fn admission(_shared: &Shared, admit: &Attr<AdmitModel>, at: &AttributePath) -> Result<Option<Arc<dyn Admission>>, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    if admit.is_null() {
        return Ok(None);
    }
    diagnostics.error(at.clone(), "This build has no AWS", "Leave `admit` out, and admit this machine by a rule of your own.");
    Err(diagnostics)
}
