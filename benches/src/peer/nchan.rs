//! nchan in nginx: one worker, subscribers and the publisher by WebSocket.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use porthouse_load::frames::{self, BINARY, Frames};
use porthouse_load::speech::{Part, Speech, Who, handshake};
use porthouse_load::target::Target;

use super::{Place, found};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// Its program and configuration. Messages are kept for nobody, as a Porthouse
/// room keeps none.
pub(super) fn command(place: &Place) -> anyhow::Result<Command> {
    ensure!(
        Path::new(MODULE).is_file(),
        "nchan is not installed: scripts/setup benches"
    );
    let directory = place.directory.path();
    let shown = directory.display();
    let address = place.address;
    let text = format!(
        "load_module {MODULE};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
user root;
pid {shown}/pid;
error_log {shown}/log error;
events {{ worker_connections 19000; multi_accept on; }}
http {{
    access_log off;
    tcp_nodelay on;
    client_body_temp_path {shown}/body;
    proxy_temp_path {shown}/proxy;
    fastcgi_temp_path {shown}/fastcgi;
    uwsgi_temp_path {shown}/uwsgi;
    scgi_temp_path {shown}/scgi;
    nchan_shared_memory_size 256M;
    server {{
        listen {address} backlog=4096;
        location = /sub {{
            nchan_subscriber websocket;
            nchan_channel_id bench;
            nchan_subscriber_first_message newest;
        }}
        location = /pub {{
            nchan_publisher websocket;
            nchan_channel_id bench;
            nchan_store_messages off;
        }}
    }}
}}
"
    );
    let configuration = place.configure("nginx.conf", &text)?;
    let mut command = Command::new(found("nginx")?);
    command
        .arg("-c")
        .arg(configuration)
        .arg("-p")
        .arg(directory);
    Ok(command)
}

/// A channel of nchan; who publishes is told of each message, and does not listen.
#[derive(Clone, Copy)]
pub(super) struct Nchan;

impl Speech for Nchan {
    type Meter = Frames;

    fn request(&self, target: &Target, who: Who) -> String {
        let path = if who.part == Part::Speaks {
            "/pub"
        } else {
            "/sub"
        };
        handshake(&target.host, path, "")
    }

    fn greeting(&self, _who: Who) -> Vec<u8> {
        Vec::new()
    }

    fn meter(&self, _who: Who) -> Frames {
        Frames::default()
    }

    fn message(&self, _who: Who, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frames::encode(&mut bytes, BINARY, payload);
        bytes
    }
}
