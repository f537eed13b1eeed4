//! `docs/protocol.md` says what the code does: its table of refusals is the
//! model's. Reads that one file; knows nothing of the rest of the document.

use std::fs;
use std::path::Path;

use porthouse_model::{Refused, Retry};

/// The heading of the table.
const HEADING: &str = "| code | rule | HTTP | retry | needed |";

fn row(refused: Refused) -> String {
    let retry = match refused.retry() {
        Retry::Never => "never".to_owned(),
        Retry::Authenticate => "authenticate".to_owned(),
        Retry::AfterMs(ms) => ms.to_string(),
        Retry::Elsewhere => "elsewhere".to_owned(),
    };
    format!(
        "| {} | `{}` | {} | {retry} | {} |",
        refused.code().0,
        refused.rule(),
        refused.http_status(),
        refused.needed()
    )
}

#[test]
fn the_table_of_refusals_is_the_one_that_is_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let document = fs::read_to_string(path).expect("docs/protocol.md is there");
    let (_, table) = document
        .split_once(HEADING)
        .expect("the table has its heading");
    let documented: Vec<_> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let kept: Vec<_> = Refused::ALL.into_iter().map(row).collect();
    assert_eq!(
        documented,
        kept,
        "the table of docs/protocol.md should be:\n{}",
        kept.join("\n")
    );
}
