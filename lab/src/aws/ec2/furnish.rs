//! What the creating calls check before moto gets them.

use super::{Form, Place, check_id, document, dry_run, ipv4, ipv6};
use crate::aws::call::{Answer, Refusal};

/// The most entries of a prefix list, and of one call that fills it [Amazon's quotas].
const MOST_ENTRIES: usize = 1000;
const MOST_ENTRIES_A_CALL: usize = 100;

/// Names that begin like this are Amazon's own.
const RESERVED: [&str; 3] = ["com.amazonaws", "com.amazon.", "com.aws."];

/// CreateVpc and CreateSubnet: moto checks both well.
pub(super) async fn network(action: &str, form: &mut Form, place: Place<'_>) -> Result<Answer, Refusal> {
    pass(action, form, place).await
}

/// CreateSecurityGroup, in a network that exists.
pub(super) async fn group(form: &mut Form, place: Place<'_>) -> Result<Answer, Refusal> {
    let pairs = form.pairs();
    let value = |name: &str| pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let Some(name) = value("GroupName").filter(|name| !name.is_empty()) else { return Err(super::form::missing("GroupName")) };
    let Some(description) = value("GroupDescription").filter(|text| !text.is_empty()) else {
        return Err(super::form::missing("GroupDescription"));
    };
    if name.starts_with("sg-") || name.len() > 255 {
        let message = format!("Invalid value '{name}' for groupName. Group names may not be in the format sg-* or longer than 255");
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    if description.len() > 255 {
        return Err(Refusal::new(
            "InvalidParameterValue",
            "Invalid value for groupDescription. Character sets beyond 255 are not supported.",
        ));
    }
    if let Some(vpc) = value("VpcId") {
        check_id(vpc, "vpc", "InvalidVpcID.Malformed")?;
        // moto makes groups in networks that do not exist.
        place.call("DescribeVpcs", &[("VpcId.1", vpc)]).await?;
    }
    pass("CreateSecurityGroup", form, place).await
}

/// CreateManagedPrefixList, of which moto checks nothing.
pub(super) async fn prefix_list(form: &mut Form, place: Place<'_>) -> Result<Answer, Refusal> {
    let pairs = form.pairs();
    let mut seen = Form::parse(form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish().as_bytes())?;
    let name = seen.need("PrefixListName")?;
    if name.len() > 255 || RESERVED.iter().any(|start| name.starts_with(start)) {
        return Err(Refusal::new("InvalidParameterValue", format!("The prefix list name {name} is reserved or too long")));
    }
    let family = seen.need("AddressFamily")?;
    let most: usize = seen.number("MaxEntries")?.ok_or_else(|| super::form::missing("MaxEntries"))?;
    if !(1..=MOST_ENTRIES).contains(&most) {
        return Err(Refusal::new("InvalidParameterValue", format!("Invalid value '{most}' for MaxEntries. Must be 1 to {MOST_ENTRIES}")));
    }
    let mut cidrs = Vec::new();
    for mut entry in seen.items("Entry") {
        let cidr = entry.need("Cidr")?;
        let canonical = match family.as_str() {
            "IPv4" => ipv4(&cidr)?,
            "IPv6" => ipv6(&cidr)?,
            _ => {
                return Err(Refusal::new(
                    "InvalidParameterValue",
                    format!("Invalid value '{family}' for AddressFamily. Must be IPv4 or IPv6"),
                ));
            }
        };
        if canonical != cidr || cidrs.contains(&cidr) {
            return Err(Refusal::new("InvalidParameterValue", format!("The CIDR block {cidr} is not canonical, or is there twice")));
        }
        cidrs.push(cidr);
    }
    if cidrs.len() > MOST_ENTRIES_A_CALL {
        return Err(Refusal::new("InvalidParameterValue", format!("More than {MOST_ENTRIES_A_CALL} entries in one call")));
    }
    if cidrs.len() > most {
        let message = format!("The number of entries exceeds the maximum of {most} of the prefix list");
        return Err(Refusal::new("PrefixListMaxEntriesExceeded", message));
    }
    pass("CreateManagedPrefixList", form, place).await
}

async fn pass(action: &str, form: &mut Form, place: Place<'_>) -> Result<Answer, Refusal> {
    dry_run(form)?;
    Ok(document(place.moto.ec2(place.region, action, &form.pairs()).await?))
}
