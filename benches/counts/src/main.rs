//! Instructions of the message path, and the heap of a silent socket, counted by
//! valgrind: a regression is seen without a clock, on a machine however busy.
//!
//! * [`world`]: a puddle, and a far end that takes everything
//! * [`operation`]: what is counted, from outside the puddle as its shell sees it
//! * [`valgrind`]: how often an operation is run, and what one came to
//! * [`crowd`]: rooms of tens of thousands, by the clock
//! * [`record`]: what each came to before, and for which toolchain

mod world;
mod operation;
mod valgrind;
mod crowd;
mod record;

use std::process::ExitCode;

use anyhow::Context as _;

use operation::Operation;
use record::{Recorded, toolchain};

const USAGE: &str = "\
usage: porthouse-counts check    count, and fail where more than 5 % came to be than is recorded
       porthouse-counts record   count, and print what to record
       porthouse-counts run OPERATION ROUNDS
                                 run an operation, for callgrind or a profiler
       porthouse-counts crowd    time a delivery in rooms of up to 50,000, by the clock";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["check"] => check(),
        ["record"] => {
            print!("{}", Recorded::new(toolchain()?, counted()?).text());
            Ok(ExitCode::SUCCESS)
        }
        ["crowd"] => {
            crowd::print();
            Ok(ExitCode::SUCCESS)
        }
        ["run", name, rounds] => {
            let operation = Operation::named(name)
                .with_context(|| format!("there is no operation {name}: {}", Operation::names()))?;
            operation.run(rounds.parse().context("ROUNDS is a number")?);
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{USAGE}\noperations: {}", Operation::names());
            Ok(ExitCode::from(2))
        }
    }
}

fn counted() -> anyhow::Result<Vec<(Operation, f64)>> {
    let count = |operation: Operation| Ok((operation, valgrind::count(operation)?));
    Operation::ALL.into_iter().map(count).collect()
}

fn check() -> anyhow::Result<ExitCode> {
    let recorded = Recorded::read()?;
    let here = toolchain()?;
    let holds = recorded.toolchain == here;
    if !holds {
        println!(
            "recorded with {}, this is {here}: shown, not judged",
            recorded.toolchain
        );
    }
    let mut worse = Vec::new();
    for (operation, now) in counted()? {
        let judged = recorded.judge(operation, now);
        println!("{:14} {now:>9.1}  {judged}", operation.name());
        if judged.is_failure() && holds {
            worse.push(operation.name());
        }
    }
    if worse.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "not within 5 % of what is recorded: {}; if that is meant, renew it:\n    \
         cargo run --profile sim -p porthouse-counts -- record > benches/counts/recorded.txt",
        worse.join(", ")
    );
    Ok(ExitCode::FAILURE)
}
