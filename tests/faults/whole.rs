//! The table as a whole: shown, repeated, far away.
