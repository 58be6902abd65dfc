//! `bastion keys`: what ssh-keygen reads, in files that only their owner can.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::{Said, bastion, run};

/// What ssh-keygen says about a key.
fn keygen(arguments: &[&str], file: &Path) -> String {
    let output = Command::new("ssh-keygen").args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_generated_pair_is_one_that_ssh_keygen_reads_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let public = folder.path().join("id.pub");
    let generate = |more: &[&str]| Said::of(&bastion(&["keys", "generate"]).arg(&file).args(more).output().unwrap());
    generate(&[]).expect(2, &["there is no terminal to ask for the passphrase on", "--passphrase-file", "--no-passphrase"]);
    assert!(!file.exists() && !public.exists());
    let said = generate(&["--no-passphrase", "--comment", "neosync\n1"]);
    said.expect(0, &["SHA256:"]);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(public.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    let line = std::fs::read_to_string(&public).unwrap();
    assert_eq!(line.lines().count(), 1);
    assert!(line.ends_with(" neosync 1\n"), "{line}");
    let derived = keygen(&["-y", "-P", "", "-f"], &file);
    assert_eq!(derived.split_whitespace().nth(1), line.split_whitespace().nth(1));
    assert!(said.out.contains(keygen(&["-lf"], &public).split_whitespace().nth(1).unwrap()));

    let before = std::fs::read(&file).unwrap();
    generate(&["--no-passphrase"]).expect(2, &["is there already; nothing is overwritten"]);
    assert!(std::fs::read(&file).unwrap() == before, "the key was overwritten");
    std::fs::rename(&public, folder.path().join("elsewhere")).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &public).unwrap();
    generate(&["--no-passphrase"]).expect(2, &["is there already"]);
    assert!(!file.exists());
}

#[test]
fn a_passphrase_locks_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let made = bastion(&["keys", "generate"]).arg(&file).env("BASTION_PASSPHRASE", "open sesame").output().unwrap();
    Said::of(&made).expect(0, &[]);
    let locked = Command::new("ssh-keygen").args(["-y", "-P", "", "-f"]).arg(&file).output().unwrap();
    assert!(!locked.status.success(), "the key is not encrypted");
    keygen(&["-y", "-P", "open sesame", "-f"], &file);
    let path = file.display().to_string();
    run(&["keys", "fingerprint", &path]).expect(2, &["give its passphrase"]);
    let said = Said::of(&bastion(&["keys", "fingerprint", &path]).env("BASTION_PASSPHRASE", "open sesame").output().unwrap());
    let of_public = run(&["keys", "fingerprint", &format!("{path}.pub")]);
    of_public.expect(0, &["SHA256:", "ssh-ed25519"]);
    assert_eq!(said.out, of_public.out);
    let from_stdin = bastion(&["keys", "fingerprint", "-"]).stdin(std::fs::File::open(format!("{path}.pub")).unwrap()).output().unwrap();
    assert_eq!(Said::of(&from_stdin).out, of_public.out);
}

#[test]
fn the_line_for_authorized_keys_narrows_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    Said::of(&bastion(&["keys", "generate", "--no-passphrase"]).arg(&file).output().unwrap()).expect(0, &[]);
    let path = file.display().to_string();
    let said = run(&["keys", "authorized-key", &path, "--permit-open", "db.internal:5432", "--comment", "neosync"]);
    said.expect(0, &["restrict,port-forwarding,permitopen=\"db.internal:5432\" ssh-ed25519 AAAA", " neosync\n"]);
    let said =
        run(&["keys", "authorized-key", &path, "--from", "10.0.0.1", "--from", "2001:db8::/32", "--expires", "2030-01-01T01:00:00+01:00"]);
    said.expect(0, &["restrict,port-forwarding,from=\"10.0.0.1/32,2001:db8::/32\",expiry-time=\"20300101000000\" ssh-ed25519 AAAA"]);
    for (flag, value, words) in [
        ("--from", "*.example.com", "it is neither an IP address nor a CIDR block"),
        ("--expires", "tomorrow", "2030-01-31T12:00:00Z"),
        ("--comment", "a\nb", "does not show"),
    ] {
        run(&["keys", "authorized-key", &path, flag, value]).expect(2, &[flag, words]);
    }
    run(&["keys", "authorized-key", &path, "--permit-open", "db\",pty"]).expect(2, &["is not a target for permitopen"]);
    run(&["keys", "fingerprint", "/dev/null"]).expect(2, &["a public key is needed here"]);
}
