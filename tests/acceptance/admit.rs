//! `admit`: a bastion whose security group drops every packet that no rule lets in, and a machine that lets itself in to prove the path.

use std::time::{Duration, Instant};

use lab::{Allow, Direction, Fault, Gate, Manners, Peer, Policy, Ran};
use serde_json::Value;

use crate::cloud::{Cloud, as_account, provider};
use crate::support::{Bench, Block, assert_says, attributes, quote, terraform, write_with};

/// A mark that no living process set.
const KILLED: &str = "bastion-owner/admission/0123456789abcdef";

/// Long ago, and so far ahead that no test sees it.
pub const EXPIRED: &str = "until 2020-01-01T00:00:00Z";
const COUNTS: &str = "until 2099-01-01T00:00:00Z";

/// A service that says where a request came from.
fn checkip(says: &str) -> Peer {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{says}", says.len());
    Peer::start(Manners::Answer(answer.into_bytes())).unwrap()
}

/// A bastion behind its security group.
pub struct Stand {
    pub bench: Bench,
    pub cloud: Cloud,
    pub group: String,
    pub gate: Gate,
    pub checkip: Peer,
}

impl Stand {
    pub fn new() -> Self {
        let (bench, mut cloud) = (Bench::new(), Cloud::new());
        let group = cloud.aws.make_vpc_group("bastion").unwrap();
        let gate = cloud.aws.guard(&group, bench.lab.bastion.port()).unwrap();
        let checkip = checkip("127.0.0.1\n");
        cloud.terraform.env("AWS_ENDPOINT_URL_CHECKIP", format!("http://127.0.0.1:{}/", checkip.port()));
        Self { bench, cloud, group, gate, checkip }
    }

    /// The tunnel object by hand, to the port that the group guards.
    pub fn tunnel(&self, admit: &str) -> String {
        let direct = format!("port = {}", self.bench.lab.bastion.port());
        let guarded = self.bench.hand_written().replace(&direct, &format!("port = {}", self.gate.port()));
        guarded.replacen('{', &format!("{{ {admit}"), 1)
    }

    pub fn admit(&self) -> String {
        format!("admit = {{ security_group_id = {:?} }}, ", self.group)
    }

    pub fn connection(&self, admit: &str) -> Block {
        self.bench.connection().set("ssh_tunnel", self.tunnel(admit))
    }

    pub fn rules(&self) -> Vec<lab::Rule> {
        self.cloud.aws.rules(&self.group)
    }

    /// A rule that lets this machine in under the mark of an admission.
    fn left(&self, address: &str, mark: &str) -> String {
        let rule = Allow::tcp(Direction::Ingress, self.gate.port(), address);
        let rule = rule.description("this machine, while it proves a path").tag("managed-by", "terraform-provider-bastion");
        self.cloud.aws.allow(&self.group, &rule.tag("Name", "ingress/this machine, while it proves a path").tag(KILLED, mark)).unwrap()
    }

    /// The calls that changed or read the group, in their order.
    fn actions(&self) -> Vec<String> {
        self.cloud.aws.calls().into_iter().map(|call| call.action).collect()
    }
}

fn is_gone(stand: &Stand) {
    assert_eq!(stand.rules(), [], "a rule is left");
}

#[test]
fn a_machine_that_is_not_admitted_hears_nothing_and_is_told_how_to_be() {
    let stand = Stand::new();
    let block = stand.connection("").set("verify", "{ timeout = \"15s\" }");
    let said = stand.cloud.apply(&[&block]);
    assert!(!said.status.success());
    assert_says(&said.output, &["connect/silent", "curl https://checkip.amazonaws.com", "`admit` does so for the time of a walk"]);
}

#[test]
fn admit_lets_this_machine_in_for_the_time_of_the_walk_alone() {
    let stand = Stand::new();
    let began = Instant::now();
    let said = stand.cloud.apply(&[&stand.connection(&stand.admit())]);
    let took = began.elapsed();
    said.ok().unwrap();
    is_gone(&stand);
    let actions = stand.actions();
    println!("an admission in an apply: {took:?}, calls: {actions:?}");
    let made: Vec<_> = stand.cloud.aws.rule_history(&stand.group).into_iter().flatten().filter(|rule| rule.group == stand.group).collect();
    assert!(made.iter().all(|rule| rule.peer == "127.0.0.1/32"), "wider than this machine: {made:?}");
    assert!(made.iter().all(|rule| [rule.from_port, rule.to_port] == [i32::from(stand.gate.port()); 2]), "another port: {made:?}");
    assert_eq!(actions.iter().filter(|action| *action == "AuthorizeSecurityGroupIngress").count(), 1, "{actions:?}");
    let path = stand.cloud.attributes("bastion_postgres_connection.orders")["path"].clone();
    let admitted = path.as_array().unwrap().iter().find(|walked| walked["stage"] == "admit").expect("no stage tells of it");
    assert_eq!(admitted["note"], format!("127.0.0.1/32 to port {} of {}", stand.gate.port(), stand.group));
    stand.cloud.settled();
    is_gone(&stand);
}

#[test]
fn all_walks_of_a_process_share_one_rule() {
    let stand = Stand::new();
    let block = |name: &str| stand.connection(&stand.admit()).named(name).text("name", name);
    let blocks: Vec<Block> = ["a", "b", "c", "d", "e"].map(block).into();
    stand.cloud.apply(&blocks.iter().collect::<Vec<_>>()).ok().unwrap();
    is_gone(&stand);
    assert_eq!(stand.cloud.aws.count("AuthorizeSecurityGroupIngress"), 1, "{:?}", stand.actions());
}

#[test]
fn a_rule_that_lets_this_machine_in_already_is_used_as_it_is() {
    let stand = Stand::new();
    for peer in ["127.0.0.1/32", "127.0.0.0/8", "0.0.0.0/0"] {
        let rule = stand.cloud.aws.allow(&stand.group, &Allow::tcp(Direction::Ingress, stand.gate.port(), peer)).unwrap();
        let before = stand.rules();
        stand.cloud.aws.forget_calls();
        let block = stand.connection(&stand.admit()).set("triggers", format!("{{ peer = {peer:?} }}"));
        stand.cloud.apply(&[&block]).ok().unwrap();
        assert_eq!(stand.rules(), before, "{peer}");
        assert_eq!(stand.actions(), ["DescribeSecurityGroupRules"], "{peer}");
        stand.cloud.aws.revoke(&rule).unwrap();
    }
}

/// What a data source says that checks such a path.
fn checked(stand: &Stand, arguments: &str, tunnel: &str) -> Value {
    let database = quote(lab::DATABASE_HOST);
    let text = format!(
        "{}\ndata \"bastion_postgres_check\" \"it\" {{\n host = {database}\n port = {}\n user = {:?}\n database = {:?}\n password = {}\n \
         ssh_tunnel = {tunnel}\n verify = {{ timeout = \"20s\" }}\n}}\noutput \"it\" {{\n value = {{ code = data.bastion_postgres_check.it.code, \
         summary = data.bastion_postgres_check.it.summary, remedies = data.bastion_postgres_check.it.remedies }}\n}}\n",
        provider(&stand.cloud.aws, arguments),
        stand.bench.lab.logical.port(),
        lab::ROLE,
        lab::DATABASE,
        quote(stand.bench.lab.password()),
    );
    write_with(&stand.cloud.terraform, &text, &[]);
    stand.cloud.terraform.apply().unwrap().ok().unwrap();
    let told = stand.cloud.terraform.run(&["output", "-json", "it"]).unwrap().ok().unwrap();
    serde_json::from_str(told.lines().find(|line| line.starts_with('{')).unwrap()).unwrap()
}

/// A policy of these actions, on everything.
fn allowing(actions: &[&str]) -> Policy {
    Policy::parse(&format!(
        "{{ \"Version\": \"2012-10-17\", \"Statement\": [{{ \"Effect\": \"Allow\", \"Action\": {actions:?}, \"Resource\": [\"*\"] }}] }}"
    ))
    .unwrap()
}

#[test]
fn whatever_keeps_the_door_shut_is_a_cause_of_its_own() {
    let mut stand = Stand::new();
    let codes = |told: Value, code: &str, words: &[&str]| {
        assert_eq!(told["code"], code, "{told}");
        words.iter().for_each(|word| assert!(told.to_string().contains(word), "no {word:?} in {told}"));
    };
    codes(
        checked(&stand, "", &stand.tunnel("admit = { security_group_id = \"sg-00000000\" }, ")),
        "admit/group-missing",
        &["security_group_id"],
    );
    stand.cloud.aws.quota(0);
    codes(checked(&stand, "", &stand.tunnel(&stand.admit())), "admit/group-full", &["raise the quota"]);
    stand.cloud.aws.quota(60);
    let all = ["ec2:DescribeSecurityGroupRules", "ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress", "ec2:CreateTags"];
    for missing in all {
        let rest: Vec<&str> = all.into_iter().filter(|action| *action != missing).collect();
        stand.cloud.aws.allow_only(&allowing(&rest));
        codes(checked(&stand, "", &stand.tunnel(&stand.admit())), "admit/denied", &[missing]);
        is_gone(&stand);
    }
    stand.cloud.aws.allow_only(&allowing(&all));
    let proven = checked(&stand, "", &stand.tunnel(&stand.admit()));
    assert_eq!(proven["code"], Value::Null, "four actions are not enough: {proven}");
    is_gone(&stand);
    stand.cloud.aws.fault("AuthorizeSecurityGroupIngress", Fault::throttle());
    codes(checked(&stand, "max_retries = 0", &stand.tunnel(&stand.admit())), "admit/failed", &["max_retries"]);
    stand.cloud.aws.heal();
    stand.checkip = checkip("<html>log in to the hotel's network</html>");
    let own = format!("http://127.0.0.1:{}/", stand.checkip.port());
    stand.cloud.terraform.env("AWS_ENDPOINT_URL_CHECKIP", &own);
    codes(checked(&stand, "", &stand.tunnel(&stand.admit())), "admit/address-unknown", &["admit.address"]);
    let given = format!("admit = {{ security_group_id = {:?}, address = \"127.0.0.1\" }}, ", stand.group);
    assert_eq!(checked(&stand, "", &stand.tunnel(&given))["code"], Value::Null);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        stand.cloud.terraform.env(name, "");
    }
    codes(checked(&stand, "", &stand.tunnel(&given)), "admit/no-credentials", &[]);
    is_gone(&stand);
}

#[test]
fn what_a_killed_run_left_goes_with_the_next_one_once_its_time_is_over() {
    let stand = Stand::new();
    stand.left("127.0.0.9/32", EXPIRED);
    let counting = stand.left("127.0.0.8/32", COUNTS);
    stand.left("127.0.0.1/32", EXPIRED);
    stand.cloud.apply(&[&stand.connection(&stand.admit())]).ok().unwrap();
    let left: Vec<_> = stand.rules().into_iter().map(|rule| rule.id).collect();
    assert_eq!(left, [counting], "what counts is another's that lives");
}

#[test]
fn a_rule_that_another_process_of_this_machine_uses_is_left_to_it() {
    let stand = Stand::new();
    let shared = stand.left("127.0.0.1/32", COUNTS);
    stand.cloud.apply(&[&stand.connection(&stand.admit())]).ok().unwrap();
    let left = stand.rules();
    assert_eq!((left.len(), left[0].id.as_str()), (1, shared.as_str()));
    let marks: Vec<_> = left[0].tags.keys().filter(|key| key.starts_with("bastion-owner/")).collect();
    assert_eq!(marks, [KILLED], "a mark is left");
}

/// Another folder that walks the same path from the same machine.
fn second(stand: &Stand) -> lab::Terraform {
    let mut other = terraform();
    as_account(&mut other, &stand.cloud.aws);
    other.env("AWS_ENDPOINT_URL_CHECKIP", format!("http://127.0.0.1:{}/", stand.checkip.port()));
    write_with(&other, &provider(&stand.cloud.aws, ""), &[&stand.connection(&stand.admit())]);
    other
}

#[test]
fn the_last_of_two_processes_removes_the_rule_and_neither_is_cut_off() {
    let stand = Stand::new();
    let other = second(&stand);
    stand.cloud.write(&[&stand.connection(&stand.admit())]);
    for held in ["RevokeSecurityGroupIngress", "AuthorizeSecurityGroupIngress", "CreateTags"] {
        stand.cloud.terraform.run(&["state", "rm", "bastion_postgres_connection.orders"]).unwrap();
        other.run(&["state", "rm", "bastion_postgres_connection.orders"]).unwrap();
        // The first to come so far is held there until the other is under way.
        let pause = stand.cloud.aws.pause_before(held);
        let (first, second): (Ran, Ran) = std::thread::scope(|scope| {
            let first = scope.spawn(|| stand.cloud.terraform.apply().unwrap());
            pause.wait(Duration::from_secs(30)).unwrap();
            let second = scope.spawn(|| other.apply().unwrap());
            std::thread::sleep(Duration::from_millis(800));
            drop(pause);
            (first.join().unwrap(), second.join().unwrap())
        });
        first.ok().unwrap();
        second.ok().unwrap();
        is_gone(&stand);
    }
}

#[test]
fn the_resource_of_rules_neither_sees_nor_removes_an_admission() {
    let stand = Stand::new();
    let ingress = format!("{{ vendor = {{ port = {}, peers = [\"10.0.0.1\", \"127.0.0.7\"] }} }}", stand.gate.port());
    let rules = Block::new("bastion_security_group_rules", "it").text("security_group_id", &stand.group).set("ingress", ingress);
    let (admission, wanted) = (stand.left("127.0.0.1/32", COUNTS), stand.left("127.0.0.7/32", COUNTS));
    let said = stand.cloud.apply(&[&rules]);
    assert!(!said.output.contains("admission"), "an admission is nobody to be told of:\n{}", said.output);
    said.ok().unwrap();
    stand.cloud.settled();
    // The process that let itself in leaves the rule, which the resource wants as well.
    stand.cloud.aws.untag_rule(&wanted, KILLED).unwrap();
    stand.cloud.settled();
    stand.cloud.apply(&[]).ok().unwrap();
    let left: Vec<_> = stand.rules().into_iter().map(|rule| rule.id).collect();
    assert_eq!(left, [admission]);
}

#[test]
fn an_ephemeral_tunnel_keeps_the_door_open_until_it_is_closed() {
    let stand = Stand::new();
    let text = format!(
        "{}\nephemeral \"bastion_ssh_tunnel\" \"db\" {{\n ssh_tunnel = {}\n remote_host = {:?}\n remote_port = {}\n}}\nresource \
         \"terraform_data\" \"it\" {{\n provisioner \"local-exec\" {{\n command = \"sleep 4\"\n }}\n}}\n",
        provider(&stand.cloud.aws, ""),
        stand.tunnel(&stand.admit()),
        lab::DATABASE_HOST,
        stand.bench.lab.logical.port()
    );
    write_with(&stand.cloud.terraform, &text, &[]);
    std::thread::scope(|scope| {
        let apply = scope.spawn(|| stand.cloud.terraform.apply().unwrap());
        lab::wait_until("a door", Duration::from_secs(20), || !stand.rules().is_empty()).unwrap();
        apply.join().unwrap().ok().unwrap();
    });
    is_gone(&stand);
}

#[test]
fn a_scan_of_host_keys_lets_this_machine_in_too() {
    let stand = Stand::new();
    let text = format!(
        "{}\ndata \"bastion_host_keys\" \"it\" {{\n host = \"127.0.0.1\"\n port = {}\n {}\n}}\n",
        provider(&stand.cloud.aws, ""),
        stand.gate.port(),
        stand.admit().trim_end_matches(", ")
    );
    write_with(&stand.cloud.terraform, &text, &[]);
    stand.cloud.terraform.apply().unwrap().ok().unwrap();
    let keys = attributes(&stand.cloud.terraform, "data.bastion_host_keys.it").unwrap()["host_keys"].clone();
    assert!(!keys.as_array().unwrap().is_empty());
    is_gone(&stand);
}

#[test]
fn a_state_without_admit_goes_on_without_a_change() {
    let stand = Stand::new();
    let tunnel = stand.bench.tunnel();
    stand.cloud.settle(&[&tunnel]);
    let file = stand.cloud.terraform.work().join("terraform.tfstate");
    let mut state: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let attributes = &mut state["resources"][0]["instances"][0]["attributes"];
    assert_eq!(attributes.as_object_mut().unwrap().remove("admit"), Some(Value::Null));
    assert_eq!(attributes["tunnel"].as_object_mut().unwrap().remove("admit"), Some(Value::Null));
    std::fs::write(&file, state.to_string()).unwrap();
    stand.cloud.settled();
}

/// Runs the program in the account, without terraform.
fn program(stand: &Stand, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bastion"));
    command.args(arguments).env("AWS_ENDPOINT_URL", stand.cloud.aws.endpoint()).env("AWS_REGION", stand.cloud.aws.region());
    command.env("AWS_ACCESS_KEY_ID", stand.cloud.aws.access_key()).env("AWS_SECRET_ACCESS_KEY", stand.cloud.aws.secret_key());
    command.env("AWS_ENDPOINT_URL_CHECKIP", format!("http://127.0.0.1:{}/", stand.checkip.port()));
    let ran = command.output().unwrap();
    (ran.status.code(), format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)))
}

#[test]
fn the_program_lets_this_machine_in_says_from_where_it_saw_and_lists_what_is_left() {
    let stand = Stand::new();
    let (bastion, key) = (format!("{}@127.0.0.1:{}", crate::support::USER, stand.gate.port()), stand.bench.key.path.display().to_string());
    let host_key = stand.bench.lab.bastion.host_public_key().unwrap();
    let given = format!("{}=127.0.0.1", stand.group);
    for admit in [&stand.group, &given] {
        let check = ["check", "--bastion", &bastion, "-i", &key, "--host-key", &host_key, "--until", "authenticate", "--admit", admit];
        let (code, said) = program(&stand, &check);
        assert!(code == Some(0) && said.contains("from this machine, 127.0.0.1."), "{said}");
        is_gone(&stand);
        let (code, said) = program(&stand, &["scan", &format!("127.0.0.1:{}", stand.gate.port()), "--admit", admit]);
        assert!(code == Some(0) && said.contains("ssh-ed25519"), "{said}");
        is_gone(&stand);
    }
    stand.left("127.0.0.9/32", COUNTS);
    let (code, said) = program(&stand, &["leftovers", &stand.group]);
    assert!(code == Some(0) && said.contains("admission/0123456789abcdef until 2099-01-01T00:00:00Z"), "{said}");
    let (code, said) = program(&stand, &["leftovers", &stand.group, "--owner", "admission/0123456789abcdef", "--remove", "--yes"]);
    assert!(code == Some(0), "{said}");
    is_gone(&stand);
    let (code, said) = program(&stand, &["scan", "127.0.0.1", "--admit", "sg-1a2b3c4d=10.0.0.0/8"]);
    assert!(code == Some(2) && said.contains("one IP address"), "{said}");
}
