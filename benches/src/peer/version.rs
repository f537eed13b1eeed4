//! Which version of a peer is installed: what its program says, or what its
//! package does. Decides nothing by it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Peer, found};

/// A peer's version; what cannot be found out is said to be unknown.
pub(super) fn of(peer: Peer) -> String {
    let told = match peer {
        Peer::Plain => locked("tokio-tungstenite"),
        Peer::Uwebsockets => beginning_with(".tools/benches/python", "socketify-"),
        Peer::Ws => package(".tools/benches/npm/node_modules/ws/package.json"),
        Peer::Nchan => said("nginx", &["-v"]).map(|nginx| match package_of("libnginx-mod-nchan") {
            Some(nchan) => format!("{nginx}, nchan {nchan}"),
            None => nginx,
        }),
        Peer::Nats => said("nats-server", &["--version"]),
        Peer::Mosquitto => said("mosquitto", &["-h"]),
    };
    let node = match peer {
        Peer::Ws => said("node", &["--version"]),
        Peer::Plain | Peer::Uwebsockets | Peer::Nchan | Peer::Nats | Peer::Mosquitto => None,
    };
    let told = told.unwrap_or_else(|| "unknown".to_owned());
    node.map_or_else(|| told.clone(), |node| format!("{told}, node {node}"))
}

/// The first line that a program says.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let told = Command::new(found(program).ok()?)
        .args(arguments)
        .output()
        .ok()?;
    // Some say it as an error.
    let texts = [told.stdout, told.stderr];
    let texts = texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut lines = texts.iter().flat_map(|text| text.lines());
    lines.find(|line| !line.is_empty()).map(str::to_owned)
}

/// Of a crate, as `Cargo.lock` has it.
fn locked(name: &str) -> Option<String> {
    let lock = fs::read_to_string("Cargo.lock").ok()?;
    let after = lock
        .split_once(&format!("name = \"{name}\"\nversion = \""))?
        .1;
    let version = after.split('"').next()?;
    Some(format!("{name} {version}"))
}

/// Of a Python package, by the name of what it installed.
fn beginning_with(directory: &str, beginning: &str) -> Option<String> {
    let entries = fs::read_dir(Path::new(directory)).ok()?;
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let name = names.find(|name| name.starts_with(beginning))?;
    Some(name.trim_end_matches(".dist-info").replace('-', " "))
}

/// Of an npm package.
fn package(path: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    let (name, version) = (json["name"].as_str()?, json["version"].as_str()?);
    Some(format!("{name} {version}"))
}

/// Of a Debian package.
fn package_of(name: &str) -> Option<String> {
    said("dpkg-query", &["-W", "-f=${Version}", name])
}
