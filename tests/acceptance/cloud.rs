//! An account of Amazon's, and a terraform folder that reaches it.

use std::process::{Child, Stdio};
use std::time::Duration;

use lab::{Aws, Ran, Terraform};
use serde_json::Value;

use crate::support::{Block, attributes, planned, quote, terraform, write_with};

/// How long terraform may take to come to a call.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a provider may live that has lost its terraform: it looks four times a second, and finishes what it is at.
const ORPHAN: Duration = Duration::from_secs(2);

/// Who is killed.
#[derive(Clone, Copy, Debug)]
pub enum Victim {
    Terraform,
    Provider,
    Both,
}

/// The account and the folder.
pub struct Cloud {
    pub aws: Aws,
    pub terraform: Terraform,
    /// Further arguments of the provider's `aws`.
    pub arguments: String,
}

impl Cloud {
    pub fn new() -> Self {
        let aws = Aws::start().unwrap();
        let mut terraform = terraform();
        as_account(&mut terraform, &aws);
        Self { aws, terraform, arguments: String::new() }
    }

    pub fn write(&self, blocks: &[&Block]) {
        write_with(&self.terraform, &provider(&self.aws, &self.arguments), blocks);
    }

    /// Writes and applies a configuration.
    pub fn apply(&self, blocks: &[&Block]) -> Ran {
        self.write(blocks);
        self.terraform.apply().unwrap()
    }

    /// Applies a configuration, which must succeed and leave nothing to plan.
    pub fn settle(&self, blocks: &[&Block]) {
        self.apply(blocks).ok().unwrap();
        self.settled();
    }

    /// Asserts that there is nothing to plan.
    pub fn settled(&self) {
        let plan = self.terraform.run(&["plan", "-detailed-exitcode", "-no-color", "-input=false"]).unwrap();
        assert_eq!(plan.status.code(), Some(0), "the second plan is not empty:\n{}", plan.output);
    }

    /// What a plan would do to a resource.
    pub fn plans(&self, address: &str) -> Vec<String> {
        planned(&self.terraform).remove(address).unwrap_or_else(|| panic!("{address} is not planned"))
    }

    /// A resource's attributes in state.
    pub fn attributes(&self, address: &str) -> Value {
        attributes(&self.terraform, address).unwrap_or_else(|| panic!("{address} is not in state"))
    }

    /// Starts an apply that `pause` will hold, and kills terraform and the provider once it is held.
    pub fn kill_at(&self, pause: &lab::Pause) {
        self.kill_with_at(&["apply", "-auto-approve"], pause);
    }

    /// As [`Cloud::kill_at`], with another command.
    pub fn kill_with_at(&self, arguments: &[&str], pause: &lab::Pause) {
        let mut apply = self.start(arguments);
        pause.wait(PATIENCE).unwrap();
        // The provider is a child of terraform's in the same group.
        let group = rustix::process::Pid::from_child(&apply);
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        apply.wait().unwrap();
        // Terraform's lock file; a user would be told to remove it.
        let _ = std::fs::remove_file(self.terraform.work().join(".terraform.tfstate.lock.info"));
    }

    /// Interrupts a command as Ctrl-C does, and waits until it ends; one that does not is killed, and that is a failure.
    pub fn interrupt(&self, command: &mut Child, meanwhile: impl FnOnce()) {
        rustix::process::kill_process(rustix::process::Pid::from_child(command), rustix::process::Signal::INT).unwrap();
        meanwhile();
        let ended = lab::wait_until("terraform to end", PATIENCE, || command.try_wait().unwrap().is_some());
        if ended.is_err() {
            rustix::process::kill_process_group(rustix::process::Pid::from_child(command), rustix::process::Signal::KILL).unwrap();
            command.wait().unwrap();
        }
        ended.unwrap();
    }

    /// Starts an apply, kills after a while who is to die, and waits for the rest. Whether anybody was still there to be killed.
    pub fn kill_after(&self, delay: Duration, victim: Victim) -> bool {
        use rustix::process::{Pid, Signal, kill_process, kill_process_group};
        let mut apply = self.start(&["apply", "-auto-approve"]);
        std::thread::sleep(delay);
        let alive = apply.try_wait().unwrap().is_none();
        let terraform = Pid::from_child(&apply);
        // One that is gone already cannot be killed, which is no failure.
        let _ = match victim {
            Victim::Both => kill_process_group(terraform, Signal::KILL),
            Victim::Terraform => kill_process(terraform, Signal::KILL),
            Victim::Provider => children(terraform).into_iter().try_for_each(|child| kill_process(child, Signal::KILL)),
        };
        apply.wait().unwrap();
        // A provider without its terraform ends by itself; what it was at is done or not by then.
        std::thread::sleep(ORPHAN);
        let work = self.terraform.work();
        let _ = std::fs::remove_file(work.join(".terraform.tfstate.lock.info"));
        // Terraform writes its state in place: killed in that moment, it leaves half of one, which is a lost state.
        if !self.terraform.state().is_ok_and(|state| serde_json::from_str::<Value>(&state).is_ok()) {
            let _ = std::fs::remove_file(work.join("terraform.tfstate"));
        }
        alive
    }

    /// Starts a command in a process group of its own.
    pub fn start(&self, arguments: &[&str]) -> Child {
        use std::os::unix::process::CommandExt;
        let mut command = self.terraform.command(&[arguments, &["-no-color", "-input=false"]].concat());
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

/// The processes that a process has started.
fn children(parent: rustix::process::Pid) -> Vec<rustix::process::Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", parent.as_raw_nonzero())).into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let numbers: Vec<String> = texts.flat_map(|text| text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>()).collect();
    numbers.iter().filter_map(|number| number.parse().ok().and_then(rustix::process::Pid::from_raw)).collect()
}

/// Lets what runs in a folder sign its calls.
pub fn as_account(terraform: &mut Terraform, aws: &Aws) {
    terraform.env("AWS_ACCESS_KEY_ID", aws.access_key());
    terraform.env("AWS_SECRET_ACCESS_KEY", aws.secret_key());
    terraform.env("AWS_EC2_METADATA_DISABLED", "true");
}

/// A provider block that leads to an account.
pub fn provider(aws: &Aws, arguments: &str) -> String {
    let url = quote(&aws.endpoint());
    let region = quote(aws.region());
    format!(
        "provider \"bastion\" {{\n  aws = {{\n    region = {region}\n    endpoints = {{ ec2 = {url}, s3 = {url}, sts = {url} }}\n    {arguments}\n  }}\n}}\n"
    )
}
