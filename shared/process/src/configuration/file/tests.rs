//! What a file of settings may say, and what is said of one that may not.

use clap::{FromArgMatches as _, Parser, Subcommand};

use super::super::{effective, sample};
use super::*;

/// A program like ours.
#[derive(Debug, Parser)]
#[command(name = "house")]
struct House {
    #[command(flatten)]
    configuration: super::super::Arguments,
    /// What to write
    #[arg(long, env = "PORTHOUSE_DIARY", default_value = "info", global = true)]
    diary: String,
    #[command(subcommand)]
    command: Rooms,
}

#[derive(Debug, Subcommand)]
enum Rooms {
    /// A door
    Door(Door),
}

#[derive(Debug, clap::Args)]
struct Door {
    /// Where it is
    #[arg(long, env = "PORTHOUSE_DOOR_AT", default_value = "127.0.0.1:1")]
    door_at: std::net::SocketAddr,
    /// Who else
    #[arg(long, env = "PORTHOUSE_BELLS", value_delimiter = ',')]
    bells: Vec<String>,
    /// How many
    #[arg(long, env = "PORTHOUSE_KEYS")]
    keys: Option<u8>,
    #[arg(long, env = "PORTHOUSE_WORD", hide_env_values = true, hide = true)]
    word: Option<String>,
    #[arg(long, env = "PORTHOUSE_WORD_FILE")]
    word_file: Option<PathBuf>,
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("room");
    file
}

fn started(text: &str, words: &[&str]) -> Door {
    let file = written(text);
    let program = <House as clap::CommandFactory>::command();
    let read = File::read(file.path(), &program).expect("a right file");
    let matches = read
        .defaults_of(program)
        .try_get_matches_from(words)
        .expect("right flags");
    let house = House::from_arg_matches(&matches).expect("right flags");
    let Rooms::Door(door) = house.command;
    door
}

#[track_caller]
fn refused(text: &str) -> String {
    let file = written(text);
    let program = <House as clap::CommandFactory>::command();
    let said = File::read(file.path(), &program)
        .expect_err("it is refused")
        .to_string();
    let path = file.path().display().to_string();
    said.replace(&path, "FILE")
}

#[test]
fn a_flag_counts_more_than_a_file_and_a_file_more_than_the_default() {
    let text = "door_at = \"127.0.0.1:2\"\nkeys = 4\nbells = [\"a\", \"b\"]\n";
    let door = started(text, &["house", "door", "--keys", "5"]);
    assert_eq!(door.door_at.port(), 2);
    assert_eq!(door.keys, Some(5));
    assert_eq!(door.bells, ["a", "b"]);
    assert_eq!(started("", &["house", "door"]).door_at.port(), 1);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_what_was_meant() {
    assert_eq!(
        refused("keys = 4\n\ndoor_ta = \"127.0.0.1:2\"\n"),
        "FILE:3: there is no setting \"door_ta\"; did you mean door_at?"
    );
    assert_eq!(
        refused("PORTHOUSE_DOOR-AT = 1"),
        "FILE:1: there is no setting \"PORTHOUSE_DOOR-AT\"; did you mean door_at?"
    );
    assert_eq!(
        refused("umbrella = 1"),
        "FILE:1: there is no setting \"umbrella\"; there are door_at, bells, keys, word, \
         word_file, diary"
    );
    assert!(refused("[door]\nkeys = 1").starts_with("FILE:1: there is no setting \"door\""));
}

#[test]
fn a_wrong_value_is_refused_with_its_line_and_why() {
    assert_eq!(
        refused("diary = \"warn\"\ndoor_at = \"here\""),
        "FILE:2: door_at is not right: \"here\": invalid socket address syntax"
    );
    assert_eq!(
        refused("keys = 1.5"),
        "FILE:1: keys is a text, a number or a list of texts, not a float"
    );
    assert_eq!(
        refused("keys = [1, 2]"),
        "FILE:1: keys is not right: \"1,2\": it takes one value"
    );
    assert!(refused("keys = 1\nkeys = 2").starts_with("FILE:2: this is not TOML: duplicate key"));
}

#[test]
fn what_is_refused_shows_no_secret() {
    for text in [
        "word = \"swordfish",
        "word = [\"swordfish\", \"b\"]",
        "word = { a = \"swordfish\" }",
    ] {
        assert!(!refused(text).contains("swordfish"), "{}", refused(text));
    }
    assert_eq!(
        refused("word = \"swordfish\"\nword_file = \"/word\""),
        "FILE:2: word_file and word are both given: keep one"
    );
}

#[test]
fn what_is_no_file_of_settings_is_refused() {
    let program = <House as clap::CommandFactory>::command();
    let missing = File::read(Path::new("/nowhere.toml"), &program).expect_err("not there");
    assert_eq!(
        missing.to_string(),
        "cannot read the settings in /nowhere.toml"
    );
    let long = "#".repeat(usize::try_from(FILE_BYTES_MAX).expect("small") + 1);
    assert!(refused(&long).contains("too long"));
}

#[test]
fn what_holds_is_shown_with_where_it_is_from_and_secrets_are_not() {
    let file = written("# a comment\nkeys = 4\nword = \"swordfish\"\n");
    let (_, holding) = effective::<House>(Some(file.path()), "door").expect("right");
    let said: Vec<String> = holding
        .iter()
        .map(|one| format!("{} {:?} {}", one.name, one.value, one.source))
        .collect();
    let path = file.path().display();
    assert_eq!(
        said,
        [
            "door_at Some(\"127.0.0.1:1\") default".to_owned(),
            "bells None default".to_owned(),
            format!("keys Some(\"4\") {path}:2"),
            format!("word Some(\"(hidden)\") {path}:3"),
            "word_file None default".to_owned(),
            "diary Some(\"info\") default".to_owned(),
        ]
    );
}

#[test]
fn the_sample_is_a_right_file_with_every_default() {
    let program = <House as clap::CommandFactory>::command();
    let sample = sample(&program);
    assert!(
        sample.contains("\n# Where it is (door)\n#door_at = \"127.0.0.1:1\"\n"),
        "{sample}"
    );
    let uncommented: Vec<&str> = sample
        .lines()
        .filter(|line| line.starts_with("#door_at") || line.starts_with("#diary"))
        .map(|line| &line[1..])
        .collect();
    assert_eq!(
        started(&uncommented.join("\n"), &["house", "door"])
            .door_at
            .port(),
        1
    );
}
