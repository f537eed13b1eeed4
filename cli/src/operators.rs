//! Where operators are answered: one setting, for every command that serves. Owns the
//! flag and the listener's start; shows nothing itself.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context;
use porthouse_process::operators::{self, Operators, Plane, Shown};
use porthouse_process::spans::Tracer;

/// Where operators ask.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Where operators ask for `/metrics`, `/live` and `/ready`; nowhere unless set
    #[arg(long, value_name = "ADDRESS", env = "PORTHOUSE_OPERATORS")]
    operators: Option<SocketAddr>,
}

impl Arguments {
    /// Where, if anywhere.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        self.operators
    }

    /// Binds the listener, if there is to be one.
    pub(crate) fn listen(&self) -> anyhow::Result<Option<TcpListener>> {
        let bind = |address| {
            TcpListener::bind(address).with_context(|| {
                format!("cannot listen on {address}: choose another by --operators")
            })
        };
        self.operators.map(bind).transpose()
    }
}

/// Shows planes where operators ask, if they do, until the answer is dropped.
pub(crate) fn show(
    listener: Option<TcpListener>,
    planes: Vec<Arc<dyn Plane>>,
    spans: Tracer,
) -> anyhow::Result<Option<Operators>> {
    let show = |listener| operators::start(listener, Shown { planes, spans });
    let shown = listener.map(show).transpose();
    shown.context("the system gives no thread to answer operators")
}
