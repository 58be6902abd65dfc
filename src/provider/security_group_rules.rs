//! `bastion_security_group_rules`: who may come in and go out, changed without a moment in which neither old nor new is let through.

mod arguments;
mod schema;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use super::aws::{Configured, refused};
use super::{Shared, fault};
use crate::aws::security_group_rules::{self as room, Claims, Direction, Entry, GroupId, Intent, Owner, Unfinished};
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
        /// The mark on our rules.
        pub owner: Attr<String>,
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
    /// Rules of objects that this process made: one that was made before its predecessor goes has taken over the predecessor's.
    claims: Claims,
}

impl SecurityGroupRules {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { aws: shared.aws.clone(), claims: Claims::new() }
    }

    async fn make(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        let made = self.try_make(call, &apply).await;
        let Apply { planned, private, .. } = apply;
        match made {
            Ok(model) => Applied::Done(Kept { model, private }, Diagnostics::new()),
            Err((diagnostics, None)) => Applied::Nothing(diagnostics),
            Err((diagnostics, Some((owner, seen)))) => {
                let model = named(state::standing(planned, &seen), &owner);
                Applied::Partial(Kept { model, private }, diagnostics)
            }
        }
    }

    async fn try_make(&self, call: &Call<Model>, apply: &Apply<Model>) -> Result<Model, (Diagnostics, Option<(Owner, room::Seen)>)> {
        let nothing = |diagnostics| (diagnostics, None);
        let asked = arguments::parse_known(&apply.planned).map_err(nothing)?;
        let account = self.aws.required().map_err(nothing)?;
        let ours = apply.prior.as_ref().map(state::ours).unwrap_or_default();
        let owner = ours.owner.unwrap_or_else(|| Owner::of(&asked.group, &asked.entries));
        let intent = Intent { group: &asked.group, entries: &asked.entries, owner: &owner, recorded: &ours.recorded };
        let claims = apply.prior.is_none().then_some(&self.claims);
        match room::ensure(&account, &intent, claims, &call.cancelled).await {
            Ok(held) => {
                let mut model = apply.planned.clone();
                // Rules that were planned as known are what they were, unless somebody is at them right now: the next look tells.
                if !matches!(model.rules, Attr::Known(_)) {
                    model.rules = state::rules(&held);
                }
                Ok(named(model, &owner))
            }
            Err(Unfinished { refusal, seen }) => {
                let at = at(&refusal, &asked.entries);
                Err((refused(&refusal, at), seen.map(|seen| (owner, seen))))
            }
        }
    }
}

/// Fills in what only apply can tell for sure.
fn named(mut model: Model, owner: &Owner) -> Model {
    model.id = model.security_group_id.clone();
    model.owner = Attr::Known(owner.to_string());
    model
}

/// The argument to look at first.
fn at(refusal: &Refusal, entries: &[Entry]) -> AttributePath {
    match &refusal.reason {
        Reason::Rules(RulesReason::GroupMissing { .. }) => AttributePath::of("security_group_id"),
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

impl Resource for SecurityGroupRules {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "bastion_security_group_rules"
    }

    fn schema(&self) -> Schema {
        schema::schema()
    }

    fn validate(&self, config: &Model) -> Diagnostics {
        arguments::validate(config)
    }

    async fn plan(&self, _call: &Call<Model>, change: Change<Model>) -> Result<Planned<Model>, Diagnostics> {
        let asked = arguments::parse(&change.config)?;
        let mut model = change.proposed;
        model.id = model.security_group_id.clone();
        let Some(prior) = &change.prior else {
            (model.owner, model.rules) = (Attr::Unknown, Attr::Unknown);
            return Ok(Planned { warnings: arguments::advice(&change.config), ..Planned::new(model, change.private) });
        };
        state::keep_spelling(&mut model, prior);
        let before = arguments::parse(prior).ok().flatten();
        let same = asked.zip(before).is_some_and(|(asked, before)| state::same_rules(&asked.entries, &before.entries));
        model.owner = prior.owner.clone();
        model.rules = if same { prior.rules.clone() } else { Attr::Unknown };
        let mut planned = Planned { warnings: arguments::advice(&change.config), ..Planned::new(model, change.private) };
        if planned.model.security_group_id != prior.security_group_id {
            planned.requires_replace.push(AttributePath::of("security_group_id"));
        }
        Ok(planned)
    }

    async fn create(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        self.make(call, apply).await
    }

    async fn read(&self, call: &Call<Model>, kept: Kept<Model>) -> Result<Option<Kept<Model>>, Diagnostics> {
        let Some(account) = self.aws.account() else { return Ok(Some(kept)) };
        let group = group(&kept.model)?;
        // What cannot be parsed is looked at by the rules that are recorded.
        let entries = arguments::parse(&kept.model).ok().flatten().map(|asked| asked.entries).unwrap_or_default();
        let ours = state::ours(&kept.model);
        // Whoever reads them has them recorded by now.
        self.claims.release(ours.recorded.keys());
        let seen = room::look(&account, &group, &entries, &ours, &call.cancelled).await;
        let seen = seen.map_err(|refusal| refused(&refusal, at(&refusal, &entries)))?;
        Ok(seen.map(|seen| Kept { model: state::standing(kept.model, &seen), private: kept.private }))
    }

    async fn update(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        self.make(call, apply).await
    }

    async fn delete(&self, call: &Call<Model>, kept: Kept<Model>) -> Result<Diagnostics, Diagnostics> {
        let account = self.aws.required()?;
        let group = group(&kept.model)?;
        let removed = room::remove(&account, &group, &state::ours(&kept.model), Some(&self.claims), &call.cancelled).await;
        removed.map(|()| Diagnostics::new()).map_err(|refusal| refused(&refusal, AttributePath::of("security_group_id")))
    }

    async fn import(&self, call: &Call<Model>, id: &str) -> Result<(Kept<Model>, Diagnostics), Diagnostics> {
        let group: GroupId = id.parse().map_err(|error| {
            let mut diagnostics = Diagnostics::new();
            let detail = format!("It is the id of a security group, and \"{}\" is none: {error}.", Heard::verbatim(id));
            diagnostics.error(AttributePath::root(), "The import id is not a security group", detail);
            diagnostics
        })?;
        let account = self.aws.required()?;
        let found = room::take_over(&account, &group, &call.cancelled).await;
        let found = found.map_err(|refusal| refused(&refusal, AttributePath::root()))?;
        let Some((owner, seen)) = found else {
            let reason = Reason::Rules(RulesReason::GroupMissing { group: group.to_string() });
            let refusal = Refusal { reason, heard: Heard::default(), action: "ec2:DescribeSecurityGroups" };
            return Err(refused(&refusal, AttributePath::root()));
        };
        let model = Model { security_group_id: Attr::Known(group.to_string()), ..Model::default() };
        let model = named(state::standing(model, &seen), &owner);
        Ok((Kept { model, private: Private::default() }, taken_over(&seen)))
    }
}

/// What an import means for what is there.
fn taken_over(seen: &room::Seen) -> Diagnostics {
    let mut warnings = Diagnostics::new();
    let count = |direction: Direction| seen.held.iter().filter(|held| held.label.starts_with(direction.name())).count();
    warnings.warning(
        AttributePath::root(),
        "Rules were taken over",
        format!(
            "{} ingress and {} egress rules belong to this resource now: what of them is not in the configuration, the next apply removes. \
             Read the plan first. If rules of the group bear this provider's mark, only those are taken over, else all of them.",
            count(Direction::Ingress),
            count(Direction::Egress)
        ),
    );
    warnings
}
