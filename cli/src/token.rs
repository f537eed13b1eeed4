//! `porthouse token`: signs a user in and prints the session's token, and nothing
//! else, so that it can be taken up by a shell.
//!
//! Owns how a password and a code come in from a person: by the environment, by a
//! pipe, or typed without being shown. Never as a flag.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use porthouse_api::control::v1 as wire;
use wire::session_service_client::SessionServiceClient;

use crate::caller;
use crate::secret::Secret;

/// Where the password may be.
const PASSWORD: &str = "PORTHOUSE_USER_PASSWORD";
/// Where the code may be.
const CODE: &str = "PORTHOUSE_USER_CODE";

/// Sign a user in, and print the session's token
///
/// The password is asked for, and a code where the user has a second factor.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Without a terminal the password is the first line of standard input, and a code the second; or they
are in PORTHOUSE_USER_PASSWORD and PORTHOUSE_USER_CODE. A flag would show in the process list.

{}", caller::HELP))]
pub(crate) struct Arguments {
    /// Who: the user's name, with or without users/
    user: String,
    #[command(flatten)]
    control: caller::Arguments,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut sessions = SessionServiceClient::new(arguments.control.caller()?);
    let password = told(PASSWORD, "password")?;
    let request = wire::CreateSessionRequest {
        username: arguments.user.trim_start_matches("users/").to_owned(),
        password: password.reveal().to_owned(),
        user_agent: "porthouse token".to_owned(),
        ..wire::CreateSessionRequest::default()
    };
    let opened = sessions.create_session(request).await;
    let opened = opened.map_err(|status| arguments.control.told(&status))?;
    let opened = opened.into_inner();
    let Some(challenge) = opened.second_factor_challenge else {
        println!("{}", opened.token);
        return Ok(());
    };
    let request = wire::CompleteSessionRequest {
        challenge: challenge.challenge,
        code: told(CODE, "code")?.reveal().to_owned(),
    };
    let completed = sessions.complete_session(request).await;
    let completed = completed.map_err(|status| arguments.control.told(&status))?;
    println!("{}", completed.into_inner().token);
    Ok(())
}

/// A secret of a person: from the environment, typed, or the next line that is
/// piped in.
fn told(variable: &str, what: &str) -> anyhow::Result<Secret> {
    if let Ok(given) = std::env::var(variable) {
        ensure!(!given.is_empty(), "{variable} is empty");
        return Ok(Secret::from(given));
    }
    let input = std::io::stdin();
    let line = if input.is_terminal() {
        eprint!("{what}: ");
        std::io::stderr().flush()?;
        let hidden = Hidden::begin()?;
        let line = line(&input);
        drop(hidden);
        eprintln!();
        line
    } else {
        line(&input)
    };
    let line = line.with_context(|| format!("no {what} was given: type it, or set {variable}"))?;
    Ok(Secret::from(line))
}

fn line(input: &std::io::Stdin) -> anyhow::Result<String> {
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        bail!("the line is empty");
    }
    Ok(line.to_owned())
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Hidden;

impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        let hidden = terminal("-echo");
        ensure!(hidden, "this terminal would show what is typed: pipe it in");
        Ok(Self)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        terminal("echo");
    }
}

/// POSIX gives every system with a terminal this program.
fn terminal(setting: &str) -> bool {
    let mut set = Command::new("stty");
    let set = set.arg(setting).stdin(Stdio::inherit()).status();
    set.is_ok_and(|status| status.success())
}
