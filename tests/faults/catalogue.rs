//! The catalogue of causes: its page, its tests, its snapshots.
