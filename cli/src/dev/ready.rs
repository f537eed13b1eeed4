//! What a ready `dev` tells: a file for programs, a screen for people.
//!
//! Owns `dev.json`, which is there exactly while everything answers, and the
//! lines to try next. Both hold the admin key: the file is for its owner alone,
//! and the screen is the one who started us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

use super::directory::Directory;
use crate::secret::Secret;

/// The file that says where everything is.
const FILE: &str = "dev.json";

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Where gRPC is served: control.v1 and live.v1.
    pub(crate) grpc: SocketAddr,
    /// Where sockets arrive.
    pub(crate) ws: SocketAddr,
    /// Where operators ask, if they do.
    pub(crate) operators: Option<SocketAddr>,
    /// May do everything.
    pub(crate) admin_key: Secret,
}

/// The file, in the order in which people read it.
#[derive(Serialize)]
struct Places<'a> {
    grpc: String,
    ws: String,
    http: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    operators: Option<String>,
    admin_key: &'a str,
}

impl Ready {
    /// Writes the file.
    pub(crate) fn announce(&self, directory: &Directory) -> anyhow::Result<()> {
        directory.write(FILE, &self.json())
    }

    /// Removes the file, also that of a run that was killed.
    pub(crate) fn withdraw(directory: &Directory) -> anyhow::Result<()> {
        directory.remove(FILE)
    }

    /// Where the node asks its control plane.
    pub(crate) fn control(grpc: SocketAddr) -> String {
        format!("http://{}", reached_at(grpc))
    }

    fn json(&self) -> String {
        let (grpc, ws, admin_key) = self.shown();
        let operators = self.operators.map(reached_at);
        let places = Places {
            grpc: grpc.to_string(),
            ws: format!("ws://{ws}"),
            http: format!("http://{ws}"),
            operators: operators.map(|operators| format!("http://{operators}")),
            admin_key,
        };
        serde_json::to_string_pretty(&places).expect("text is always JSON") + "\n"
    }

    fn shown(&self) -> (SocketAddr, SocketAddr, &str) {
        (
            reached_at(self.grpc),
            reached_at(self.ws),
            self.admin_key.reveal(),
        )
    }

    /// What to try next. Every line works as printed.
    pub(crate) fn welcome(&self) -> String {
        let (grpc, ws, admin_key) = self.shown();
        format!(
            "\n\
             Porthouse is ready.\n\
             \n\
             \x20 sockets    ws://{ws}\n\
             \x20 gRPC       {grpc}\n\
             \x20 admin key  {admin_key}\n\
             \n\
             Meet in a room, from two terminals or more:\n\
             \n\
             \x20 websocat ws://{ws}/lobby\n\
             \x20 npx --yes wscat --connect ws://{ws}/lobby\n\
             \n\
             Make a room that lasts, with either of:\n\
             \n\
             \x20 npx --yes @bufbuild/buf curl --protocol grpc --http2-prior-knowledge \\\n\
             \x20   --header 'authorization: Bearer {admin_key}' --data '{{\"room_id\":\"den\"}}' \\\n\
             \x20   http://{grpc}/porthouse.control.v1.RoomService/CreateRoom\n\
             \x20 grpcurl -plaintext -H 'authorization: Bearer {admin_key}' -d '{{\"room_id\":\"den\"}}' \\\n\
             \x20   {grpc} porthouse.control.v1.RoomService/CreateRoom\n\
             \n\
             Ctrl-C stops it; the next start finds its data again.\n"
        )
    }
}

/// Where a listener of ours is reached from this machine: one on every address
/// is on the loopback too.
fn reached_at(listener: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = match listener.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    };
    SocketAddr::new(loopback, listener.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Ready {
        Ready {
            grpc: "127.0.0.1:7440".parse().expect("an address"),
            ws: "127.0.0.1:7480".parse().expect("an address"),
            operators: Some("0.0.0.0:7490".parse().expect("an address")),
            admin_key: Secret::from("phk_example".to_owned()),
        }
    }

    #[test]
    fn a_program_finds_every_address_and_the_key() {
        let json: serde_json::Value = serde_json::from_str(&ready().json()).expect("JSON");
        assert_eq!(json["grpc"], "127.0.0.1:7440");
        assert_eq!(json["ws"], "ws://127.0.0.1:7480");
        assert_eq!(json["http"], "http://127.0.0.1:7480");
        assert_eq!(json["operators"], "http://127.0.0.1:7490");
        assert_eq!(json["admin_key"], "phk_example");
    }

    #[test]
    fn a_listener_on_every_address_is_shown_on_one_that_can_be_dialled() {
        let everywhere = "[::]:7440".parse().expect("an address");
        assert_eq!(Ready::control(everywhere), "http://[::1]:7440");
    }

    #[test]
    fn a_person_is_given_whole_commands() {
        let welcome = ready().welcome();
        assert!(welcome.contains("  websocat ws://127.0.0.1:7480/lobby\n"));
        assert!(welcome.contains("'authorization: Bearer phk_example'"));
        assert!(welcome.contains(r#"--data '{"room_id":"den"}'"#));
    }
}
