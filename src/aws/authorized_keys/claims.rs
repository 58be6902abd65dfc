//! Who uses an object: claims, which stand in its text and in its metadata and are written with it in one call.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use ring::error::Unspecified;

use crate::aws::owner::{ClaimId, Owner};

/// The metadata by which an object is known as one of this provider's, whichever version wrote it.
pub(super) const MARK: (&str, &str) = ("managed-by", "terraform-provider-bastion");

/// The metadata that repeats the claims, so that they can be seen without reading the text, which needs kms:Decrypt.
pub(super) const OWNERS: &str = "bastion-owners";

/// Stands in the metadata where the claims do not fit: the text alone has them then.
const IN_TEXT: &str = "see-text";

/// The longest list of claims in the metadata, in bytes: S3 takes 2 KB of user metadata in all, names included.
const LONGEST_METADATA: usize = 1800;

/// What a claim's line in the text begins with. A comment to sshd.
const LINE: &str = "# bastion-owner: ";

/// The owner of an object that a version without claims wrote.
const EARLIER: (&str, &str) = ("earlier-version", "0000000000000000");

/// One object of Terraform's that uses a login's object, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// Whose.
    pub owner: Owner,
    /// Which object of Terraform's.
    pub id: ClaimId,
}

impl Claim {
    /// A claim that nobody else has, of a given owner or of one that is drawn.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers.
    pub fn draw(owner: Option<Owner>) -> Result<Self, Unspecified> {
        let owner = owner.map_or_else(Owner::draw, Ok)?;
        Ok(Self { owner, id: ClaimId::draw()? })
    }

    /// The claim that stands for whoever made the object with a version that wrote none.
    fn earlier() -> Option<Self> {
        Some(Self { owner: EARLIER.0.parse().ok()?, id: EARLIER.1.parse().ok()? })
    }
}

/// All claims on one object. Empty: it is not this provider's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims(BTreeSet<Claim>);

impl Claims {
    /// One.
    #[must_use]
    pub fn of(claim: &Claim) -> Self {
        Self([claim.clone()].into())
    }

    /// Those of an object that a version without claims wrote.
    pub(super) fn earlier() -> Self {
        Self(Claim::earlier().into_iter().collect())
    }

    /// Whether nobody claims it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this claim is among them.
    #[must_use]
    pub fn holds(&self, claim: &Claim) -> bool {
        self.0.contains(claim)
    }

    /// Each, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Claim> {
        self.0.iter()
    }

    /// The one there is, if its owner is known.
    #[must_use]
    pub fn single(&self) -> Option<&Claim> {
        self.0.first().filter(|_| self.0.len() == 1 && *self != Self::earlier())
    }

    /// Who claims it.
    #[must_use]
    pub fn owners(&self) -> BTreeSet<Owner> {
        self.0.iter().map(|claim| claim.owner.clone()).collect()
    }

    /// With one more, which takes the place of all others of its owner.
    pub(super) fn with(&self, claim: &Claim) -> Self {
        let mut claims = self.without_owner(&claim.owner);
        claims.0.insert(claim.clone());
        claims
    }

    pub(super) fn without(&self, gone: &Self) -> Self {
        Self(self.0.difference(&gone.0).cloned().collect())
    }

    pub(super) fn without_owner(&self, owner: &Owner) -> Self {
        Self(self.0.iter().filter(|claim| claim.owner != *owner).cloned().collect())
    }

    /// Reads the claims at the top of a text, and gives what follows them.
    pub(super) fn of_text(text: &str) -> (Self, &str) {
        let (mut claims, mut rest) = (Self::default(), text);
        while let Some((line, more)) = rest.split_once('\n') {
            let Some(claim) = line.strip_prefix(LINE).and_then(|claim| parsed(claim, ' ')) else { break };
            claims.0.insert(claim);
            rest = more;
        }
        (claims, rest)
    }

    /// A text with the claims at its top.
    pub(super) fn text(&self, lines: &str) -> String {
        let claims: String = self.0.iter().map(|Claim { owner, id }| format!("{LINE}{owner} {id}\n")).collect();
        claims + lines
    }

    /// Reads the claims of an object's metadata; `None`: the text alone can tell.
    pub(super) fn of_metadata(metadata: Option<&HashMap<String, String>>) -> Option<Self> {
        let metadata = metadata.filter(|metadata| metadata.get(MARK.0).is_some_and(|value| value == MARK.1))?;
        match metadata.get(OWNERS) {
            None => Some(Self::earlier()),
            Some(owners) => owners.split(' ').map(|claim| parsed(claim, ':')).collect::<Option<_>>().map(Self),
        }
    }

    /// As the metadata has them.
    pub(super) fn metadata(&self) -> String {
        let all: Vec<_> = self.0.iter().map(|Claim { owner, id }| format!("{owner}:{id}")).collect();
        let all = all.join(" ");
        if all.len() > LONGEST_METADATA { IN_TEXT.to_owned() } else { all }
    }
}

impl fmt::Display for Claims {
    /// The owners, each quoted as code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owners: Vec<_> = self.owners().iter().map(|owner| format!("`{owner}`")).collect();
        f.write_str(&owners.join(", "))
    }
}

fn parsed(text: &str, between: char) -> Option<Claim> {
    let (owner, id) = text.split_once(between)?;
    Some(Claim { owner: owner.parse().ok()?, id: id.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(count: usize) -> Claims {
        Claims((0..count).map(|_| Claim::draw(None).unwrap()).collect())
    }

    fn metadata(owners: Option<&str>) -> HashMap<String, String> {
        let mark = [(MARK.0, MARK.1)].into_iter().chain(owners.map(|owners| (OWNERS, owners)));
        mark.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn claims_stand_at_the_top_of_a_text_and_are_read_back_from_there_alone() {
        let claims = claims(3);
        let lines = "# a comment of somebody's\nkey\n# bastion-owner: late 0123456789abcdef\n";
        let text = claims.text(lines);
        assert_eq!(Claims::of_text(&text), (claims, lines));
        for other in ["", "# bastion-owner: \n", "# bastion-owner: a b\n", "# bastion-owner: a 0123456789abcdef", lines] {
            assert_eq!(Claims::of_text(other), (Claims::default(), other), "{other:?}");
        }
    }

    #[test]
    fn metadata_repeat_the_claims_as_long_as_they_fit() {
        for count in [1, 5, 60] {
            let claims = claims(count);
            let said = claims.metadata();
            assert!(said.len() <= LONGEST_METADATA);
            assert_eq!(Claims::of_metadata(Some(&metadata(Some(&said)))), (count < 60).then_some(claims), "{count}");
        }
        assert_eq!(Claims::of_metadata(Some(&metadata(None))), Some(Claims::earlier()), "a version without claims wrote it");
        assert_eq!(Claims::of_metadata(Some(&HashMap::new())), None);
        assert_eq!(Claims::of_metadata(Some(&metadata(Some("junk")))), None);
        assert!(!Claims::earlier().is_empty());
    }

    #[test]
    fn an_owners_newer_claim_takes_the_place_of_its_older_one() {
        let (older, other) = (Claim::draw(None).unwrap(), Claim::draw(None).unwrap());
        let newer = Claim::draw(Some(older.owner.clone())).unwrap();
        let claims = Claims::of(&other).with(&older).with(&newer);
        assert!(claims.holds(&newer) && claims.holds(&other) && !claims.holds(&older));
        assert_eq!(claims.without_owner(&newer.owner), Claims::of(&other));
        assert_eq!(claims.without(&Claims::of(&other)), Claims::of(&newer));
    }
}
