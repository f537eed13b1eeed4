//! What docs/admin.md says can be typed, typed: each block of `sh` into one
//! shell, in order, and the lines of the `text` after it looked for in what came.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use porthouse_e2e::house::Ground;
use porthouse_e2e::planes::Planes;
use porthouse_e2e::program::binary;
use tokio::process::Command;

const DOCUMENT: &str = include_str!("../../../../docs/admin.md");
/// Said by the shell after a block.
const END: &str = "@@ end of a block";

/// How long all of it may take on a loaded machine: some seventy processes, one after the other.
const TYPING_TIME_MAX: Duration = Duration::from_mins(3);

/// A block of commands, and lines that come of it.
#[derive(Debug, Default)]
struct Block {
    commands: String,
    answers: Vec<String>,
}

#[tokio::test]
async fn what_the_admin_document_says_can_be_typed_and_answers_so() {
    let blocks = blocks(DOCUMENT);
    assert!(blocks.len() > 10, "the document has lost its commands");
    let ground = Ground::new(None);
    let house = ground.house().await;
    // Where `./dev` would be run.
    let place = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(house.data(), place.path().join(".porthouse")).expect("a link");
    let database = Planes::empty(&house, "fresh", "porthouse_service").await;
    let said = typed(&blocks, place.path(), &database).await;
    for (block, said) in blocks.iter().zip(said.split(END)) {
        let mut rest = said;
        for line in &block.answers {
            rest = after(rest, line)
                .unwrap_or_else(|| panic!("{line:?} did not come of {block:#?}:\n{said}"));
        }
    }
    house.close().await;
}

/// What one shell says to all of it.
async fn typed(blocks: &[Block], place: &Path, database: &str) -> String {
    let script: Vec<String> = blocks
        .iter()
        .map(|block| format!("{}echo '{END}'\n", block.commands))
        .collect();
    let here = binary();
    let programs = here.parent().expect("a program is in a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let shell = Command::new("bash")
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("DATABASE_URL", database)
        .args(["-euo", "pipefail", "-c", &script.concat()])
        .current_dir(place)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let typed = tokio::time::timeout(TYPING_TIME_MAX, shell).await;
    let output = typed.expect("the shell ends").expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}, said after it said (`buf` comes by scripts/setup, into .tools/bin):\n{said}\n{errors}",
        output.status
    );
    said
}

/// What follows a line in a text; `…` in it is anything.
fn after<'a>(text: &'a str, line: &str) -> Option<&'a str> {
    let mut parts = line.split('…');
    let first = parts.next()?;
    let at = text.find(first)? + first.len();
    parts.try_fold(&text[at..], |rest, part| {
        rest.find(part).map(|at| &rest[at + part.len()..])
    })
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut kind = None;
    for line in document.lines() {
        match (kind, line) {
            (None, line) => {
                kind = line.strip_prefix("```");
                if kind == Some("sh") {
                    blocks.push(Block::default());
                }
            }
            (Some(_), "```") => kind = None,
            (Some(kind), line) => {
                let block = blocks.last_mut().expect("commands come first");
                match kind {
                    "sh" => {
                        block.commands.push_str(line);
                        block.commands.push('\n');
                    }
                    "text" => block.answers.push(line.to_owned()),
                    kind => panic!("a block of {kind:?} is neither typed nor compared"),
                }
            }
        }
    }
    blocks
}
