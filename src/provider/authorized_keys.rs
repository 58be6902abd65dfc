//! `bastion_authorized_keys`: the object in a bastion's bucket that becomes one login's authorized_keys.

mod arguments;
mod lines;
mod memory;
mod parting;
mod schema;
mod state;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use self::arguments::Arguments;
use self::memory::Memory;
use self::state::planned_owner;
use super::aws::{Configured, interruptible, refused};
use super::recent::Recent;
use super::{Shared, fault};
use crate::aws::Account;
use crate::aws::authorized_keys::{AuthorizedKeys, Found, Left, PREFIX, Stranger, Wanted, unreadable};
use crate::path::heard::Heard;
use crate::path::refusal::{AccountReason, BucketReason, Reason, Refusal};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Applied, Apply, Call, Change, Kept, Planned, Private, Resource};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::Schema;

/// How long an apply that is done waits for advice: some ten times what the call takes.
const ADVICE: Duration = Duration::from_secs(2);

model! {
    /// The resource's configuration and state.
    pub struct Model {
        /// `bucket/key`.
        pub id: Attr<String>,
        /// The bastion's bucket.
        pub bucket: Attr<String>,
        /// The login.
        pub user: Attr<String>,
        /// Its keys.
        pub public_keys: Attr<BTreeSet<Attr<String>>>,
        /// Where it may forward to.
        pub permit_open: Attr<BTreeSet<Attr<String>>>,
        /// Where its clients come from.
        pub from: Attr<BTreeSet<Attr<String>>>,
        /// Until when its keys are accepted.
        pub expires: Attr<String>,
        /// Behind each key.
        pub comment: Attr<String>,
        /// Before the login in the key.
        pub prefix: Attr<String>,
        /// Encrypts the object.
        pub kms_key_id: Attr<String>,
        /// Take over a foreign object.
        pub adopt: Attr<bool>,
        /// Whose the object is.
        pub owner: Attr<String>,
        /// Whether a canary ends the text.
        pub canary: Attr<bool>,
        /// Whose bucket it is.
        pub expected_bucket_owner: Attr<String>,
        /// The object's key.
        pub key: Attr<String>,
        /// Changes with every write.
        pub etag: Attr<String>,
        /// In a versioned bucket.
        pub version_id: Attr<String>,
        /// The lines of the object's text.
        pub authorized_keys: Attr<String>,
        /// The login and its canary.
        pub version: Attr<String>,
        /// Which of the owner's resources this is.
        pub claim_id: Attr<String>,
    }
}

/// The resource.
pub(super) struct AuthorizedKeysResource {
    account: Configured,
    recent: Arc<Recent>,
}

impl AuthorizedKeysResource {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { account: shared.aws.clone(), recent: Arc::clone(&shared.recent) }
    }
}

/// Where a refusal points.
fn at(refusal: &Refusal) -> AttributePath {
    match &refusal.reason {
        Reason::Bucket(BucketReason::KmsDenied { .. } | BucketReason::KmsUnusable { .. }) => AttributePath::of("kms_key_id"),
        Reason::Bucket(BucketReason::Foreign { .. } | BucketReason::Owned { .. }) => AttributePath::of("user"),
        Reason::Bucket(_) => AttributePath::of("bucket"),
        _ => AttributePath::root(),
    }
}

fn told(refusal: &Refusal) -> Diagnostics {
    refused(refusal, at(refusal))
}

impl Resource for AuthorizedKeysResource {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "bastion_authorized_keys"
    }

    fn schema(&self) -> Schema {
        schema::schema()
    }

    fn validate(&self, _config: &Model) -> Diagnostics {
        // Each argument may be what another resource computes: plan judges them.
        Diagnostics::new()
    }

    async fn plan(&self, _call: &Call<Model>, change: Change<Model>) -> Result<Planned<Model>, Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let mut model = change.proposed.clone();
        if change.config.prefix.is_null() {
            model.prefix = Attr::Known(PREFIX.to_owned());
        }
        let mut arguments = Arguments::parse(&change.config, &mut diagnostics);
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        (model.key, model.id) = arguments::place(&change.config);
        let memory = Memory::of(&change.private);
        model.owner = planned_owner(&change.config, change.prior.as_ref());
        model.canary = change.config.canary.clone().or(true);
        if change.prior.as_ref().is_some_and(|prior| prior.canary.is_null()) && change.config.canary.is_null() {
            // What an earlier version wrote stays as it is until it is written for another reason.
            let plain = Model { canary: Attr::Known(false), ..change.config.clone() };
            let plain = Arguments::parse(&plain, &mut diagnostics);
            model.plan_text(plain.as_ref());
            if !model.rewrites(&change, &memory) {
                (model.canary, arguments) = (Attr::Null, plain);
            }
        }
        model.plan_text(arguments.as_ref());
        let rewritten = model.rewrites(&change, &memory);
        if rewritten {
            (model.etag, model.version_id) = (Attr::Unknown, Attr::Unknown);
            if change.config.kms_key_id.is_null() {
                model.kms_key_id = Attr::Unknown;
            }
            // What an earlier version wrote gets its claim with the next write.
            for drawn in [&mut model.owner, &mut model.claim_id] {
                if drawn.is_null() {
                    *drawn = Attr::Unknown;
                }
            }
        }
        if rewritten && model.canary == Attr::Known(false) {
            diagnostics.append(parting::no_canary());
        }
        // Not at validate: Terraform validates twice a plan, and shows each warning as often.
        arguments::advise(&change.config, &mut diagnostics);
        Ok(Planned { warnings: diagnostics, ..Planned::new(model, change.private) })
    }

    async fn create(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        self.make(call, apply).await
    }

    async fn update(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        self.make(call, apply).await
    }

    async fn read(&self, call: &Call<Model>, kept: Kept<Model>) -> Result<Option<Kept<Model>>, Diagnostics> {
        // As long as the provider block is not known, state is all there is.
        let Some(account) = self.account.account() else { return Ok(Some(kept)) };
        let object = kept.model.object(&account).ok_or_else(|| fault("an object without a key is in state"))?;
        let look = interruptible(&call.cancelled, "s3:GetObject", object.look());
        let Some(seen) = look.await.map_err(|refusal| told(&refusal))? else { return Ok(None) };
        let (mut model, mut memory) = (kept.model, Memory::of(&kept.private));
        if !memory.knows(&model, &seen) {
            let fetch = interruptible(&call.cancelled, "s3:GetObject", object.fetch());
            let (lines, claims) = match fetch.await {
                Ok(Some(there)) => (Attr::Known(there.lines), there.claims),
                Ok(None) => return Ok(None),
                // Who may not read it can still write it: that it was changed is what counts.
                Err(refusal) if unreadable(&refusal) => (Attr::Null, seen.claims.clone().unwrap_or_default()),
                Err(refusal) => return Err(told(&refusal)),
            };
            // Others who claim the same lines are nothing to tell.
            if model.authorized_keys != lines || lines.is_null() {
                model.authorized_keys = lines;
                model.note(&seen);
            }
            memory.unclaimed = model.claim().is_some_and(|claim| !claims.owners().contains(&claim.owner));
            memory.looked(&seen);
        }
        if memory.found(&seen) || model.kms_key_id.is_null() {
            model.kms_key_id = seen.kms_key.map_or(Attr::Null, Attr::Known);
        }
        Ok(Some(Kept { model, private: memory.keep() }))
    }

    async fn delete(&self, call: &Call<Model>, kept: Kept<Model>) -> Result<Diagnostics, Diagnostics> {
        let account = self.account.required()?;
        let object = kept.model.object(&account).ok_or_else(|| fault("an object without a key is in state"))?;
        let held = kept.model.held(&Memory::of(&kept.private));
        let left = interruptible(&call.cancelled, "s3:DeleteObject", object.leave(&held)).await;
        let mut warnings = left.map(|left| parting::told(&kept.model, &left)).map_err(|refusal| told(&refusal))?;
        let Some(claim) = held.claim else { return Ok(warnings) };
        let strays = call.cancelled.run_until_cancelled(tokio::time::timeout(ADVICE, object.strays(&claim))).await;
        for stray in strays.and_then(Result::ok).and_then(Result::ok).unwrap_or_default() {
            let forsaken = interruptible(&call.cancelled, "s3:DeleteObject", stray.forsake(&claim)).await;
            warnings.append(forsaken.err().map_or_else(|| parting::stray(&stray), |refusal| told(&refusal)));
        }
        if warnings.has_errors() { Err(warnings) } else { Ok(warnings) }
    }

    async fn import(&self, call: &Call<Model>, id: &str) -> Result<(Kept<Model>, Diagnostics), Diagnostics> {
        let account = self.account.required()?;
        let (bucket, key) = arguments::import_id(id)?;
        let object = AuthorizedKeys::new(&account, bucket.clone(), key.clone(), None, None);
        let fetched = interruptible(&call.cancelled, "s3:GetObject", object.fetch()).await.map_err(|refusal| told(&refusal))?;
        let Some(there) = fetched else {
            let reason = Reason::Bucket(BucketReason::ObjectMissing { object: id.to_owned() });
            return Err(refused(&Refusal { reason, heard: Heard::default(), action: "s3:GetObject" }, AttributePath::root()));
        };
        let mut warnings = Diagnostics::new();
        let found = Found::read(id, &there.lines);
        if found.is_none() {
            warnings.warning(
                AttributePath::root(),
                "The object's text is of another form",
                "Its lines are not those that this provider writes, `restrict,port-forwarding …`. The next apply replaces the whole text.",
            );
        }
        let text = |text: &str| Attr::Known(text.to_owned());
        let mut model = Model {
            id: text(id),
            bucket: text(bucket.as_str()),
            user: text(key.user().as_str()),
            prefix: text(key.prefix().as_str()),
            kms_key_id: there.seen.kms_key.clone().map_or(Attr::Null, Attr::Known),
            key: text(&key.to_string()),
            authorized_keys: Attr::Known(there.lines),
            ..Model::default()
        };
        found.iter().for_each(|found| model.take(found));
        model.note(&there.seen);
        if let Some(claim) = there.claims.single() {
            // Whose state was lost goes on where it was.
            (model.owner, model.claim_id) = (text(claim.owner.as_str()), text(claim.id.as_str()));
        }
        Ok((Kept { model, private: Memory::imported(&there.seen).keep() }, warnings))
    }
}

impl AuthorizedKeysResource {
    /// Writes what was planned, the new object before the old one goes. The one source of both create and update.
    async fn make(&self, call: &Call<Model>, apply: Apply<Model>) -> Applied<Model> {
        let mut diagnostics = Diagnostics::new();
        let mut model = apply.planned;
        // A plan that writes leaves the key unknown exactly where none is configured.
        if model.kms_key_id.is_unknown() {
            model.kms_key_id = Attr::Null;
        }
        let Some(arguments) = Arguments::parse(&model, &mut diagnostics) else {
            return Applied::Nothing(if diagnostics.has_errors() {
                diagnostics
            } else {
                fault("an object with unknown parts was planned")
            });
        };
        let account = match self.account.required() {
            Ok(account) => account,
            Err(diagnostics) => return Applied::Nothing(diagnostics),
        };
        let (object, content) = (arguments.object(&account), &arguments.content);
        let (key, id) = arguments::place(&model);
        let given = model.kms_key_id.known().cloned();
        let stays = apply.prior.as_ref().filter(|prior| prior.id == id);
        // Nothing about the object changes, only what is asked of it.
        if let Some(prior) = stays.filter(|_| matches!(model.etag, Attr::Known(_))) {
            model.version_id = prior.version_id.clone();
            return Applied::Done(Kept { model, private: apply.private }, diagnostics);
        }
        let Some(claim) = model.claim_or_draw(arguments.owner.clone()) else {
            return Applied::Nothing(fault("the system gives no random numbers"));
        };
        let stranger = if model.adopt.known() == Some(&true) { Stranger::Adopt } else { Stranger::Respect };
        let wanted = Wanted { content, claim: &claim, stranger };
        let memory = Memory::of(&apply.private);
        let write = async {
            match stays {
                Some(prior) => object.replace(&wanted, &prior.held(&memory)).await,
                None => object.create(&wanted).await,
            }
        };
        let seen = match interruptible(&call.cancelled, "s3:PutObject", write).await {
            Ok(seen) => seen,
            Err(refusal) => return Applied::Nothing(told(&refusal)),
        };
        self.recent.wrote(arguments.user());
        (model.key, model.id) = (key, id);
        (model.owner, model.claim_id) = (Attr::Known(claim.owner.to_string()), Attr::Known(claim.id.to_string()));
        model.plan_text(Some(&arguments));
        model.note(&seen);
        if model.kms_key_id.is_null() {
            model.kms_key_id = seen.kms_key.clone().map_or(Attr::Null, Attr::Known);
        }
        let kept = Kept { model, private: Memory::written(&seen, given.is_some()).keep() };
        call.keep(kept.clone());
        if let Some(prior) = apply.prior.as_ref().filter(|_| stays.is_none()) {
            match self.leave(call, &account, prior, &memory).await {
                Ok(left) => diagnostics.append(parting::told(prior, &left)),
                Err(refusal) => {
                    diagnostics.append(parting::left_behind(prior, &refusal));
                    return Applied::Partial(kept, diagnostics);
                }
            }
        }
        // Nothing advisory holds up an apply.
        let compare = tokio::time::timeout(ADVICE, arguments::compare_keys(&object, given.as_deref(), &seen));
        if let Some(Ok(Some(warning))) = call.cancelled.run_until_cancelled(compare).await {
            diagnostics.append(warning);
        }
        if object.has_succeeded(&claim) {
            diagnostics.append(parting::succeeded(&kept.model));
        }
        if apply.prior.is_none() {
            let namesakes = tokio::time::timeout(ADVICE, object.namesakes(content));
            if let Some(Ok(Ok(others))) = call.cancelled.run_until_cancelled(namesakes).await {
                diagnostics.append(parting::namesakes(&kept.model, &others));
            }
        }
        Applied::Done(kept, diagnostics)
    }

    /// Leaves the object that the login had before.
    async fn leave(&self, call: &Call<Model>, account: &Account, prior: &Model, memory: &Memory) -> Result<Left, Refusal> {
        let interrupted =
            Refusal { reason: Reason::Account(AccountReason::Interrupted), heard: Heard::default(), action: "s3:DeleteObject" };
        let object = prior.object(account).ok_or(interrupted)?;
        interruptible(&call.cancelled, "s3:DeleteObject", object.leave(&prior.held(memory))).await
    }
}

/// What is kept beside the state as bytes.
fn bytes(text: String) -> Private {
    Private(text.into_bytes())
}
