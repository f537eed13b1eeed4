//! `porthouse migrate`: brings a database to what this version needs.

use crate::database;

/// Bring a database to what this version needs; nothing to do is fine
///
/// Replicas may run it at once: they take turns. It only goes forward.
#[derive(Debug, clap::Args)]
#[command(after_help = database::HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    database: database::Arguments,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let url = arguments.database.url()?;
    let applied = porthouse_control::migrate(url.reveal()).await?;
    println!("{applied} migrations applied");
    Ok(())
}
