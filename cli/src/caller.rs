//! How a person at a terminal calls the control plane: where it is, and the key
//! that opens it. Asks nothing by itself.

use anyhow::{Context, anyhow};
use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::secret::{Given, Named};

/// How long the control plane may take to answer.
const CALL_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// What help says of the key.
pub(crate) const HELP: &str = "\
The API key is given by the environment or a file, because flags show in the process list:
  PORTHOUSE_ADMIN_KEY=phk_...   `porthouse dev` keeps one in .porthouse/admin.key";

/// Where the control plane is, and by which key it is called.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// The control plane that is asked; of several the first
    #[arg(
        long,
        value_name = "URL",
        env = "PORTHOUSE_CONTROL",
        value_delimiter = ',',
        value_parser = crate::node::replica
    )]
    #[arg(default_value = "http://127.0.0.1:7440")]
    control: Vec<String>,
    #[command(flatten)]
    tls: crate::tls::Asking,
    #[command(flatten)]
    key: Given<AdminKey>,
}

/// The key of a person who asks.
pub(crate) struct AdminKey;

impl Named for AdminKey {
    const NAME: &'static str = "admin_key";
    const FILE: &'static str = "admin_key_file";
    const VARIABLES: [&'static str; 2] = ["PORTHOUSE_ADMIN_KEY", "PORTHOUSE_ADMIN_KEY_FILE"];
    const HELP: [&'static str; 2] = [
        "The API key of a person who asks the control plane",
        "Read that API key from a file, not from PORTHOUSE_ADMIN_KEY",
    ];
}

/// A way to the control plane, with the key.
pub(crate) type Caller = InterceptedService<Channel, Key>;

impl Arguments {
    /// The way there. Connects when it is first used.
    pub(crate) fn caller(&self) -> anyhow::Result<Caller> {
        let key = self.key.secret()?;
        let key =
            key.context("there is no API key: set PORTHOUSE_ADMIN_KEY or --admin-key-file")?;
        let bearer = format!("Bearer {}", key.reveal()).parse();
        let mut bearer: MetadataValue<Ascii> = bearer
            .map_err(|_| anyhow!("the API key is none: it begins with phk_ and is one word"))?;
        bearer.set_sensitive(true);
        let control = self.control.first().context("no control plane is named")?;
        let endpoint = Endpoint::from_shared(control.clone());
        let endpoint = endpoint.map_err(|_| anyhow!("--control is no URL"))?;
        let endpoint = self.tls.given()?.applied(endpoint);
        let endpoint = endpoint.context("bad --control-authority-file")?;
        let channel = endpoint.timeout(CALL_TIME_MAX).connect_lazy();
        Ok(InterceptedService::new(channel, Key(bearer)))
    }

    /// What a refused call says to a person.
    pub(crate) fn told(&self, status: &Status) -> anyhow::Error {
        let said = status.message();
        if status.code() == tonic::Code::Unavailable {
            let place = self.control.join(",");
            return anyhow!("the control plane at {place} cannot be asked: {said}");
        }
        anyhow!("{said}")
    }
}

/// Adds the key to each call.
#[derive(Clone)]
pub(crate) struct Key(MetadataValue<Ascii>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let bearer = self.0.clone();
        request.metadata_mut().insert("authorization", bearer);
        Ok(request)
    }
}
