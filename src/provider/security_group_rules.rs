//! `bastion_security_group_rules`: who may come in and go out, changed without a moment in which neither old nor new is let through.

mod arguments;
mod notes;
mod schema;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::aws::{Configured, refused};
use super::{Shared, fault};
use crate::aws::security_group_rules::{self as room, DesiredRules, Entry, GroupId, Identity, Unfinished};
use crate::aws::{Account, ClaimId, Owner};
use crate::path::heard::Heard;
use crate::path::refusal::{Reason, Refusal, RulesReason};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Applied, Apply, Call, Change, Kept, Planned, Private, Resource};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::Schema;

model! {
    /// The resource's configuration and state.
    pub struct Model {
        /// The group's id.
        pub id: Attr<String>,
        /// The group.
        pub security_group_id: Attr<String>,
        /// Who may come in.
        pub ingress: Attr<BTreeMap<String, Attr<RuleModel>>>,
        /// Where the bastion may go.
        pub egress: Attr<BTreeMap<String, Attr<RuleModel>>>,
        /// Whose rules they are.
        pub owner: Attr<String>,
        /// Which of the owner's objects this is. Null: the version before made it.
        pub claim_id: Attr<String>,
        /// The default tags of the last change. Null: they are as they are.
        pub tags: Attr<BTreeMap<String, Attr<String>>>,
        /// The rules that serve each entry.
        pub rules: Attr<BTreeMap<String, Attr<Vec<HeldModel>>>>,
    }
}

model! {
    /// One entry.
    pub struct RuleModel {
        /// The other ends.
        pub peers: Attr<BTreeSet<Attr<String>>>,
        /// One port …
        pub port: Attr<i64>,
        /// … or the first …
        pub from_port: Attr<i64>,
        /// … and the last of a range.
        pub to_port: Attr<i64>,
        /// TCP unless given.
        pub protocol: Attr<String>,
        /// Put on each rule.
        pub description: Attr<String>,
    }
}

model! {
    /// One rule.
    pub struct HeldModel {
        /// The other end.
        pub peer: Attr<String>,
        /// `sgr-…`
        pub rule_id: Attr<String>,
        /// Whether it is ours.
        pub owned: Attr<bool>,
    }
}

/// The resource.
pub(super) struct SecurityGroupRules {
    aws: Configured,
    /// Whom this process has refreshed. Terraform plans in the process that refreshes, and applies in another, which plans once more.
    refreshed: Mutex<BTreeSet<String>>,
}

/// A change with all that it needs, parsed.
struct Prepared {
    account: Account,
    group: GroupId,
    entries: Vec<Entry>,
    ours: room::Ours,
    identity: Identity,
}

impl Prepared {
    fn desired(&self) -> DesiredRules<'_> {
        DesiredRules { group: &self.group, entries: &self.entries, ours: &self.ours }
    }

    fn refused(&self, refusal: &Refusal) -> Diagnostics {
        refused(refusal, at(refusal, &self.entries))
    }
}

impl SecurityGroupRules {
    fn refreshed(&self, model: &Model) -> bool {
        self.refreshed.lock().unwrap_or_else(PoisonError::into_inner).contains(&identity(model))
    }

    /// What a change does to the bastion's way to S3, as the refresh before it saw the group. A change that this process has not refreshed was
    /// advised on by the one that planned it.
    async fn advice_on_egress(&self, prior: Option<&Model>, config: &Model) -> Diagnostics {
        if !arguments::leaves_s3_to_others(prior, config) || prior.is_some_and(|prior| !self.refreshed(prior)) {
            return Diagnostics::new();
        }
        let group = config.security_group_id.known().and_then(|id| id.parse().ok());
        let seen = match self.aws.account().zip(group) {
            None => None,
            Some((account, group)) => {
                let ours = prior.map(state::ours).unwrap_or_default();
                room::lets_out_beside(&account, &group, &ours, arguments::HTTPS).await
            }
        };
        match seen {
            Some(true) => Diagnostics::new(),
            Some(false) => arguments::no_sync(),
            None => arguments::perhaps_no_sync(),
        }
    }

    pub(super) fn new(shared: &Shared) -> Self {
        Self { aws: shared.aws.clone(), refreshed: Mutex::default() }
    }

    fn prepare(&self, apply: &Apply<Model>) -> Result<Prepared, Diagnostics> {
        let asked = arguments::parse_known(&apply.planned)?;
        let account = self.aws.required()?;
        let random = |_| fault("the system gives no random numbers");
        let owner = apply.planned.owner.known().and_then(|owner| owner.parse().ok());
        let claim = apply.planned.claim_id.known().and_then(|claim| claim.parse().ok());
        let identity = Identity {
            owner: owner.map_or_else(Owner::draw, Ok).map_err(random)?,
            claim: Some(claim.map_or_else(ClaimId::draw, Ok).map_err(random)?),
        };
        let mut ours = apply.prior.as_ref().map(state::ours).unwrap_or_default();
        ours.former = ours.identity.replace(identity.clone()).filter(|former| *former != identity);
        Ok(Prepared { group: asked.group, entries: asked.entries, ours, identity, account })
    }
}

/// Fills in what only apply can tell for sure.
fn named(mut model: Model, identity: &Identity, account: &Account) -> Model {
    model.id = model.security_group_id.clone();
    model.owner = Attr::Known(identity.owner.to_string());
    model.claim_id = identity.claim.as_ref().map_or(Attr::Null, |claim| Attr::Known(claim.to_string()));
    if !model.tags.is_null() {
        model.tags = default_tags(account);
    }
    model
}

fn default_tags(account: &Account) -> Attr<BTreeMap<String, Attr<String>>> {
    state::tags(&account.settings().default_tags)
}

/// A model with the rules that serve now. Those that were planned as known are what they were, unless somebody is at them right now: the next
/// look tells.
fn done(mut model: Model, prepared: &Prepared, ensured: &room::Ensured) -> Model {
    if !matches!(model.rules, Attr::Known(_)) {
        model.rules = state::rules(&ensured.held);
    }
    named(model, &prepared.identity, &prepared.account)
}

/// The argument to look at first.
fn at(refusal: &Refusal, entries: &[Entry]) -> AttributePath {
    match &refusal.reason {
        Reason::Rules(RulesReason::GroupMissing { .. } | RulesReason::GroupLost { .. }) => AttributePath::of("security_group_id"),
        Reason::Rules(RulesReason::Quota { direction, .. }) => AttributePath::of(direction),
        Reason::Rules(RulesReason::PeerMissing { peer }) => {
            let names = |entry: &&Entry| entry.sources.iter().any(|source| source.to_string() == *peer);
            let entry = entries.iter().find(names);
            entry.map_or_else(AttributePath::root, |entry| arguments::at(entry.direction, &entry.name).attribute("peers"))
        }
        _ => AttributePath::root(),
    }
}

/// The group that a state names.
fn group(model: &Model) -> Result<GroupId, Diagnostics> {
    let group = model.security_group_id.known().and_then(|id| id.parse().ok());
    group.ok_or_else(|| fault("the security group in state has no id"))
}

/// What tells one object's state from another's.
fn identity(model: &Model) -> String {
    [&model.security_group_id, &model.owner, &model.claim_id].map(|part| part.known().map_or("", String::as_str)).join(" ")
}

/// A planned change with what the provider gives.
fn computed(
    mut model: Model,
    config: &Model,
    prior: &Model,
    tags: Option<&Attr<BTreeMap<String, Attr<String>>>>,
) -> Result<Model, Diagnostics> {
    let before = arguments::parse(prior).ok().flatten();
    let same = arguments::parse(&model)?.zip(before).is_some_and(|(asked, before)| state::same_rules(&asked.entries, &before.entries));
    let drawn = prior.owner.known().and_then(|owner| owner.parse::<Owner>().ok()).is_some_and(|owner| owner.is_drawn());
    model.owner = match &config.owner {
        Attr::Null if drawn => prior.owner.clone(),
        // The argument was taken out: as if it had never been there.
        Attr::Null => Attr::Unknown,
        given => given.clone(),
    };
    model.claim_id = prior.claim_id.clone();
    model.rules = if same { prior.rules.clone() } else { Attr::Unknown };
    // As long as the provider block is not known, its tags change nothing.
    model.tags = tags.filter(|_| !prior.tags.is_null()).unwrap_or(&prior.tags).clone();
    if model != *prior {
        model.tags = tags.cloned().unwrap_or(Attr::Unknown);
        if prior.claim_id.is_null() {
            // What the version before made gets marks of its own with its first change.
            (model.claim_id, model.rules) = (Attr::Unknown, Attr::Unknown);
            model.owner = if config.owner.is_null() { Attr::Unknown } else { model.owner };
        }
    }
    Ok(model)
}

impl Resource for SecurityGroupRules {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "bastion_security_group_rules"
    }

    fn schema(&self) -> Schema {
        schema::schema()
    }

    fn validate(&self, config: &Model) -> Diagnostics {
        arguments::shape(config)
    }

    fn judge(&self, config: &Model) -> Diagnostics {
        arguments::validate(config)
    }

    async fn plan(&self, _call: &Call<Model>, change: Change<Model>) -> Result<Planned<Model>, Diagnostics> {
        arguments::parse(&change.config)?;
        let mut warnings = arguments::advice(&change.config);
        warnings.append(self.advice_on_egress(change.prior.as_ref(), &change.config).await);
        let mut model = change.proposed;
        model.id = model.security_group_id.clone();
        let tags = self.aws.account().map(|account| default_tags(&account));
        let Some(prior) = &change.prior else {
            model.owner = if change.config.owner.is_null() { Attr::Unknown } else { change.config.owner };
            (model.claim_id, model.rules, model.tags) = (Attr::Unknown, Attr::Unknown, tags.unwrap_or(Attr::Unknown));
            return Ok(Planned { warnings, ..Planned::new(model, change.private) });
        };
        let respelled = computed(state::respelled(&model, prior), &change.config, prior, tags.as_ref())?;
        // Other words for the same are no change. Where something else changes they are taken as they are written: a set that is known in
        // part can only be planned as it is written, and whether it was so is forgotten when apply plans once more.
        let unchanged = respelled == *prior && self.refreshed(prior);
        let model = if unchanged { respelled } else { computed(model, &change.config, prior, tags.as_ref())? };
        let mut planned = Planned { warnings, ..Planned::new(model, change.private) };
        if planned.model.security_group_id != prior.security_group_id {
            planned.requires_replace.push(AttributePath::of("security_group_id"));
        }
        Ok(planned)
    }

    async fn create(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        let prepared = match self.prepare(&apply) {
            Ok(prepared) => prepared,
            Err(diagnostics) => return Applied::Nothing(diagnostics),
        };
        match room::create(&prepared.account, &prepared.desired(), &call.cancelled).await {
            Ok(ensured) => {
                let model = done(apply.planned, &prepared, &ensured);
                Applied::Done(Kept { model, private: apply.private }, notes::ensured(&prepared.group, &ensured))
            }
            Err(refusal) => Applied::Nothing(prepared.refused(&refusal)),
        }
    }

    async fn read(&self, call: &Call<Model>, kept: Kept<Model>) -> Result<Option<Kept<Model>>, Diagnostics> {
        self.refreshed.lock().unwrap_or_else(PoisonError::into_inner).insert(identity(&kept.model));
        let Some(account) = self.aws.account() else { return Ok(Some(kept)) };
        let group = group(&kept.model)?;
        // What cannot be parsed is looked at by the rules that are recorded.
        let entries = arguments::parse(&kept.model).ok().flatten().map(|asked| asked.entries).unwrap_or_default();
        let observed = room::look(&account, &group, &entries, &state::ours(&kept.model), &call.cancelled).await;
        let observed = observed.map_err(|refusal| refused(&refusal, at(&refusal, &entries)))?;
        Ok(observed.map(|observed| Kept { model: state::standing(kept.model, &observed), private: kept.private }))
    }

    async fn update(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        let prepared = match self.prepare(&apply) {
            Ok(prepared) => prepared,
            Err(diagnostics) => return Applied::Nothing(diagnostics),
        };
        match room::update(&prepared.account, &prepared.desired(), &call.cancelled).await {
            Ok(ensured) => {
                let model = done(apply.planned, &prepared, &ensured);
                Applied::Done(Kept { model, private: apply.private }, notes::unmarked(&ensured))
            }
            Err(Unfinished { refusal, observed: None }) => Applied::Nothing(prepared.refused(&refusal)),
            Err(Unfinished { refusal, observed: Some(observed) }) => {
                let model = state::standing(named(apply.planned, &prepared.identity, &prepared.account), &observed);
                Applied::Partial(Kept { model, private: apply.private }, prepared.refused(&refusal))
            }
        }
    }

    async fn delete(&self, call: &Call<Model>, kept: Kept<Model>) -> Result<Diagnostics, Diagnostics> {
        let account = self.aws.required()?;
        let group = group(&kept.model)?;
        let removed = room::remove(&account, &group, &state::ours(&kept.model), &call.cancelled).await;
        let removed = removed.map_err(|refusal| refused(&refusal, AttributePath::of("security_group_id")))?;
        Ok(notes::removed(&account, &group, &removed).await)
    }

    async fn import(&self, call: &Call<Model>, id: &str) -> Result<(Kept<Model>, Diagnostics), Diagnostics> {
        let (group, owner) = import_id(id)?;
        let account = self.aws.required()?;
        let imported = room::import(&account, &group, owner.as_ref(), &call.cancelled).await;
        let imported = imported.map_err(|refusal| refused(&refusal, AttributePath::root()))?;
        let identity = match imported.identity {
            Some(identity) => identity,
            None => Identity { owner: Owner::draw().map_err(|_| fault("the system gives no random numbers"))?, claim: None },
        };
        let model = Model { security_group_id: Attr::Known(group.to_string()), ..Model::default() };
        let model = named(state::standing(model, &imported.observed), &identity, &account);
        Ok((Kept { model, private: Private::default() }, notes::imported(&imported.observed)))
    }
}

/// `sg-…`, or `sg-…/OWNER`.
fn import_id(id: &str) -> Result<(GroupId, Option<Owner>), Diagnostics> {
    let (group, owner) = id.split_once('/').map_or((id, None), |(group, owner)| (group, Some(owner)));
    let wrong = |error: &dyn std::error::Error| {
        let mut diagnostics = Diagnostics::new();
        let detail = format!(
            "It is the id of a security group, `sg-…`, or `sg-…/OWNER` where it holds rules of several owners. \"{}\" is neither: {error}.",
            Heard::verbatim(id)
        );
        diagnostics.error(AttributePath::root(), "The import id is not a security group", detail);
        diagnostics
    };
    let owner = owner.map(str::parse::<Owner>).transpose().map_err(|error| wrong(&error))?;
    Ok((group.parse::<GroupId>().map_err(|error| wrong(&error))?, owner))
}
