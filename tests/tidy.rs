//! Holds the house rules that no compiler holds: the doors between rooms, the head of each file, the size of each file.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest file, without its unit tests. Longer ones say why in their first sentence, with the word "Long".
const LONGEST: usize = 400;

/// Which room may use which: an arrow is the only way a `use crate::…` may point.
fn doors() -> BTreeMap<&'static str, Vec<&'static str>> {
    let words = vec!["path", "key", "secret", "backoff", "cidr"];
    let mut doors = BTreeMap::new();
    for word in &words {
        doors.insert(*word, words.clone());
    }
    for world in ["ssh", "tls", "aws"] {
        doors.insert(world, words.clone());
    }
    doors.insert("postgres", [words.clone(), vec!["tls"]].concat());
    doors.insert("tfplugin", words.clone());
    doors.insert("way", [words.clone(), vec!["ssh"]].concat());
    doors.insert("check", [words.clone(), vec!["ssh", "tls", "postgres", "way"]].concat());
    doors.insert("cli", [words.clone(), vec!["ssh", "postgres", "aws", "check"]].concat());
    doors.insert("provider", [words, vec!["ssh", "postgres", "aws", "way", "check", "tfplugin"]].concat());
    doors
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all(folders: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in folders {
        sources(&root.join(folder), &mut found);
    }
    found.sort();
    assert!(found.len() > 10, "the sources were not found");
    found.into_iter().map(|path| (path.strip_prefix(root).unwrap().display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// The file without its unit tests.
fn body(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]\nmod ").map_or(text, |(body, _)| body)
}

#[test]
fn uses_go_through_doors_only() {
    let doors = doors();
    let mut wrong = Vec::new();
    for (name, text) in all(&["src"]) {
        let Some(rest) = name.strip_prefix("src/").filter(|rest| *rest != "lib.rs" && !rest.starts_with("bin/")) else { continue };
        let room = rest.split(['/', '.']).next().unwrap();
        let allowed = doors.get(room).unwrap_or_else(|| panic!("{name} stands in a room without doors"));
        for (number, line) in body(&text).lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for target in line.split("crate::").skip(1) {
                let target = target.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                // A macro's own name stands at the crate's root, wherever the macro belongs.
                let door = target == room || allowed.contains(&target) || target.is_empty() || target.starts_with("__");
                if !door {
                    wrong.push(format!("{name}:{}: {room} -> {target}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "no such door:\n{}", wrong.join("\n"));
}

/// What a file is called in a `use`, beneath `crate::`.
fn module(name: &str) -> String {
    name.strip_prefix("src/").unwrap().trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::")
}

/// The files that a file imports from, by their modules. A `mod.rs` is the room's door, not one of its files.
fn imports<'a>(name: &str, text: &str, files: &'a [String]) -> Vec<&'a str> {
    let own = module(name);
    let parent = own.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut uses = String::new();
    for statement in body(text).split(';').filter_map(|statement| statement.split_once("use ").map(|(_, path)| path)) {
        let path = statement.split_whitespace().collect::<String>();
        // `super::a::{b,c}` is `super::a::b` and `super::a::c`.
        let (head, tails) = path.split_once('{').map_or((path.as_str(), String::new()), |(head, tails)| (head, tails.replace('}', "")));
        for tail in tails.split(',') {
            let whole = format!("{head}{tail}");
            let whole = whole
                .strip_prefix("crate::")
                .map(str::to_owned)
                .or_else(|| whole.strip_prefix("super::").map(|rest| format!("{parent}::{rest}")));
            uses.extend(whole.map(|whole| format!(" {whole}::")));
        }
    }
    files.iter().map(String::as_str).filter(|file| *file != own && uses.contains(&format!(" {file}::"))).collect()
}

#[test]
fn no_two_files_import_each_other() {
    let sources: Vec<_> =
        all(&["src"]).into_iter().filter(|(name, _)| !name.ends_with("mod.rs") && name.matches('/').count() > 1).collect();
    let files: Vec<_> = sources.iter().map(|(name, _)| module(name)).collect();
    let uses: BTreeMap<_, _> = sources.iter().map(|(name, text)| (module(name), imports(name, text, &files))).collect();
    assert!(uses["way::dialer"].contains(&"way::sessions"), "{uses:?}");
    let mutual = |one: &str, other: &str| one < other && uses.get(other).is_some_and(|back| back.contains(&one));
    let wrong: Vec<_> =
        uses.iter().flat_map(|(one, others)| others.iter().filter(|other| mutual(one, other)).map(move |other| (one, other))).collect();
    assert!(wrong.is_empty(), "they import each other: {wrong:?}");
}

/// A cause, an error or a finding more is no break for whoever matches on them.
#[test]
fn what_grows_can_grow() {
    let grows = |name: &str| {
        let known = ["Cause", "Finding", "Stage", "Status", "Event", "Proof", "Target", "Tried", "Unavailability", "ConnectionLimit"];
        ["Error", "Reason", "Problem"].iter().any(|end| name.ends_with(end)) || known.contains(&name)
    };
    let rooms = ["src/path", "src/key", "src/ssh", "src/tls", "src/postgres", "src/way", "src/check"];
    let mut found = 0;
    for (file, text) in all(&rooms) {
        for (before, rest) in body(&text).match_indices("\npub enum ").map(|(at, word)| (&text[..at], &text[at + word.len()..])) {
            let name = rest.split_whitespace().next().unwrap();
            if grows(name) {
                found += 1;
                assert!(before.ends_with("#[non_exhaustive]"), "{file}: {name}");
            }
        }
    }
    assert!(found > 25, "only {found} were found");
}

#[test]
fn each_file_says_in_its_first_sentence_what_it_is_for() {
    let wrong: Vec<_> = all(&["src", "lab/src", "tests", "examples"])
        .into_iter()
        .filter(|(_, text)| !text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 12))
        .map(|(name, _)| name)
        .collect();
    assert!(wrong.is_empty(), "no head: {wrong:?}");
}

#[test]
fn long_files_say_why() {
    let long = |text: &str| body(text).lines().count() > LONGEST && !text.lines().take(3).any(|line| line.contains("Long"));
    let wrong: Vec<_> = all(&["src", "lab/src", "tests"])
        .into_iter()
        .filter(|(name, text)| !name.ends_with("/tests.rs") && long(text))
        .map(|(name, _)| name)
        .collect();
    assert!(wrong.is_empty(), "longer than {LONGEST} lines without a reason: {wrong:?}");
}

/// Who embeds the library compiles nothing for Terraform, a terminal or AWS.
#[test]
fn without_features_the_library_needs_none_of_their_crates() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["tree", "--offline", "--no-default-features", "--edges", "normal,build", "--prefix", "none"];
    let output = std::process::Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && tree.contains("russh "), "{tree}{}", String::from_utf8_lossy(&output.stderr));
    let foreign = |line: &&str| ["tonic", "prost", "protox", "clap", "indicatif", "aws-"].iter().any(|name| line.starts_with(name));
    let found: Vec<_> = tree.lines().filter(foreign).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_text_speaks_of_the_project_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = std::env::var("HOME").unwrap_or_default();
    for (name, text) in all(&["src", "lab/src", "tests", "examples"]) {
        assert!(!text.contains(&format!("{}/", root.display())), "{name} names a folder of this machine");
        assert!(home.len() < 2 || !text.contains(&format!("\"{home}/")), "{name} names somebody's home");
    }
}
