//! `bastion check`: the verdict, its class, its forms, and where its inputs come from.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Bench, Said, USER, bastion, run};

/// How long after Ctrl-C the program may take to end.
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
fn a_path_that_holds_is_proven_stage_by_stage() {
    let bench = Bench::new();
    let said = bench.checked(&[&bench.url(), "--replication", "--publication", "mz_source", "--table", "public.orders"]);
    said.expect(0, &["here --- 127.0.0.1:", "--- neosync@orders", "Proven  up to ready, PostgreSQL "]);
    let stages: Vec<_> = said.err.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    let walk = ["resolve", "connect", "handshake", "host_key", "authenticate", "forward", "dial", "tls", "login", "open", "ready"];
    assert_eq!(stages, walk.map(|stage| format!("passed {stage}")));
    assert!(!said.err.contains('\u{1b}') && !said.out.contains('\u{1b}'), "nobody looks at colours here");
}

#[test]
fn the_exit_code_tells_the_class_of_failure() {
    let bench = Bench::new();
    let url = bench.url();
    let closed = lab::free_port().unwrap().to_string();
    let flags = |arguments: &[&str]| bench.checked(&[&[url.as_str()], arguments].concat());
    flags(&["--database", "missing"]).expect(8, &["Error: The database does not exist\n\n  here --- ", "Code    open/database-missing"]);
    flags(&["--port", &closed]).expect(6, &["dial/refused"]);
    flags(&["--publication", "absent"]).expect(9, &["ready/not-ready"]);
    flags(&["--host", "127.0.0.1"]).expect(7, &["tls/wrong-name"]);
    flags(&["--sslmode", "maybe"]).expect(2, &["error: sslmode: it is disable, allow"]);
    let said = Said::of(&bench.check(&[&url]).env("BASTION_PASSWORD", "wrong").output().unwrap());
    said.expect(8, &["login/password-refused"]);
    let direct = ["check", "--host", "127.0.0.1", "--user", "a", "--database", "b", "--timeout", "1s", "--port"];
    run(&[&direct[..], &[&closed]].concat()).expect(3, &["connect/refused"]);
    let silent = lab::Peer::start(lab::Manners::Silent).unwrap();
    run(&[&direct[..], &[&silent.port().to_string()]].concat()).expect(10, &["tls/out-of-time"]);
    let key = bench.lab.bastion.host_public_key().unwrap();
    bench.lab.bastion.replace_host_key().unwrap();
    let at = format!("{USER}@127.0.0.1:{}", bench.lab.bastion.port());
    let identity = bench.file("key", &bench.key.private_key).display().to_string();
    let with = |host_key: &str| run(&["check", &url, "--bastion", &at, "--host-key", host_key, "--identity", &identity, "--timeout", "3s"]);
    with(&key).expect(4, &["host_key/changed"]);
    bench.lab.bastion.revoke(USER).unwrap();
    with(&bench.lab.bastion.host_public_key().unwrap()).expect(5, &["authenticate/key-refused"]);
}

#[test]
fn the_answer_can_be_read_by_programs() {
    let bench = Bench::new();
    let said = bench.checked(&[&bench.url(), "--json"]);
    let found = said.json();
    assert_eq!((said.code, &found["ok"], &found["code"]), (0, &true.into(), &serde_json::Value::Null));
    assert_eq!(found["path"].as_array().unwrap().len(), 11);
    assert!(found["took"].as_f64().unwrap() > 0.0 && found["server_version"].is_string(), "{found}");
    assert!(said.err.is_empty(), "{}", said.err);

    bench.lab.bastion.reconfigure(&["AllowTcpForwarding no"]).unwrap();
    let said = bench.checked(&[&bench.url(), "--json"]);
    let found = said.json();
    assert_eq!((said.code, &found["ok"]), (6, &false.into()));
    assert_eq!((&found["failed_stage"], &found["code"]), (&"forward".into(), &"forward/prohibited".into()));
    assert!(found["heard"].as_str().unwrap().contains("prohibited") && found["remedies"].to_string().contains("PermitOpen"), "{found}");
    assert_eq!(found["path"].as_array().unwrap().last().unwrap()["status"], "failed");
    let chart = bench.checked(&[&bench.url(), "--mermaid"]);
    chart.expect(6, &["flowchart LR", "--x h3[\"db.internal:", "forwarding refused", "%% forward/prohibited"]);

    let said = bench.checked(&[&bench.url(), "--json", "--sslmode", "maybe"]);
    let found = said.json();
    assert_eq!((said.code, &found["code"], &found["failed_stage"]), (2, &"configure/usage".into(), &"configure".into()));
    for (arguments, code, means) in [
        (&["--bogus"][..], "configure/usage", "unexpected argument '--bogus' found"),
        (&["--timeout", "banana"], "configure/usage", "a duration is"),
        (&["--timeout", "0s"], "configure/usage", "above zero"),
        (&[&bench.url(), "--bastion", "a@b"], "configure/nothing-pinned", "bastion scan b:22"),
        (
            &[&bench.url(), "--bastion", "a@b", "--host-key", &bench.lab.bastion.host_public_key().unwrap()],
            "configure/no-key",
            "--identity",
        ),
    ] {
        let said = run(&[&["check", "--json"], arguments].concat());
        let found = said.json();
        assert_eq!((said.code, &found["code"]), (2, &code.into()), "{found}");
        assert!(found["means"].as_str().unwrap().contains(means), "{found}");
    }
}

#[test]
fn a_walk_can_end_early_and_needs_no_more_than_it_walks() {
    let bench = Bench::new();
    let said = bench.checked(&["--until", "authenticate"]);
    said.expect(0, &["user neosync", "Proven  up to authenticate, after"]);
    assert!(!said.out.contains("@orders") && !said.err.contains("forward"), "{}{}", said.out, said.err);
    assert_eq!(bench.lab.bastion.logins().len(), 1);

    let at = format!("{USER}@127.0.0.1:{}", bench.lab.bastion.port());
    let key = bench.lab.bastion.host_public_key().unwrap();
    run(&["check", "--bastion", &at, "--host-key", &key, "--until", "host_key"]).expect(0, &["reached, key matches", "up to host_key"]);
    let said = run(&["check", "--bastion", &at, "--until", "connect"]);
    said.expect(0, &["  here --- 127.0.0.1:", "connected", "up to connect"]);
    assert!(!said.out.contains("no verdict"), "{}", said.out);
    run(&["check", "--bastion", &at, "--until", "configure"]).expect(0, &["up to configure"]);
    let said = run(&["check", &bench.url(), "--until", "authenticate"]);
    said.expect(2, &["--until authenticate: without --bastion the path has no such stage"]);
    for (stage, flag) in [("sync", "--keys"), ("admit", "--admit")] {
        let said = bench.checked(&["--until", stage]);
        said.expect(2, &[&format!("--until {stage}: without {flag} nothing is asked there")]);
    }
    let unchecked = run(&["check", "--bastion", &at, "--insecure-ignore-host-key", "--until", "host_key"]);
    unchecked.expect(0, &["warning: the bastion's host key is not checked"]);
    assert_eq!(bench.lab.bastion.logins().len(), 1, "nobody logs in without being asked to");
    for (stage, last) in [("forward", "dial"), ("tls", "tls"), ("login", "open")] {
        bench.checked(&[&bench.url(), "--until", stage]).expect(0, &[&format!("Proven  up to {last}")]);
    }
    let url = bench.url().replace("verify-full", "disable");
    bench.checked(&[&url, "--until", "tls"]).expect(0, &["skipped tls", "Proven  up to dial, after", "Skipped tls: not encrypted"]);
    let found = bench.checked(&["--until", "authenticate", "--json"]).json();
    assert_eq!((&found["until"], &found["summary"]), (&"authenticate".into(), &"The path is proven up to authenticate".into()));
    let port = bench.lab.logical.port().to_string();
    bench.checked(&["--host", lab::DATABASE_HOST, "--port", &port, "--until", "dial"]).expect(0, &["up to dial"]);
    bench.lab.bastion.revoke(USER).unwrap();
    let refused = bench.checked(&["--until", "authenticate", "--timeout", "3s"]);
    refused.expect(5, &["-x- user neosync\n", "authenticate/key-refused"]);
    run(&["check", "--until", "nowhere"]).expect(2, &["not the name of a stage"]);
}

#[test]
fn a_password_never_comes_from_argv() {
    let bench = Bench::new();
    let url = bench.url().replacen("neosync@", "neosync:hunter2@", 1);
    let said = bench.checked(&[&url]);
    said.expect(2, &["it holds a password or another secret, and a command line can be read by everybody", "--password-file"]);
    assert!(!said.err.contains("hunter2"));
    assert_eq!(bench.lab.bastion.connections(), 0, "nothing is tried");
    for name in ["password", "sslpassword"] {
        let said = bench.checked(&[&format!("{}&{name}=hunter2", bench.url())]);
        said.expect(2, &["it holds a password"]);
        assert!(!said.err.contains("hunter2"));
    }
}

#[test]
fn inputs_come_from_files_and_the_environment_and_a_flag_wins() {
    let bench = Bench::new();
    let password = bench.file("password", &format!("{}\n", bench.lab.password())).display().to_string();
    let known_hosts = format!(
        "# a comment\n@cert-authority *.example.com {key}\nother.example.com nonsense\n[127.0.0.1]:{port} {key}\n",
        port = bench.lab.bastion.port(),
        key = bench.lab.bastion.host_public_key().unwrap()
    );
    let known_hosts = bench.file("known_hosts", &known_hosts);
    let identity = bench.file("key", &bench.key.private_key);
    let mut command = bastion(&["check", "--timeout", "20s"]);
    command
        .env("BASTION", format!("{USER}@127.0.0.1:{}", bench.lab.bastion.port()))
        .env("BASTION_IDENTITY", &identity)
        .env("BASTION_KNOWN_HOSTS", &known_hosts)
        .env("PGHOST", lab::DATABASE_HOST)
        .env("PGPORT", bench.lab.logical.port().to_string())
        .env("PGUSER", lab::ROLE)
        .env("PGDATABASE", lab::DATABASE)
        .env("PGPASSWORD", bench.lab.password());
    Said::of(&command.output().unwrap()).expect(0, &["Proven"]);
    Said::of(&command.env("PGPASSWORD", "wrong").output().unwrap()).expect(8, &["login/password-refused"]);
    Said::of(&command.args(["--password-file", &password]).output().unwrap()).expect(0, &["Proven"]);
    Said::of(&command.args(["--database", "missing"]).output().unwrap()).expect(8, &["open/database-missing"]);

    let url = bench.url().replacen("neosync@", &format!("neosync:{}@", bench.lab.password()), 1);
    let said = Said::of(&bench.check(&[]).env_remove("BASTION_PASSWORD").env("BASTION_URL", url).output().unwrap());
    said.expect(0, &["Proven"]);
}

#[test]
fn what_is_missing_is_named_before_anything_is_tried() {
    let bench = Bench::new();
    let url = bench.url();
    let at = format!("{USER}@127.0.0.1:{}", bench.lab.bastion.port());
    run(&["check"]).expect(2, &["the database's host is missing: give a URL, --host or PGHOST"]);
    let scan = format!("bastion scan 127.0.0.1:{}`", bench.lab.bastion.port());
    run(&["check", &url, "--bastion", &at]).expect(2, &["no host key is pinned", &scan]);
    let key = bench.lab.bastion.host_public_key().unwrap();
    let said = run(&["check", &url, "--bastion", &at, "--host-key", &key, "--identity", "/nowhere"]);
    said.expect(2, &["error: --identity: /nowhere: No such file or directory\n"]);
    let text = bench.file("text", "no PEM").display().to_string();
    let said = run(&["check", &url, "--sslcert", &text, "--sslkey", &text]);
    said.expect(2, &["error: TLS: sslcert: there is no PEM certificate in it\n"]);
    run(&["check", &url, "--bastion", &at, "--insecure-ignore-host-key"]).expect(2, &["private key is missing"]);
    run(&["check", &url, "--bastion", "bastion"]).expect(2, &["USER@HOST"]);
    run(&["check", &url, "--identity", "key"]).expect(2, &["--identity goes with --bastion"]);
    run(&["check", &url, "--ask-password"]).expect(2, &["there is no terminal to ask for the password on"]);
    let empty = bench.file("known_hosts", "").display().to_string();
    run(&["check", &url, "--bastion", &at, "--known-hosts", &empty]).expect(2, &["no host key of the bastion is in it", &scan]);
    assert_eq!(bench.lab.bastion.connections(), 0);
}

#[test]
fn what_known_hosts_has_revoked_is_not_taken_whoever_gives_it() {
    let bench = Bench::new();
    let at = format!("{USER}@127.0.0.1:{}", bench.lab.bastion.port());
    let key = bench.lab.bastion.host_public_key().unwrap();
    let revoked = bench.file("revoked", &format!("@revoked * {key}\n")).display().to_string();
    let given = ["check", "--bastion", &at, "--host-key", &key, "--until", "host_key"];
    run(&given).expect(0, &["up to host_key"]);
    run(&[&given[..], &["--known-hosts", &revoked]].concat()).expect(4, &["host_key/revoked"]);
}

#[test]
fn what_would_be_dropped_in_silence_is_refused() {
    let bench = Bench::new();
    let url = format!("{}&channel_binding=require", bench.url());
    bench.checked(&[&url]).expect(2, &["`channel_binding` changes what a client would do"]);
    let said = Said::of(&bench.check(&[&bench.url()]).env("PGREQUIREAUTH", "scram-sha-256").output().unwrap());
    said.expect(2, &["PGREQUIREAUTH changes what a client would do here"]);
    bench.checked(&[&bench.url(), "--until", "login", "--replication"]).expect(2, &["are asked at `ready`"]);
    assert_eq!(bench.lab.bastion.connections(), 0);
}

#[test]
fn an_encrypted_key_is_opened_by_a_file_or_the_environment() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sealed");
    let made = bastion(&["keys", "generate"]).arg(&file).env("BASTION_PASSPHRASE", "open sesame").output().unwrap();
    Said::of(&made).expect(0, &[]);
    let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
    bench.lab.bastion.authorize(USER, &[public]).unwrap();
    let identity = file.display().to_string();
    let passphrase = bench.file("passphrase", "open sesame\n").display().to_string();
    let key = bench.lab.bastion.host_public_key().unwrap();
    let at = format!("{USER}@127.0.0.1:{}", bench.lab.bastion.port());
    let check = ["check", "--bastion", &at, "--host-key", &key, "--until", "authenticate", "--identity", &identity];
    run(&[&check[..], &["--passphrase-file", &passphrase]].concat()).expect(0, &["Proven"]);
    run(&check).expect(2, &["the private key is encrypted; give its passphrase"]);
    Said::of(&bastion(&check).env("BASTION_PASSPHRASE", "other").output().unwrap())
        .expect(2, &["the passphrase does not open the private key"]);
}

/// The program in a terminal of its own, which `script` makes.
fn on_a_terminal(bench: &Bench, arguments: &[&str], typed: &str, colours: &str) -> Said {
    let command = bench.check(arguments);
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap());
    let line: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line.join(" "), "/dev/null"]).env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
    if !colours.is_empty() {
        script.env(colours, "1");
    }
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("script is needed here");
    child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
    Said::of(&child.wait_with_output().unwrap())
}

#[test]
fn on_a_terminal_stages_are_live_and_the_password_is_asked_for_without_echo() {
    let bench = Bench::new();
    let typed = format!("{}\n", bench.lab.password());
    let said = on_a_terminal(&bench, &[&bench.url(), "--ask-password"], &typed, "");
    said.expect(0, &["Password of the role: ", "\u{1b}[32mpassed", "Proven  up to open", "Skipped ready: nothing asked for."]);
    let plain = on_a_terminal(&bench, &[&bench.url(), "--ask-password"], &typed, "NO_COLOR");
    plain.expect(0, &["passed", "Proven  up to open"]);
    assert!(!plain.out.contains("\u{1b}[32m"), "{}", plain.out);
}

/// What the program leaves of a terminal on which these keys are pressed at its prompt.
fn pressed(keys: &str) -> String {
    let program = env!("CARGO_BIN_EXE_bastion");
    // The shell around it outlives the program.
    let line = format!("trap : INT; '{program}' check postgres://a@127.0.0.1/b --ask-password; echo \"ended with $?\"; stty -a");
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env("SHELL", "/bin/sh");
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script is needed here");
    let (mut out, mut seen, mut piece) = (child.stdout.take().unwrap(), String::new(), [0; 1024]);
    let mut typed = false;
    loop {
        let read = out.read(&mut piece).unwrap();
        if read == 0 {
            break;
        }
        seen.push_str(&String::from_utf8_lossy(&piece[..read]));
        if !typed && seen.contains("Password of the role: ") {
            typed = true;
            child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
        }
    }
    child.wait().unwrap();
    seen
}

#[test]
fn at_a_prompt_ctrl_c_and_ctrl_d_leave_the_terminal_as_it_was() {
    for (keys, words, code) in [("\u{3}", "error: interrupted", 10), ("\u{4}", "error: no password was typed", 2)] {
        let seen = pressed(keys);
        assert!(seen.contains(words) && seen.contains(&format!("ended with {code}")), "{seen}");
        let modes: Vec<_> = seen.split_whitespace().collect();
        assert!(["echo", "icanon", "isig"].iter().all(|mode| modes.contains(mode)), "{seen}");
    }
}

#[test]
fn who_stops_listening_is_no_fault() {
    let mut command = bastion(&["check", "--bastion", "a@127.0.0.1", "--until", "configure"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let said = Said::of(&child.wait_with_output().unwrap());
    assert_eq!((said.code, said.err.as_str()), (0, ""));
}

#[test]
fn ctrl_c_ends_it_at_once_with_what_is_known() {
    let bench = Bench::new();
    let silent = lab::Peer::start(lab::Manners::Silent).unwrap();
    let mut command = bench.check(&[&bench.url(), "--port", &silent.port().to_string()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = child.stderr.take().unwrap();
    let (mut seen, mut piece) = (String::new(), [0; 1024]);
    while !seen.contains("dial") {
        let read = err.read(&mut piece).unwrap();
        assert!(read > 0, "the check never comes so far:\n{seen}");
        seen.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    let began = Instant::now();
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let said = Said::of(&child.wait_with_output().unwrap());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    said.expect(10, &["Error: The check was interrupted", "-?- db.internal:", "tls/interrupted"]);
}

#[test]
fn help_says_everything_and_the_program_its_version() {
    run(&["--help"]).expect(0, &["check", "scan", "keys"]);
    run(&["check", "--help"]).expect(0, &["Exit codes:", "BASTION_PASSWORD", "--until <STAGE>", "postgres://USER@HOST:PORT/DATABASE"]);
    run(&["--version"]).expect(0, &[env!("CARGO_PKG_VERSION")]);
    run(&[]).expect(2, &["Usage: bastion"]);
    run(&["check", "--password", "x"]).expect(2, &["unexpected argument"]);
}

/// A key that still works proves nothing of the version that was asked for.
#[test]
fn a_version_of_the_keys_is_waited_for() {
    let bench = Bench::new();
    let canary = bastion::key::canary("bucket/public-keys/x.pub", "").unwrap();
    let version = bastion::key::KeysVersion { user: USER.to_owned(), canary: canary.clone() }.to_string();
    let said = bench.checked(&["--until", "sync", "--keys", &version, "--timeout", "2s"]);
    said.expect(5, &["The bastion does not work with the new keys yet"]);
    bench.lab.bastion.authorize(USER, &[bench.key.public_key.clone(), format!("restrict {canary}")]).unwrap();
    bench.checked(&["--until", "sync", "--keys", &version]).expect(0, &["Proven", "sync"]);
    bench.checked(&["--keys", &version.replace(USER, "other")]).expect(2, &["--keys: it is a version of the login `other`"]);
    bench.checked(&["--keys", "etag"]).expect(2, &["this is not a version of a login's keys"]);
    let direct = run(&["check", "postgres://app@localhost/orders", "--keys", &version]);
    direct.expect(2, &["--keys goes with --bastion USER@HOST"]);
}
