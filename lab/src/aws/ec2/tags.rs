//! CreateTags and DeleteTags: of rules here, of all else in moto.

use std::collections::BTreeMap;

use super::{Ec2, Form, Place, dry_run, form::missing, respond};
use crate::aws::{
    call::{Answer, Refusal},
    upstream::Upstream,
};

/// How many tags a resource may have [Amazon's quota].
const MOST: usize = 50;

impl Ec2 {
    pub(super) async fn tag(&mut self, action: &str, form: &mut Form, place: Place<'_>) -> Result<Answer, Refusal> {
        let ids = form.list("ResourceId");
        if ids.is_empty() {
            return Err(missing("ResourceIdSet"));
        }
        let dry = dry_run(form);
        let deleting = action == "DeleteTags";
        let tags = if deleting { Vec::new() } else { take(form)?.into_iter().collect() };
        let keys: Vec<(String, Option<String>)> = if deleting { keys(form) } else { Vec::new() };
        form.finish()?;
        let (rules, others): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| id.starts_with("sgr-"));
        for id in &rules {
            let rule = self.rule_of_id(id)?;
            let new = tags.iter().filter(|(key, _)| !rule.tags.contains_key(key)).count();
            if rule.tags.len() + new > MOST {
                return Err(Refusal::new("TagLimitExceeded", format!("More than {MOST} tags")));
            }
        }
        dry?;
        if !others.is_empty() {
            forward(action, &others, &tags, &keys, place.region, place.moto).await?;
        }
        for entry in self.entries.iter_mut().filter(|entry| rules.contains(&entry.rule.id)) {
            entry.rule.tags.extend(tags.iter().cloned());
            if deleting {
                entry.rule.tags.retain(|key, value| {
                    let named =
                        |(name, wanted): &(String, Option<String>)| name == key && wanted.as_ref().is_none_or(|wanted| wanted == value);
                    !(keys.is_empty() || keys.iter().any(named))
                });
            }
        }
        Ok(respond(action, |out| out.push_str("<return>true</return>")))
    }
}

/// Takes `Tag.N` out; Amazon's own prefix, empty keys and doubles are refused.
pub(super) fn take(form: &mut Form) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = BTreeMap::new();
    for mut tag in form.items("Tag") {
        let key = tag.take("Key").filter(|key| !key.is_empty()).ok_or_else(|| invalid("Tag keys must not be empty".into()))?;
        let value = tag.take("Value").unwrap_or_default();
        tag.finish()?;
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(format!("Tag keys starting with 'aws:' are reserved for internal use: {key}")));
        }
        if key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid(format!("Tag {key} exceeds the maximum length of 128 (key) or 256 (value)")));
        }
        if tags.insert(key.clone(), value).is_some() {
            return Err(invalid(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    if tags.len() > MOST {
        return Err(Refusal::new("TagLimitExceeded", format!("More than {MOST} tags")));
    }
    Ok(tags)
}

/// Takes the keys to delete out; one with a value goes only with that value.
fn keys(form: &mut Form) -> Vec<(String, Option<String>)> {
    let tags = form.items("Tag").into_iter();
    tags.filter_map(|mut tag| Some((tag.take("Key")?, tag.take("Value")))).collect()
}

fn invalid(message: String) -> Refusal {
    Refusal::new("InvalidParameterValue", message)
}

async fn forward(
    action: &str,
    ids: &[String],
    tags: &[(String, String)],
    keys: &[(String, Option<String>)],
    region: &str,
    moto: &Upstream,
) -> Result<(), Refusal> {
    let mut parameters = Vec::new();
    let all = tags.iter().map(|(key, value)| (key, Some(value))).chain(keys.iter().map(|(key, value)| (key, value.as_ref())));
    for (number, (key, value)) in (1..).zip(all) {
        parameters.push((format!("Tag.{number}.Key"), key.clone()));
        parameters.extend(value.map(|value| (format!("Tag.{number}.Value"), value.clone())));
    }
    parameters.extend((1..).zip(ids).map(|(number, id)| (format!("ResourceId.{number}"), id.clone())));
    moto.ec2(region, action, &parameters).await.map(drop)
}
