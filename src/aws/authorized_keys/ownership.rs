//! Made, changed and left: a login's object belongs to all who claim it, and each write says who they are.
//!
//! Text and claims are written in one call under a condition on the ETag, which covers the text and the claims in it. So a write is a
//! compare-and-swap of both: who loses a race looks again.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::claims::{Claim, Claims};
use super::content::Content;
use super::object::{AuthorizedKeys, Condition, Fetched, RACE, Seen, Text};
use super::refusal::unreadable;
use super::store::Kind;
use crate::aws::answer::Answer;
use crate::aws::owner::Owner;
use crate::path::heard::Heard;
use crate::path::refusal::{BucketReason, Reason, Refusal};

const PUT: &str = "s3:PutObject";
const DELETE: &str = "s3:DeleteObject";

/// How often a write is tried that somebody else's write came before: each means that another owner came or left, of whom a login has a few.
const ROUNDS: u32 = 20;

/// How long the last owner waits for somebody of this process to take the object over, and who wants other lines for the others to leave. Terraform starts what does not depend on each other
/// within milliseconds, and ends of a create's own calls some hundreds later.
const SUCCESSOR: Duration = Duration::from_millis(1500);

/// What is to become of an object that others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// It stays as it is, and that is an error.
    Respect,
    /// It is overwritten.
    Adopt,
}

/// What an object is to be.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The lines of its text.
    pub content: &'a Content,
    /// For whom.
    pub claim: &'a Claim,
    /// Whether others matter.
    pub stranger: Stranger,
}

/// What was recorded of an object.
#[derive(Clone, Debug)]
pub struct Held {
    /// As it was last seen.
    pub etag: String,
    /// The lines of its text, if they could be read.
    pub lines: Option<String>,
    /// Our claim on it; an earlier version made none.
    pub claim: Option<Claim>,
    /// Whether it is ours by record alone: it was imported as it is, and not written since.
    pub imported: bool,
}

/// What became of an object that was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is gone.
    Gone,
    /// It stays, for these others who claim it, and who did not come in this process.
    Shared(BTreeSet<Owner>),
    /// It stays: a newer object of our owner's, or another one of this process, has taken it over.
    HandedOver,
    /// It stays: it is not ours any more.
    Foreign,
}

/// An object as it stands, as far as that may be known.
struct Standing {
    seen: Seen,
    claims: Claims,
    lines: Option<String>,
}

impl Held {
    /// The claim that stands for us on the object.
    fn claims(&self) -> Claims {
        self.claim.as_ref().map_or_else(Claims::earlier, Claims::of)
    }

    fn is(&self, there: &Standing) -> bool {
        there.seen.etag == self.etag || (there.lines.is_some() && there.lines == self.lines)
    }
}

impl AuthorizedKeys {
    /// Makes the object, or joins those who have it already if its lines are the wanted ones. What only our owner's other claims hold is
    /// taken over as it is.
    ///
    /// # Errors
    ///
    /// S3's refusal; [`BucketReason::Foreign`] or [`BucketReason::Owned`] for an object that is there and to be respected.
    pub async fn create(&self, wanted: &Wanted<'_>) -> Result<Seen, Refusal> {
        let _arrival = self.account.arrivals().begin(&self.place());
        let mut last = None;
        for _ in 0..ROUNDS {
            match self.put_new(wanted).await? {
                Ok(seen) => return Ok(seen),
                Err(answer) => last = answer.or(last),
            }
            // It may have gone in between.
            let Some(there) = self.fetch().await? else { continue };
            let Some(claims) = self.joined(&there, wanted, last.as_ref()).await? else { return Ok(there.seen) };
            self.trust(&there.claims, Some(&there.lines), there.seen.kms_key.as_deref()).await?;
            // Who shares an object leaves it encrypted as it is, unless told otherwise.
            let shared = claims != Claims::of(wanted.claim);
            let kms_key_id = self.kms_key_id.as_deref().or(there.seen.kms_key.as_deref().filter(|_| shared));
            let text = Text { claims: &claims, lines: wanted.content.as_str(), kms_key_id };
            match self.put(&text, Condition::Still(&there.seen.etag)).await? {
                Ok(seen) => return Ok(self.noted(seen, wanted)),
                Err(answer) if is_race(&answer) => last = Some(answer),
                Err(answer) => return Err(self.refuse(PUT, &answer)),
            }
        }
        Err(self.changed(PUT, last.as_ref()))
    }

    /// Replaces the object, if it is still what was recorded; others may have joined or left since. One that is gone by now is made again.
    ///
    /// # Errors
    ///
    /// S3's refusal; [`BucketReason::Changed`] for other lines than were recorded; [`BucketReason::Owned`] if others claim what is there and
    /// its lines are not the wanted ones.
    pub async fn replace(&self, wanted: &Wanted<'_>, held: &Held) -> Result<Seen, Refusal> {
        let _arrival = self.account.arrivals().begin(&self.place());
        let mut last = None;
        for _ in 0..ROUNDS {
            let Some(there) = self.standing(held).await? else { return self.create(wanted).await };
            let is_wanted = there.lines.as_deref() == Some(wanted.content.as_str());
            if !held.is(&there) && !is_wanted {
                return Err(self.changed(PUT, last.as_ref()));
            }
            let others = there.claims.without(&held.claims()).without_owner(&wanted.claim.owner);
            let claims = others.with(wanted.claim);
            // Our own write, whose answer was lost.
            if there.seen.etag != held.etag && is_wanted && last.is_some() && there.claims == claims {
                return Ok(self.noted(there.seen, wanted));
            }
            let claims = if others.is_empty() || is_wanted { claims } else { self.taken_over(&others, wanted, last.as_ref()).await? };
            self.trust(&there.claims, there.lines.as_deref(), there.seen.kms_key.as_deref()).await?;
            let text = Text { claims: &claims, lines: wanted.content.as_str(), kms_key_id: self.kms_key_id.as_deref() };
            match self.put(&text, Condition::Still(&there.seen.etag)).await? {
                Ok(seen) => return Ok(self.noted(seen, wanted)),
                Err(answer) if is_race(&answer) => last = Some(answer),
                Err(answer) => return Err(self.refuse(PUT, &answer)),
            }
        }
        Err(self.changed(PUT, last.as_ref()))
    }

    /// Takes our claim off the object, and removes it with the last one. The last one waits a moment first, for somebody of this process
    /// who takes the object over.
    ///
    /// # Errors
    ///
    /// S3's refusal; [`BucketReason::Changed`] for other lines than were recorded.
    pub async fn leave(&self, held: &Held) -> Result<Left, Refusal> {
        let (mut waited, mut last) = (false, None);
        self.account.objects().leave(&held.claims());
        for _ in 0..ROUNDS {
            let Some(there) = self.standing(held).await? else { return Ok(Left::Gone) };
            let ours = held.claims();
            let by_record = held.imported && there.seen.etag == held.etag;
            if there.claims.without(&ours) == there.claims && !by_record {
                let newer = held.claim.as_ref().is_some_and(|claim| there.claims.owners().contains(&claim.owner))
                    || there.claims.iter().any(|claim| self.account.objects().made(claim));
                return Ok(if newer { Left::HandedOver } else { Left::Foreign });
            }
            if !held.is(&there) {
                return Err(self.changed(DELETE, last.as_ref()));
            }
            let others = there.claims.without(&ours);
            if others.is_empty() && !waited {
                waited = true;
                self.account.arrivals().next(&self.place(), Instant::now() + SUCCESSOR).await;
                continue;
            }
            match self.take_off(&there, &others).await? {
                Ok(left) => return Ok(left),
                Err(answer) => last = Some(answer),
            }
        }
        Err(self.changed(DELETE, last.as_ref()))
    }

    /// Takes all claims of an owner off the object, and removes it if there are no others.
    ///
    /// # Errors
    ///
    /// S3's refusal.
    pub(super) async fn release(&self, owner: &Owner) -> Result<Left, Refusal> {
        self.take_away(|claims| claims.without_owner(owner)).await
    }

    /// Takes one claim off the object, and removes it if there are no others.
    ///
    /// # Errors
    ///
    /// S3's refusal.
    pub async fn forsake(&self, claim: &Claim) -> Result<Left, Refusal> {
        self.take_away(|claims| claims.without(&Claims::of(claim))).await
    }

    async fn take_away(&self, without: impl Fn(&Claims) -> Claims) -> Result<Left, Refusal> {
        let mut last = None;
        for _ in 0..ROUNDS {
            let Some(Fetched { seen, claims, lines }) = self.fetch().await? else { return Ok(Left::Gone) };
            let others = without(&claims);
            if others == claims {
                return Ok(Left::Foreign);
            }
            match self.take_off(&Standing { seen, claims, lines: Some(lines) }, &others).await? {
                Ok(left) => return Ok(left),
                Err(answer) => last = Some(answer),
            }
        }
        Err(self.changed(DELETE, last.as_ref()))
    }

    /// Leaves the object to the others, or removes it where there are none. The inner `Err` is for another write that came first.
    async fn take_off(&self, there: &Standing, others: &Claims) -> Result<Result<Left, Answer>, Refusal> {
        let etag = &there.seen.etag;
        if others.is_empty() {
            return match self.delete(Some(etag)).await? {
                Ok(()) => Ok(Ok(Left::Gone)),
                Err(answer) if answer.status == 404 && answer.code != "NoSuchBucket" => Ok(Ok(Left::Gone)),
                Err(answer) if is_race(&answer) => {
                    tokio::time::sleep(RACE).await;
                    Ok(Err(answer))
                }
                // Stores that only look like S3 have no conditional delete, and it was looked at a moment ago.
                Err(answer) if answer.status == 501 => {
                    self.delete(None).await?.map(|()| Ok(Left::Gone)).map_err(|answer| self.refuse(DELETE, &answer))
                }
                Err(answer) => Err(self.refuse(DELETE, &answer)),
            };
        }
        let fetched = match there.lines {
            Some(_) => None,
            None => self.fetch().await?.filter(|fetched| fetched.seen.etag == *etag),
        };
        let lines = there.lines.as_ref().or(fetched.as_ref().map(|fetched| &fetched.lines));
        let lines = lines.ok_or_else(|| self.changed(PUT, None))?;
        let text = Text { claims: others, lines, kms_key_id: there.seen.kms_key.as_deref() };
        match self.put(&text, Condition::Still(etag)).await? {
            Ok(_) => {
                let strangers = others.iter().filter(|claim| !self.account.objects().made(claim));
                Ok(Ok(Left::Shared(strangers.map(|claim| claim.owner.clone()).collect())))
            }
            Err(answer) if is_race(&answer) => Ok(Err(answer)),
            Err(answer) => Err(self.refuse(PUT, &answer)),
        }
    }

    /// Writes the object where there is none. `Err`: there is one, as S3 said or as was seen.
    async fn put_new(&self, wanted: &Wanted<'_>) -> Result<Result<Seen, Option<Answer>>, Refusal> {
        let doubted = self.doubted(Kind::Absent).await?;
        // Who may not look may still write.
        if doubted.is_some() && self.look().await.is_ok_and(|seen| seen.is_some()) {
            return Ok(Err(None));
        }
        let claims = Claims::of(wanted.claim);
        let text = Text { claims: &claims, lines: wanted.content.as_str(), kms_key_id: self.kms_key_id.as_deref() };
        match self.put(&text, Condition::Absent).await? {
            Ok(seen) => {
                if let Some(store) = doubted
                    && let Err(refusal) = self.probe(store, &text, Kind::Absent).await
                {
                    self.withdraw(wanted.claim).await?;
                    return Err(refusal);
                }
                Ok(Ok(self.noted(seen, wanted)))
            }
            Err(answer) if is_race(&answer) => Ok(Err(Some(answer))),
            Err(answer) => Err(self.refuse(PUT, &answer)),
        }
    }

    /// Removes what was just made, if nobody else has written it since.
    async fn withdraw(&self, claim: &Claim) -> Result<(), Refusal> {
        let ours = Some(Claims::of(claim));
        if self.look().await?.is_some_and(|there| there.claims == ours) {
            self.delete(None).await?.map_err(|answer| self.refuse(DELETE, &answer))?;
        }
        Ok(())
    }

    /// The claims that go with the wanted lines over what is there; `None`: it stands there as it is wanted.
    async fn joined(&self, there: &Fetched, wanted: &Wanted<'_>, answer: Option<&Answer>) -> Result<Option<Claims>, Refusal> {
        if there.claims.is_empty() {
            return match wanted.stranger {
                Stranger::Adopt => Ok(Some(Claims::of(wanted.claim))),
                Stranger::Respect => Err(self.told(PUT, answer, BucketReason::Foreign { object: self.place() })),
            };
        }
        let same = there.lines == wanted.content.as_str();
        let others = there.claims.without_owner(&wanted.claim.owner);
        if same && there.claims.holds(wanted.claim) {
            self.account.objects().note(wanted.claim);
            return Ok(None);
        }
        if there.claims.iter().any(|claim| claim.owner == wanted.claim.owner && claim.id != wanted.claim.id) {
            self.account.objects().succeed(wanted.claim);
        }
        if same || others.is_empty() {
            Ok(Some(others.with(wanted.claim)))
        } else {
            self.taken_over(&others, wanted, answer).await.map(Some)
        }
    }

    /// Our claim alone, if what others claim is to be overwritten, or if they are all about to leave it in this process.
    async fn taken_over(&self, others: &Claims, wanted: &Wanted<'_>, answer: Option<&Answer>) -> Result<Claims, Refusal> {
        match wanted.stranger {
            Stranger::Adopt => Ok(Claims::of(wanted.claim)),
            Stranger::Respect if self.account.objects().leaves(others, Instant::now() + SUCCESSOR).await => Ok(Claims::of(wanted.claim)),
            Stranger::Respect => Err(self.told(PUT, answer, BucketReason::Owned { object: self.place(), owners: others.to_string() })),
        }
    }

    /// Looks at the object, and reads it where it is not what was recorded or its metadata do not tell who claims it.
    async fn standing(&self, held: &Held) -> Result<Option<Standing>, Refusal> {
        let Some(seen) = self.look().await? else { return Ok(None) };
        let as_recorded = seen.etag == held.etag;
        if let Some(claims) = seen.claims.clone().filter(|_| as_recorded && held.lines.is_some()) {
            return Ok(Some(Standing { seen, claims, lines: held.lines.clone() }));
        }
        match self.fetch().await {
            Ok(Some(Fetched { seen, claims, lines })) => Ok(Some(Standing { seen, claims, lines: Some(lines) })),
            Ok(None) => Ok(None),
            Err(refusal) if unreadable(&refusal) => {
                let lines = held.lines.clone().filter(|_| as_recorded);
                Ok(Some(Standing { claims: seen.claims.clone().unwrap_or_default(), seen, lines }))
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn noted(&self, seen: Seen, wanted: &Wanted<'_>) -> Seen {
        self.account.objects().note(wanted.claim);
        seen
    }

    fn changed(&self, action: &'static str, answer: Option<&Answer>) -> Refusal {
        self.told(action, answer, BucketReason::Changed { object: self.place() })
    }

    fn told(&self, action: &'static str, answer: Option<&Answer>, reason: BucketReason) -> Refusal {
        let heard = answer.map_or_else(Heard::default, Answer::heard);
        Refusal { reason: Reason::Bucket(reason), heard, action }
    }
}

/// Whether somebody else's write came first: the condition failed (412), two writes met (409), or the object is gone.
fn is_race(answer: &Answer) -> bool {
    matches!(answer.status, 409 | 412) || (answer.status == 404 && answer.code == "NoSuchKey")
}
