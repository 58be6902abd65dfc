//! What went wrong, in words for a person.
