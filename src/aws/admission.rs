//! A security group as a door for this machine: one rule for all walks of a process, open as long as one of them uses it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as TurnMutex, OnceCell};
use tokio::task::JoinSet;

use super::security_group_rules::{Entrance, GroupId, close, ended, open, renew};
use super::{Account, Owner, address};
use crate::cidr::Cidr;
use crate::path::admission::{Admission, Admitted, Opening, Refused};
use crate::path::cause::Cause;
use crate::path::heard::Heard;
use crate::path::refusal::Refusal;
use crate::path::route::Port;

/// How often a process says that it still uses its door: see the life of a mark.
const RENEWAL: Duration = Duration::from_mins(5);

/// How long a door outlives its last user: Terraform starts the next resource some milliseconds after the last one ended.
const LINGER: Duration = Duration::from_secs(1);

/// Lets this machine in through a security group.
#[derive(Clone)]
pub struct SecurityGroupAdmission {
    account: Account,
    group: GroupId,
    /// Absent: it is asked for.
    address: Option<IpAddr>,
}

impl SecurityGroupAdmission {
    /// Through that group, for that address or, without one, for the address that <https://checkip.amazonaws.com> sees. `None`: the address
    /// cannot be that of one machine.
    #[must_use]
    pub fn new(account: Account, group: GroupId, address: Option<IpAddr>) -> Option<Self> {
        let address = address.map(|address| address.to_canonical());
        address.is_none_or(address::is_of_one_machine).then_some(Self { account, group, address })
    }

    async fn admit(&self, port: Port) -> Result<Admitted, Box<Refused>> {
        let address = match self.address {
            Some(address) => address,
            None => self.account.doors().address(&self.account).await?,
        };
        let entrance = Entrance { group: self.group.clone(), port: port.get(), address };
        let hold = Hold::of(&self.account, &entrance);
        // Its own task: a walk that is given up does not leave a call behind of which nobody knows whether it took effect.
        let opened = tokio::spawn(async move { hold.door.open(&hold.account).await.map(|()| hold) }).await;
        let hold = opened.unwrap_or_else(|_| Err(ended())).map_err(refused)?;
        let note = format!("{} to port {port} of {}", Cidr::of(address), self.group);
        Ok(Admitted { address, note, hold: Arc::new(hold) })
    }
}

impl Admission for SecurityGroupAdmission {
    fn open(&self, port: Port) -> Opening<'_> {
        Box::pin(self.admit(port))
    }
}

fn refused(refusal: Refusal) -> Box<Refused> {
    let heard = refusal.heard.clone();
    Box::new(Refused { cause: Cause::NotAdmitted { refusal: Box::new(refusal) }, heard })
}

/// The doors that a process opens in an account.
#[derive(Default)]
pub(super) struct Doors {
    doors: Mutex<HashMap<Entrance, Arc<Door>>>,
    owner: OnceLock<Owner>,
    address: OnceCell<IpAddr>,
    /// The process ends: nothing is opened any more.
    ended: AtomicBool,
}

impl Doors {
    fn door(&self, entrance: &Entrance) -> Arc<Door> {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Door { entrance: entrance.clone(), users: AtomicUsize::new(0), state: TurnMutex::new(State::Shut) };
        Arc::clone(doors.entry(entrance.clone()).or_insert_with(|| Arc::new(new())))
    }

    /// This machine's address, asked for once.
    async fn address(&self, account: &Account) -> Result<IpAddr, Box<Refused>> {
        let ask = async {
            let service = account.checkip_endpoint().await.map_err(refused)?;
            let unknown = |heard: Heard| Box::new(Refused { cause: Cause::AddressUnknown, heard });
            address::ask(service.as_deref()).await.map_err(unknown)
        };
        self.address.get_or_try_init(|| ask).await.copied()
    }

    /// Who this process is, on marks.
    fn owner(&self) -> Result<Owner, Refusal> {
        if let Some(owner) = self.owner.get() {
            return Ok(owner.clone());
        }
        let drawn = Owner::draw_for_admission().map_err(|_| ended())?;
        Ok(self.owner.get_or_init(|| drawn).clone())
    }
}

/// One entrance of this process.
struct Door {
    entrance: Entrance,
    users: AtomicUsize,
    /// Held while it is opened, closed, or said anew to be used.
    state: TurnMutex<State>,
}

enum State {
    Shut,
    /// Somebody else's rule lets this machine in.
    LetIn,
    /// By the rule of this id.
    Open(String),
}

impl Door {
    async fn open(self: &Arc<Self>, account: &Account) -> Result<(), Refusal> {
        let mut state = self.state.lock().await;
        if account.doors().ended.load(Ordering::Acquire) {
            return Err(ended());
        }
        if matches!(*state, State::Shut) {
            *state = self.opened(account).await?;
            if matches!(*state, State::Open(_)) {
                tokio::spawn(Arc::clone(self).stay_open(account.clone()));
            }
        }
        Ok(())
    }

    async fn opened(&self, account: &Account) -> Result<State, Refusal> {
        let owner = account.doors().owner()?;
        Ok(open(account, &self.entrance, &owner).await?.map_or(State::LetIn, State::Open))
    }

    /// Says anew, from time to time, that the rule is used, until it is not.
    async fn stay_open(self: Arc<Self>, account: Account) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            let mut state = self.state.lock().await;
            let State::Open(rule) = &*state else { return };
            let Ok(owner) = account.doors().owner() else { return };
            let still = match renew(&account, &self.entrance, &owner, rule).await {
                Ok(true) => continue,
                // Somebody has removed it: the mark of a machine that slept was taken for that of a killed run.
                Ok(false) => self.opened(&account).await,
                Err(refusal) => Err(refusal),
            };
            match still {
                Ok(still) => *state = still,
                Err(refusal) => self.warn("could not be said to be used still", &refusal),
            }
        }
    }

    /// Shuts it if nobody uses it.
    async fn shut_if_unused(&self, account: &Account) {
        let mut state = self.state.lock().await;
        if self.users.load(Ordering::Acquire) == 0 {
            self.shut(&mut state, account).await;
        }
    }

    async fn shut(&self, state: &mut State, account: &Account) {
        if let State::Open(rule) = std::mem::replace(state, State::Shut)
            && let Ok(owner) = account.doors().owner()
            && let Err(refusal) = close(account, &self.entrance, &owner, &rule).await
        {
            self.warn("is still open; the next run that uses the group closes it, once its time is over", &refusal);
        }
    }

    fn warn(&self, what: &str, refusal: &Refusal) {
        tracing::warn!(group = self.entrance.group.as_str(), port = self.entrance.port, "what lets this machine in {what}: {refusal}");
    }
}

/// A user of a door.
struct Hold {
    account: Account,
    door: Arc<Door>,
}

impl Hold {
    fn of(account: &Account, entrance: &Entrance) -> Self {
        let door = account.doors().door(entrance);
        door.users.fetch_add(1, Ordering::AcqRel);
        Self { account: account.clone(), door }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let was_last = self.door.users.fetch_sub(1, Ordering::AcqRel) == 1;
        if let Some(runtime) = was_last.then(tokio::runtime::Handle::try_current).and_then(Result::ok) {
            let (account, door) = (self.account.clone(), Arc::clone(&self.door));
            runtime.spawn(async move {
                tokio::time::sleep(LINGER).await;
                door.shut_if_unused(&account).await;
            });
        }
    }
}

/// Shuts every door that this process has opened, whoever uses it, and opens none any more. Call it before the process ends; what it does
/// not come to, goes when its time is over.
pub async fn shut(account: &Account) {
    let doors = account.doors();
    doors.ended.store(true, Ordering::Release);
    let all: Vec<Arc<Door>> = doors.doors.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    let of_one = |door: Arc<Door>| {
        let account = account.clone();
        async move { door.shut(&mut *door.state.lock().await, &account).await }
    };
    let mut shutting: JoinSet<()> = all.into_iter().map(of_one).collect();
    while shutting.join_next().await.is_some() {}
}
