//! What the pure crates never name: no clock, chance, thread, file, socket, console, async or
//! `unsafe` in their sources, and no runtime or transport among what they are built on. Judges what
//! is written; that nothing slips in through a dependency's own code is for the dependency list.

use crate::Complaint;
use crate::code::{Token, closing, shipped_tokens, starts_with, tokens};
use crate::tree::File;

/// Crates whose dependency tree and sources stay pure.
pub const PURE_CRATES: [&str; 3] = ["porthouse-puddle", "porthouse-rules", "porthouse-model"];

/// Where their sources are, from the project's root.
pub const PURE_SOURCES: [&str; 3] = [
    "data-plane/puddle/src/",
    "shared/rules/src/",
    "shared/model/src/",
];

/// What no pure crate may be built on, `name-…` included.
const IMPURE_CRATES: [&str; 7] = [
    "tokio",
    "mio",
    "hyper",
    "tonic",
    "rustls",
    "diesel",
    "async-nats",
];

/// Words that betray impurity wherever they stand in shipped code.
const IMPURE_WORDS: [(&str, &str); 27] = [
    ("SystemTime", "time arrives as a value"),
    ("UNIX_EPOCH", "time arrives as a value"),
    ("getrandom", "chance arrives as a value"),
    ("fastrand", "chance arrives as a value"),
    ("thread_rng", "chance arrives as a value"),
    ("OsRng", "chance arrives as a value"),
    (
        "RandomState",
        "a hasher seeded by chance: seed it by a value",
    ),
    ("new_v4", "chance arrives as a value"),
    ("now_v7", "time and chance arrive as values"),
    ("async", "the core never waits"),
    ("await", "the core never waits"),
    ("TcpStream", "sockets belong to the shell"),
    ("TcpListener", "sockets belong to the shell"),
    ("UdpSocket", "sockets belong to the shell"),
    ("UnixStream", "sockets belong to the shell"),
    ("UnixListener", "sockets belong to the shell"),
    ("UnixDatagram", "sockets belong to the shell"),
    ("ToSocketAddrs", "it asks a resolver"),
    ("stdin", "the console belongs to the shell"),
    ("stdout", "the console belongs to the shell"),
    ("stderr", "the console belongs to the shell"),
    ("println", "the console belongs to the shell"),
    ("print", "the console belongs to the shell"),
    ("eprintln", "the console belongs to the shell"),
    ("eprint", "the console belongs to the shell"),
    (
        "thread_local",
        "state has one owner, and it is not the thread",
    ),
    ("File", "files belong to the shell"),
];

/// Paths that betray impurity, word by word.
const IMPURE_PATHS: [(&[&str], &str); 2] = [
    (&["Instant", ":", ":", "now"], "time arrives as a value"),
    (&["rand", ":", ":"], "chance arrives as a value"),
];

/// Parts of `std` that reach outside the program.
const IMPURE_MODULES: [&str; 5] = ["env", "fs", "os", "process", "thread"];

/// Complaints about one file of a pure crate.
#[must_use]
pub fn impure_words(file: &File) -> Vec<Complaint> {
    let shipped = shipped_tokens(&file.text);
    let mut complaints: Vec<Complaint> = (0..shipped.len())
        .filter_map(|at| impurity(&shipped, at).map(|why| (shipped[at].line, why)))
        .chain(std_imports(&shipped))
        .map(|(line, why)| Complaint::new(&file.path, line, why))
        .collect();
    // A test has no more right to this than the code it tests.
    complaints.extend(
        tokens(&file.text)
            .iter()
            .filter(|token| token.text == "unsafe")
            .map(|token| Complaint::new(&file.path, token.line, "`unsafe` in a pure crate")),
    );
    complaints
}

/// Complaints about what `cargo tree --edges normal --prefix none` lists for a crate: the name is
/// the first word of each line.
#[must_use]
pub fn impure_dependencies(name: &str, tree: &str) -> Vec<Complaint> {
    let mut found: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|found| {
            IMPURE_CRATES.iter().any(|impure| {
                found
                    .strip_prefix(impure)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .map(|found| Complaint::new(name, 0, format!("is pure, but is built on {found}")))
        .collect()
}

fn impurity(tokens: &[Token<'_>], at: usize) -> Option<String> {
    let here = &tokens[at..];
    let word = here[0].text;
    if let Some((_, why)) = IMPURE_WORDS.iter().find(|(impure, _)| *impure == word) {
        return Some(format!("names `{word}`: {why}"));
    }
    if let Some((path, why)) = IMPURE_PATHS
        .iter()
        .find(|(path, _)| starts_with(here, path))
    {
        return Some(format!("names `{}`: {why}", path.concat()));
    }
    is_seeded_by_chance(here).then(|| {
        format!("`{word}` without a hasher is seeded by chance: name the hasher, or use BTreeMap")
    })
}

/// `HashMap` and `HashSet` as the standard library makes them unless told otherwise.
fn is_seeded_by_chance(tokens: &[Token<'_>]) -> bool {
    let parameters_with_hasher = match tokens[0].text {
        "HashMap" => 3,
        "HashSet" => 2,
        _ => return false,
    };
    if starts_with(&tokens[1..], &[":", ":"]) {
        let method = tokens.get(3).map_or("", |token| token.text);
        return matches!(method, "new" | "with_capacity" | "from");
    }
    starts_with(&tokens[1..], &["<"]) && type_parameters(&tokens[1..]) < parameters_with_hasher
}

/// How many parameters stand in the `<…>` that starts here.
fn type_parameters(tokens: &[Token<'_>]) -> usize {
    let (mut angles, mut commas, mut at) = (0_usize, 0, 0);
    while at < tokens.len() {
        match tokens[at].text {
            "<" => angles += 1,
            ">" if at > 0 && tokens[at - 1].text == "-" => {}
            ">" if angles == 1 => break,
            ">" => angles -= 1,
            "," if angles == 1 && !starts_with(&tokens[at + 1..], &[">"]) => commas += 1,
            "(" | "[" => at = closing(tokens, at).unwrap_or(tokens.len()),
            _ => {}
        }
        at += 1;
    }
    commas + 1
}

/// What is taken from `std` (or `core`) and must not be, grouped imports included.
fn std_imports(tokens: &[Token<'_>]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let here = &tokens[at..];
        if ["std", "core"]
            .iter()
            .any(|root| starts_with(here, &[root, ":", ":"]))
        {
            for name in names_after(tokens, at + 3) {
                if IMPURE_MODULES.contains(&name.text) {
                    found.push((
                        name.line,
                        format!("names `std::{}`: it belongs to the shell", name.text),
                    ));
                }
            }
        }
        if starts_with(here, &["time", ":", ":"]) {
            for name in names_after(tokens, at + 3)
                .iter()
                .filter(|name| name.text == "Instant")
            {
                found.push((
                    name.line,
                    "names `time::Instant`: time arrives as a value".to_owned(),
                ));
            }
        }
    }
    found
}

/// The names that follow `path::`: one, or those at the top of a `{…}`.
fn names_after<'a>(tokens: &[Token<'a>], at: usize) -> Vec<Token<'a>> {
    let Some(first) = tokens.get(at) else {
        return Vec::new();
    };
    if first.text != "{" {
        return vec![*first];
    }
    let end = closing(tokens, at).unwrap_or(tokens.len());
    let mut names = Vec::new();
    let mut at = at + 1;
    let mut expects_name = true;
    while at < end {
        match tokens[at].text {
            "{" => at = closing(tokens, at).unwrap_or(end),
            "," => expects_name = true,
            _ if expects_name => {
                names.push(tokens[at]);
                expects_name = false;
            }
            _ => {}
        }
        at += 1;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{impure_dependencies, impure_words};
    use crate::tree::File;

    fn complaints(text: &str) -> usize {
        impure_words(&File::new("shared/rules/src/lib.rs", text)).len()
    }

    #[test]
    fn a_clock_is_caught() {
        assert_eq!(complaints("let t = std::time::Instant::now();"), 2);
        assert_eq!(complaints("use std::time::{Duration, Instant};"), 1);
        assert_eq!(complaints("fn f(t: SystemTime) {}"), 1);
        assert_eq!(
            complaints("use std::time::Duration; use crate::time::Millis;"),
            0
        );
    }

    #[test]
    fn chance_is_caught() {
        assert_eq!(complaints("let x: u8 = rand::random();"), 1);
        assert_eq!(complaints("getrandom::fill(&mut key)"), 1);
        assert_eq!(complaints("let id = Uuid::new_v4();"), 1);
        assert_eq!(
            complaints("use siphasher::sip::SipHasher13; let random = 1;"),
            0
        );
    }

    #[test]
    fn a_map_seeded_by_chance_is_caught() {
        assert_eq!(complaints("let m = HashMap::new();"), 1);
        assert_eq!(complaints("rooms: HashMap<Name, Vec<(u8, u8)>>,"), 1);
        assert_eq!(complaints("rooms: HashSet<Box<dyn Fn(u8, u8) -> u8>>,"), 1);
        assert_eq!(
            complaints("rooms: HashMap<Name, Vec<u8>, Seeded>, m: HashSet<u8, Seeded>"),
            0
        );
        assert_eq!(
            complaints("let m = HashMap::with_hasher(seeded); use std::collections::HashMap;"),
            0
        );
    }

    #[test]
    fn waiting_threads_files_sockets_and_the_console_are_caught() {
        assert_eq!(complaints("async fn f() { g().await }"), 2);
        assert_eq!(complaints("std::thread::spawn(f);"), 1);
        assert_eq!(
            complaints("use std::{collections::{BTreeMap, fs}, fs, fmt, env::args};"),
            2
        );
        assert_eq!(complaints("use std::net::{IpAddr, TcpStream};"), 1);
        assert_eq!(complaints("println!(\"{x}\");"), 1);
        assert_eq!(complaints("use std::net::IpAddr; // std::fs, async"), 0);
    }

    #[test]
    fn unsafe_is_caught_in_tests_too_and_the_rest_is_not() {
        assert_eq!(
            complaints("#[cfg(test)] mod tests { fn f() { unsafe { g() } } }"),
            1
        );
        assert_eq!(complaints("#[cfg(test)] mod tests { use std::thread; }"), 0);
    }

    #[test]
    fn a_runtime_among_the_dependencies_is_caught() {
        let tree = "porthouse-puddle v0.1.0 (/somewhere)\ntungstenite v0.30.0\ntokio-util v0.7.0\nmio v1.0.0\nmio v1.0.0 (*)\n";
        assert_eq!(impure_dependencies("porthouse-puddle", tree).len(), 2);
        assert!(impure_dependencies("porthouse-puddle", "miow v1\nhyperloglog v1\n").is_empty());
    }
}
