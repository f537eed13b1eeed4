//! The simulator's command line: one seed again, many seeds in a stretch of time, or a planted
//! bug. Reads the clock to measure, and for nothing else.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use porthouse_puddle::{Dump, End, ResumeKeys};
use porthouse_sim::{Ending, Options, Plant, Report, Returns, Verdict, again, run};

const USAGE: &str = "\
usage: cargo sim SEED [--trace] [--twice] [--resume] [--plant BUG]
                                                           one seed again
       cargo sim ci [--seeds N] [--seconds N] [--from SEED]
                                                          as many seeds as fit
       cargo sim plant BUG [--seeds N] [--from SEED]      until the bug is caught
       cargo sim --replay FILE [--trace] [--resume-key-file FILE]
                                                          a node's black box again
       cargo sim resume [--times N] [--seeds N] [--seconds N] [--from SEED]
                                                          until so many connections were lost

exit status: 0 passed, 1 a planted bug was not caught, or too few who came back were told
             that nothing is missing, 2 usage, 10 crash,
             11 a promise of safety is broken, 12 a promise of liveness is broken;
             of a black box: 0 it went as then, into the same panic too, 1 otherwise or not to be
             said, 2 it is none that can be read";

/// The run shows nothing.
const UNPROVEN: u8 = 1;
const BAD_USAGE: u8 = 2;
const CRASH: u8 = 10;
const CORRECTNESS: u8 = 11;
const LIVENESS: u8 = 12;

/// Where CI's seeds start: each run of the same version draws the same.
const FIRST_SEED: u64 = 1;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["ci", rest @ ..] => ci(rest),
        ["plant", bug, rest @ ..] => plant(bug, rest),
        ["resume", rest @ ..] => resume(rest),
        ["--replay", file, rest @ ..] => open(file, rest),
        [seed, rest @ ..] => seed.parse().ok().and_then(|seed| replay(seed, rest)),
        [] => None,
    };
    ExitCode::from(outcome.unwrap_or_else(|| {
        eprintln!("{USAGE}\n\nbugs:");
        for (name, _) in Plant::ALL {
            eprintln!("  {name}");
        }
        BAD_USAGE
    }))
}

/// The number after an option, or what it is without.
fn option(words: &[&str], name: &str, otherwise: u64) -> Option<u64> {
    match words.iter().position(|word| *word == name) {
        Some(at) => words.get(at + 1)?.parse().ok(),
        None => Some(otherwise),
    }
}

fn replay(seed: u64, words: &[&str]) -> Option<u8> {
    let planted = words.iter().position(|word| *word == "--plant");
    let plant = match planted {
        Some(at) => Some(Plant::named(words.get(at + 1)?)?),
        None => None,
    };
    let options = Options {
        plant,
        tracing: words.contains(&"--trace"),
        coming_and_going: words.contains(&"--resume"),
        black_box_bytes: 0,
    };
    let began = Instant::now();
    let report = run(seed, options);
    println!("seed {seed}: {}", told(&report));
    println!(
        "hash {:016x}, {}",
        report.hash,
        pace(report.events, began.elapsed())
    );
    if words.contains(&"--twice") {
        let again = run(
            seed,
            Options {
                tracing: false,
                ..options
            },
        );
        println!("hash {:016x}, again", again.hash);
        if again != report {
            println!("one seed has two courses");
            return Some(CORRECTNESS);
        }
    }
    Some(status(&report.verdict))
}

/// A black box again.
fn open(file: &str, words: &[&str]) -> Option<u8> {
    let mut dump = match std::fs::read(file).map(|bytes| Dump::read(&bytes)) {
        Ok(Ok(dump)) => dump,
        Ok(Err(error)) => return Some(refuse(file, &error)),
        Err(error) => return Some(refuse(file, &error)),
    };
    let mut keys = ResumeKeys::default();
    if let Some(at) = words.iter().position(|word| *word == "--resume-key-file") {
        let of = words.get(at + 1)?;
        keys = match std::fs::read_to_string(of).map(|text| ResumeKeys::parse(&text)) {
            Ok(Ok(keys)) => keys,
            Ok(Err(error)) => return Some(refuse(of, &error)),
            Err(error) => return Some(refuse(of, &error)),
        };
    }
    let missing = dump.unlock(&keys);
    let (puddle, puddles) = dump.puddle();
    println!(
        "{file}: puddle {puddle} of {puddles}, written by {}: {}",
        dump.version,
        match &dump.end {
            End::Asked => "somebody asked for it".to_owned(),
            End::Panicked(said) => format!("it panicked: {said}"),
        }
    );
    if missing > 0 {
        println!(
            "{missing} of its resume keys are not in it: without --resume-key-file it goes otherwise \
             where a token is sealed or opened"
        );
    }
    if dump.version != env!("CARGO_PKG_VERSION") {
        println!("this is {}: it may go otherwise", env!("CARGO_PKG_VERSION"));
    }
    let traces = words.contains(&"--trace");
    let done = again(dump, &mut |at, input| {
        if traces {
            println!("{:>15} {input}", at.as_nanos());
        }
    });
    println!("{done}");
    match done.ending {
        Ending::Same | Ending::Panicked { as_then: true, .. } => Some(0),
        Ending::Garbled(_) => Some(BAD_USAGE),
        Ending::Differs { .. }
        | Ending::Panicked { as_then: false, .. }
        | Ending::Calm
        | Ending::Shown => Some(UNPROVEN),
    }
}

fn refuse(file: &str, why: &dyn std::error::Error) -> u8 {
    eprintln!("{file}: {why}");
    BAD_USAGE
}

fn ci(words: &[&str]) -> Option<u8> {
    let span = Duration::from_secs(option(words, "--seconds", 180)?);
    let seeds = option(words, "--seeds", u64::MAX)?;
    let first = option(words, "--from", FIRST_SEED)?;
    println!("simulator: seeds from {first} for {} s", span.as_secs());
    let began = Instant::now();
    let (mut seed, mut events, mut failed, mut worst) = (first, 0, 0_u64, 0);
    while seed - first < seeds && began.elapsed() < span {
        let report = run(seed, Options::default());
        events += report.events;
        if report.verdict != Verdict::Passed {
            failed += 1;
            worst = status(&report.verdict);
            println!("seed {seed}: {}\n  again: cargo sim {seed}", told(&report));
        }
        seed += 1;
    }
    println!("{} seeds, {}", seed - first, pace(events, began.elapsed()));
    println!("{} passed, {failed} failed", seed - first - failed);
    Some(worst)
}

/// Worlds in which everybody keeps losing their connection and comes back to go on, until that has
/// happened so often, or for so long.
fn resume(words: &[&str]) -> Option<u8> {
    let times = option(words, "--times", 100_000)?;
    let span = Duration::from_secs(option(words, "--seconds", u64::MAX)?);
    let seeds = option(words, "--seeds", u64::MAX)?;
    let first = option(words, "--from", FIRST_SEED)?;
    let options = Options {
        coming_and_going: true,
        ..Options::default()
    };
    println!("simulator: connections are lost and taken up again, seeds from {first}");
    let began = Instant::now();
    let (mut seed, mut events, mut failed, mut worst) = (first, 0, 0_u64, 0);
    let mut returns = Returns::default();
    while returns.disconnects < times && seed - first < seeds && began.elapsed() < span {
        let report = run(seed, options);
        events += report.events;
        returns += report.returns;
        if report.verdict != Verdict::Passed {
            failed += 1;
            worst = status(&report.verdict);
            println!(
                "seed {seed}: {}\n  again: cargo sim {seed} --resume",
                told(&report)
            );
        }
        seed += 1;
    }
    println!("{returns}");
    println!("{} seeds, {}", seed - first, pace(events, began.elapsed()));
    println!("{} passed, {failed} failed", seed - first - failed);
    if failed == 0 && !returns.prove_something() {
        println!("too few were told that nothing is missing: what they heard proves nothing");
        return Some(UNPROVEN);
    }
    Some(worst)
}

fn plant(bug: &str, words: &[&str]) -> Option<u8> {
    let plant = Some(Plant::named(bug)?);
    let seeds = option(words, "--seeds", 200)?;
    let first = option(words, "--from", FIRST_SEED)?;
    let options = Options {
        plant,
        ..Options::default()
    };
    for seed in first..first + seeds {
        let report = run(seed, options);
        if report.verdict != Verdict::Passed {
            println!("{bug}: caught by seed {seed}, number {}", seed - first + 1);
            println!("  {}", told(&report));
            return Some(0);
        }
    }
    println!("{bug}: not caught in {seeds} seeds from {first}");
    Some(UNPROVEN)
}

fn told(report: &Report) -> String {
    match &report.verdict {
        Verdict::Passed => "passed".to_owned(),
        Verdict::Crash(why) => format!("CRASH: {why}"),
        Verdict::Correctness(why) => format!("CORRECTNESS: {why}"),
        Verdict::Liveness(why) => format!("LIVENESS: {why}"),
    }
}

const fn status(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Passed => 0,
        Verdict::Crash(_) => CRASH,
        Verdict::Correctness(_) => CORRECTNESS,
        Verdict::Liveness(_) => LIVENESS,
    }
}

fn pace(events: u64, span: Duration) -> String {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
    format!(
        "{events} events, {} events/s",
        events.saturating_mul(1_000_000) / micros
    )
}
