//! The words of the path: its route, its stages, what is said when one fails. Pure: no I/O, no tokio.

pub mod admission;
pub mod catalogue;
pub mod cause;
pub mod diagnosis;
pub mod duration;
pub mod event;
pub mod finding;
pub mod heard;
pub mod percent;
pub mod picture;
pub mod position;
pub mod refusal;
pub mod route;
pub mod stage;
pub mod walked;
pub mod words;
