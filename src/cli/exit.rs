//! Exit codes: which class of failure it was.

use std::process::ExitCode;

use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
#[cfg(feature = "aws")]
use crate::path::refusal::{AccountReason, Reason, Refusal};
use crate::path::stage::Stage;

/// How the program ended. Scripts compare the numbers, so they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done; the path is proven.
    Proven,
    /// The program itself or this machine is at fault.
    Fault,
    /// The arguments are wrong: nothing was tried.
    Usage,
    /// `admit`, `resolve`, `connect`.
    Reach,
    /// `handshake`, `host_key`.
    Trust,
    /// `authenticate`.
    Authenticate,
    /// `forward`, `dial`, and a tunnel that did not hold.
    Forward,
    /// `tls`.
    Tls,
    /// `login`, `open`.
    Login,
    /// `ready`.
    Ready,
    /// Out of time or interrupted, without a verdict.
    Ended,
    /// AWS refuses, or is not reached.
    #[cfg(feature = "aws")]
    Aws,
}

impl Exit {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Proven => 0,
            Self::Fault => 1,
            Self::Usage => 2,
            Self::Reach => 3,
            Self::Trust => 4,
            Self::Authenticate => 5,
            Self::Forward => 6,
            Self::Tls => 7,
            Self::Login => 8,
            Self::Ready => 9,
            Self::Ended => 10,
            #[cfg(feature = "aws")]
            Self::Aws => 11,
        }
    }

    /// The class of what AWS refused.
    #[cfg(feature = "aws")]
    pub(super) const fn of_refusal(refusal: &Refusal) -> Self {
        match refusal.reason {
            Reason::Account(AccountReason::Interrupted) => Self::Ended,
            _ => Self::Aws,
        }
    }

    /// The class of a failure.
    pub(super) const fn of(diagnosis: &Diagnosis) -> Self {
        match (&diagnosis.cause, diagnosis.stage()) {
            (Cause::Interrupted { .. } | Cause::OutOfTime { .. }, _) => Self::Ended,
            (_, Stage::Configure) => Self::Usage,
            (_, Stage::Admit | Stage::Resolve | Stage::Connect) => Self::Reach,
            (_, Stage::Handshake | Stage::HostKey) => Self::Trust,
            (_, Stage::Authenticate | Stage::Sync) => Self::Authenticate,
            (_, Stage::Forward | Stage::Dial | Stage::Hold) => Self::Forward,
            (_, Stage::Tls) => Self::Tls,
            (_, Stage::Login | Stage::Open) => Self::Login,
            (_, Stage::Ready) => Self::Ready,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
