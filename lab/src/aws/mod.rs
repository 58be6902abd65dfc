//! Amazon's services on loopback: moto behind a strict proxy, which refuses what Amazon refuses and breaks when it is told to.
//!
//! [`Aws`] is the value that tests hold. `proxy` takes the calls, `fault` is what befalls them, `gate` is a security group before a port, `ec2`, `s3` and `sts` are the rules of
//! the services, `upstream` is the way to moto.

mod call;
mod ec2;
mod fault;
mod furnish;
mod gate;
mod moto;
mod policy;
mod proxy;
pub(crate) mod s3;
mod sts;
mod upstream;
mod xml;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::Result;

pub use call::Call;
pub use ec2::{Direction, Rule};
pub use fault::{Fault, On, Pause};
pub use furnish::Allow;
pub use gate::Gate;
pub use moto::Moto;
pub use policy::Policy;
pub use s3::{BucketOptions, Deny, Elsewhere, Head, S3Answer, S3Call, S3Caller, S3Client};

use fault::Moment;
use proxy::{Proxy, State};
use upstream::Upstream;

/// The signer of furnishing: no denial hits it.
const FURNISHER: &str = "AKIALABFURNISHER";

/// Where everything is made, unless a client signs for another region.
const REGION: &str = "us-west-2";

/// One moto for all of a process: it takes a second to start, and keeps accounts apart.
static MOTO: Mutex<Weak<Moto>> = Mutex::new(Weak::new());

/// An account of Amazon's on a port of 127.0.0.1: EC2's security groups, S3, STS.
///
/// Each value has an account, a port, a log and faults of its own. Calls are answered one at a time; each has to be signed, with any key
/// and any secret; service and region are those that it was signed for. Everything ends when the value is dropped.
pub struct Aws {
    proxy: Proxy,
    account: String,
}

impl Aws {
    /// Starts an empty account.
    ///
    /// # Errors
    /// moto_server is not installed, or does not start.
    pub fn start() -> Result<Aws> {
        let account = format!("{:012}", fastrand::u64(100_000_000_000..1_000_000_000_000));
        Ok(Aws { proxy: Proxy::start(Upstream::new(moto()?, &account))?, account })
    }

    /// `http://127.0.0.1:PORT`, for all services.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.proxy.port())
    }

    /// Where everything is made that [`Aws`] makes.
    pub fn region(&self) -> &str {
        REGION
    }

    /// The account's twelve digits.
    pub fn account_id(&self) -> &str {
        &self.account
    }

    /// An access key; others do as well, and can be told apart in the log.
    pub fn access_key(&self) -> &str {
        "LABACCESSKEY"
    }

    /// Its secret, which nobody verifies.
    pub fn secret_key(&self) -> &str {
        "lab-secret-that-nobody-verifies"
    }

    /// All calls so far in the order in which they took effect. Furnishing does not count.
    pub fn calls(&self) -> Vec<Call> {
        self.proxy.log().clone()
    }

    /// How many calls of that action there were, refused ones too.
    pub fn count(&self, action: &str) -> usize {
        self.proxy.log().iter().filter(|call| call.action == action).count()
    }

    /// Empties the log.
    pub fn forget_calls(&self) {
        self.proxy.log().clear();
    }

    /// Plans a fault: `aws.fault("PutObject", Fault::slow_down())`, `aws.fault(On::any().chance(0.3, 7), Fault::throttle())`.
    pub fn fault(&self, on: impl Into<On>, fault: Fault) {
        self.proxy.plan().fault(on.into(), fault);
    }

    /// Forgets all planned faults; pauses stay.
    pub fn heal(&self) {
        self.proxy.plan().heal();
    }

    /// Holds the next such call before it takes effect.
    pub fn pause_before(&self, on: impl Into<On>) -> Pause {
        self.proxy.plan().pause(on.into(), Moment::Before)
    }

    /// Holds the answer of the next such call: it has taken effect by then.
    pub fn pause_after(&self, on: impl Into<On>) -> Pause {
        self.proxy.plan().pause(on.into(), Moment::After)
    }

    /// Makes rules that are authorized from now on invisible for that many DescribeSecurityGroupRules that would show them.
    pub fn hide_new_rules(&self, describes: usize) {
        self.with_state(async |state, _| state.ec2.hide = describes);
    }

    /// Sets how many rules a security group may have in each direction, IPv4 and IPv6 apart; 60 at first.
    pub fn quota(&self, rules: usize) {
        self.with_state(async |state, _| state.ec2.quota = rules);
    }

    /// Gives every caller this policy: of EC2, S3 and KMS they may do what it allows, and nothing else.
    pub fn allow_only(&self, policy: &Policy) {
        self.with_state(async |state, _| {
            state.ec2.policy = Some(policy.clone());
            state.s3.policy = Some(policy.clone());
        });
    }

    /// Works on the state of the rules, and with moto behind them, in turn with the calls.
    pub(crate) fn with_state<T: Send>(&self, work: impl AsyncFnOnce(&mut State, &Upstream) -> T + Send) -> T {
        self.proxy.with_state(work)
    }
}

fn moto() -> Result<Arc<Moto>> {
    let mut shared = MOTO.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(moto) = shared.upgrade() {
        return Ok(moto);
    }
    let moto = Arc::new(Moto::start()?);
    *shared = Arc::downgrade(&moto);
    Ok(moto)
}
