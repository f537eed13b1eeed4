//! `porthouse token`: signs a user in and prints the session's token, and nothing
//! else, so that it can be taken up by a shell.
//!
//! Owns how a password and a code come in from a person: by the environment, by a
//! pipe, or typed without being shown. Never as a flag.

use anyhow::{Context, bail, ensure};
use porthouse_api::control::v1 as wire;
use porthouse_process::shutdown;
use wire::session_service_client::SessionServiceClient;

use crate::caller;
use crate::secret::Secret;
use crate::typed;

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

/// Runs the command. A signal drops it where it stands, the terminal as it was.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let stop = shutdown::on_signals()?;
    tokio::select! {
        done = sign_in(arguments) => done,
        () = stop.cancelled() => bail!("told to stop: nobody was signed in"),
    }
}

async fn sign_in(arguments: Arguments) -> anyhow::Result<()> {
    let mut sessions = SessionServiceClient::new(arguments.control.caller()?);
    let password = told(PASSWORD, "password").await?;
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
        code: told(CODE, "code").await?.reveal().to_owned(),
    };
    let completed = sessions.complete_session(request).await;
    let completed = completed.map_err(|status| arguments.control.told(&status))?;
    println!("{}", completed.into_inner().token);
    Ok(())
}

/// A secret of a person: from the environment, typed, or the next line that is
/// piped in.
async fn told(variable: &str, what: &str) -> anyhow::Result<Secret> {
    if let Ok(given) = std::env::var(variable) {
        ensure!(!given.is_empty(), "{variable} is empty");
        return Ok(Secret::from(given));
    }
    let line = typed::line(what).await;
    line.with_context(|| format!("no {what} was given: type it, or set {variable}"))
}
