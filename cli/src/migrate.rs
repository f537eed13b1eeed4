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
    /// Then give this role of the database what a replica needs, without the right
    /// to change or delete what is in the audit log and the policy log
    #[arg(long, value_name = "ROLE", env = "PORTHOUSE_SERVICE_ROLE")]
    service_role: Option<String>,
}

impl Arguments {
    /// Whether it would begin; asks no database.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.database.url().map(drop)
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let url = arguments.database.url()?;
    let applied = porthouse_control::migrate(url.reveal()).await?;
    println!("{applied} migrations applied");
    if let Some(role) = &arguments.service_role {
        porthouse_control::grant(url.reveal(), role).await?;
        println!("{role} may do what a replica does");
    }
    Ok(())
}
