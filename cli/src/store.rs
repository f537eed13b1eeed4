//! Where the store of durable rooms is. Shared by the commands that run a node.

use std::path::PathBuf;

use porthouse_node::NatsSettings;

/// The flags of the store.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// The NATS server whose streams keep durable rooms; without it they are refused
    #[arg(
        long,
        value_name = "URL",
        env = "PORTHOUSE_NATS_URL",
        value_parser = server
    )]
    nats_url: Option<NatsSettings>,
    /// The file with the credentials of its account
    #[arg(
        long,
        value_name = "FILE",
        env = "PORTHOUSE_NATS_CREDENTIALS",
        requires = "nats_url"
    )]
    nats_credentials: Option<PathBuf>,
}

impl Arguments {
    /// The store, if there is one.
    pub(crate) fn settings(&self) -> Option<NatsSettings> {
        self.nats_url.clone().map(|server| NatsSettings {
            credentials_file: self.nats_credentials.clone(),
            ..server
        })
    }
}

fn server(text: &str) -> Result<NatsSettings, &'static str> {
    NatsSettings::at(text)
        .ok_or("it looks like nats://127.0.0.1:4222; credentials are given by --nats-credentials")
}
