//! Walks a route stage by stage.
