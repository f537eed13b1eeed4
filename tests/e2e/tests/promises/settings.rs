//! A process is told its settings by flag, environment or file, in this order,
//! and says what is wrong with a file before it does anything.

use std::path::{Path, PathBuf};

use porthouse_e2e::house::place;
use porthouse_e2e::program::{Process, Stream, command};
use rustix::process::Signal;

/// A file of settings in a directory.
fn written(directory: &Path, text: &str) -> PathBuf {
    let file = directory.join("porthouse.toml");
    std::fs::write(&file, text).expect("room");
    file
}

#[tokio::test]
async fn a_flag_counts_more_than_the_environment_and_that_more_than_a_file() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    // Nobody has this address, so that a house stands only if the flag counts.
    let text = format!(
        "data_dir = {:?}\ngrpc = \"192.0.2.1:1\"\nws = \"127.0.0.1:0\"\npuddles = 1\n",
        at("of the file")
    );
    let file = written(place.path(), &text);
    let mut dev = command(["dev", "--grpc", "127.0.0.1:0", "--config"]);
    dev.arg(file)
        .env("PORTHOUSE_DATA_DIR", at("of the environment"));
    let mut process = Process::start("porthouse dev", dev, None);
    process
        .line("the welcome", |stream, line| {
            (stream == Stream::Out && line == "Porthouse is ready.").then_some(())
        })
        .await;
    assert!(at("of the environment").join("dev.json").exists());
    assert!(!at("of the file").exists());
    process.signal(Signal::TERM);
    assert!(process.exit().await.success());
}

#[tokio::test]
async fn a_wrong_file_is_refused_by_its_line_before_anything_starts() {
    let place = place();
    let file = written(place.path(), "puddles = 1\n\ndata_dri = \"data\"\n");
    let mut dev = command(["dev"]);
    dev.env("PORTHOUSE_CONFIG", &file);
    let mut process = Process::start("porthouse dev", dev, None);
    assert_eq!(process.exit().await.code(), Some(1));
    assert_eq!(
        process.output(Stream::Err),
        format!(
            "porthouse: {}:3: there is no setting \"data_dri\"; did you mean data_dir?",
            file.display()
        )
    );
}

#[tokio::test]
async fn what_holds_is_said_with_where_it_is_from_and_without_secrets() {
    let place = place();
    let file = written(place.path(), "puddles = 3\napi_key = \"phk_swordfish\"\n");
    let mut check = command(["config", "check", "node", "--config"]);
    check
        .arg(&file)
        .env("PORTHOUSE_NODE_NAME", "east")
        .env("PORTHOUSE_LOG", "info");
    let mut process = Process::start("porthouse config check", check, None);
    assert!(process.exit().await.success());
    let said = process.output(Stream::Out);
    let rows: Vec<String> = said
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let place = file.display();
    for row in [
        format!("puddles 3 {place}:1"),
        format!("api_key (hidden) {place}:2"),
        "node_name east PORTHOUSE_NODE_NAME".to_owned(),
        "ws 127.0.0.1:7480 default".to_owned(),
    ] {
        assert!(rows.contains(&row), "{row:?} is not in:\n{said}");
    }
    assert!(!said.contains("swordfish"));
}

#[tokio::test]
async fn a_check_says_what_the_command_itself_says() {
    let place = place();
    let file = written(place.path(), "hash_memory_kib = 8\n");
    let said = async |words: &[&str]| {
        let mut command = command(words.iter().copied());
        command.arg("--config").arg(&file);
        let mut process = Process::start("porthouse", command, None);
        assert_eq!(process.exit().await.code(), Some(1));
        process.output(Stream::Err)
    };
    let started = said(&["control", "--grpc", "127.0.0.1:0"]).await;
    let refused = "refused: --hash-memory-kib 8 --hash-passes 2 --hash-lanes 1";
    assert!(started.contains(refused), "{started}");
    for check in [&["config", "check", "control"][..], &["config", "check"]] {
        let checked = said(check).await;
        assert!(
            checked.contains("`porthouse control` would not start"),
            "{checked}"
        );
        assert!(checked.contains(refused), "{checked}");
    }
}

#[tokio::test]
async fn what_is_not_given_here_is_missing_of_the_command_that_is_named() {
    let place = place();
    let file = written(place.path(), "");
    let check = |words: &[&str]| {
        let mut check = command(words.iter().copied());
        check.arg("--config").arg(&file);
        Process::start("porthouse config check", check, None)
    };
    let mut all = check(&["config", "check"]);
    assert!(all.exit().await.success());
    let said = all.output(Stream::Out);
    assert!(
        said.contains("  would not start here: the node has no API key"),
        "{said}"
    );
    assert!(
        said.contains("  would not start here: no database is given"),
        "{said}"
    );
    let mut node = check(&["config", "check", "node"]);
    assert_eq!(node.exit().await.code(), Some(1));
    let said = node.output(Stream::Err);
    assert!(said.contains("`porthouse node` would not start"), "{said}");
    assert!(said.contains("PORTHOUSE_API_KEY"), "{said}");
}
