//! What it costs to be watched: spans to a collector, a scrape a second, a black
//! box, all at once. Owns the collector and who scrapes; never reads what they get.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use porthouse_load::cores;
use porthouse_load::raw::Raw;
use porthouse_load::talk::everybody;
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::Within;
use super::cost::calm;
use super::side::{SOCKETS, Side};
use crate::budget::Budget;
use crate::node::{Node, free_address};
use crate::owner::Owner;
use crate::record::{Record, Row};

/// How many spans are taken: far more than anybody takes of a busy node.
const RATIO: &str = "0.1";
/// Between two scrapes.
const SCRAPE: Duration = Duration::from_secs(1);

pub(super) fn instrumented(wanted: &Within, record: &mut Record) -> anyhow::Result<()> {
    let collector = Collector::start()?;
    let boxes = tempfile::tempdir()?;
    let operators = free_address()?.to_string();
    let endpoint = format!("http://{}", collector.address);
    let directory = boxes.path().to_string_lossy();
    let flags = [
        ["--spans-ratio", RATIO],
        ["--spans-endpoint", &endpoint],
        ["--operators", &operators],
        ["--black-box-bytes", "67108864"],
        ["--black-box-directory", &directory],
    ];
    let house = wanted.house()?;
    let key = Owner::of(&house)?.node_key()?;
    let watched = wanted.node(&house, ("watched", &key), &flags.concat())?;
    let plain = wanted.node(&house, ("plain", &key), &[])?;
    let sockets = wanted.sockets(SOCKETS);
    let seats = everybody(1, sockets, 0);
    let at = |node: &Node| (node.ws(), node.process());
    let ours = Side::open_at(at(&watched), Raw::in_room("room"), &seats)?;
    let theirs = Side::open_at(at(&plain), Raw::in_room("room"), &seats)?;
    let scraper = Scraper::start(operators.parse()?);
    let pairs = calm(wanted, (ours, sockets), (theirs, sockets))?;
    let times = scraper.stop()?;
    let what = format!("cost a delivery, all instruments to none, {sockets} sockets");
    let note = format!("{RATIO} of all spans, {times} scrapes, a black box of 64 MiB");
    let row = Row::new("instrumented", &what, "us", &pairs).noting(vec![note]);
    record.row(row.within(Some(Budget::ratio_up_to(1.05, 1.01))));
    Ok(())
}

/// A collector of spans that keeps none of them; ends with this value.
struct Collector {
    address: SocketAddr,
    _runtime: Runtime,
}

struct Forgets;

#[tonic::async_trait]
impl TraceService for Forgets {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    fn start() -> anyhow::Result<Self> {
        // Its thread inherits the client's core.
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let server = Server::builder().add_service(TraceServiceServer::new(Forgets));
        runtime.spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Ok(Self {
            address,
            _runtime: runtime,
        })
    }
}

/// Who scrapes, on a thread of its own that gives way to the client's.
struct Scraper {
    over: SyncSender<()>,
    thread: JoinHandle<anyhow::Result<u64>>,
}

impl Scraper {
    fn start(operators: SocketAddr) -> Self {
        let (over, until) = sync_channel(1);
        let thread = thread::spawn(move || scrape(operators, &until));
        Self { over, thread }
    }

    /// It ends; answers how often it scraped.
    fn stop(self) -> anyhow::Result<u64> {
        drop(self.over);
        match self.thread.join() {
            Ok(scraped) => scraped,
            Err(_) => bail!("the thread that scrapes broke"),
        }
    }
}

fn scrape(operators: SocketAddr, until: &Receiver<()>) -> anyhow::Result<u64> {
    cores::give_way()?;
    let mut scrapes = 0;
    loop {
        let mut stream = TcpStream::connect(operators).context("the operators' listener")?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "no metrics: {answer}");
        scrapes += 1;
        if until.recv_timeout(SCRAPE) == Err(RecvTimeoutError::Disconnected) {
            return Ok(scrapes);
        }
    }
}
