//! One client process: brings sockets into rooms, says how they came in, and does
//! what it is ordered, a line each, until nobody is there any more who orders. It
//! ends by itself when it takes too long.

use std::io::{self, BufRead as _, Write as _};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use porthouse_load::closing::{self, Traffic};
use porthouse_load::crowd::Crowd;
use porthouse_load::latency::Latency;
use porthouse_load::raw::Raw;
use porthouse_load::speech::{Part, Who};
use porthouse_load::talk::{self, Pace, Plan, everybody};
use porthouse_load::target::Target;
use porthouse_load::{cores, opening};
use serde::{Deserialize, Serialize};

/// A message's payload.
const PAYLOAD_BYTES: usize = 128;
/// The longest that a client lives.
const LIFE_MAX: Duration = Duration::from_secs(170);

/// Who comes, where.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Client {
    /// Where the server takes sockets.
    #[arg(long)]
    pub(super) at: SocketAddr,
    /// The room, or how the rooms' names begin.
    #[arg(long)]
    pub(super) room: String,
    /// How many rooms.
    #[arg(long)]
    pub(super) rooms: usize,
    /// Who listens in each.
    #[arg(long)]
    pub(super) listeners: usize,
    /// In each one speaks, too.
    #[arg(long)]
    pub(super) spoken: bool,
    /// It comes from 127.0.N.x, where N is this.
    #[arg(long)]
    pub(super) loopback: u8,
    /// Sockets that come in at one time.
    #[arg(long)]
    pub(super) at_once: usize,
    /// Others of this machine go before it.
    #[arg(long)]
    pub(super) gives_way: bool,
}

/// What a client is ordered.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// So many messages a second.
    Talk { rate: f64, seconds: u64 },
    /// So many messages under way in each room.
    Crowd { window: usize, seconds: u64 },
    /// Nothing, for a time.
    Stay { seconds: u64 },
}

/// How its sockets came in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Arrived {
    pub(crate) inside: u64,
    pub(crate) refused: u64,
    pub(crate) first_refusal: Option<String>,
    pub(crate) took_s: f64,
    pub(crate) longest_ms: f64,
}

/// What came of what was said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Talked {
    /// Deliveries a second.
    pub(crate) rate: f64,
    pub(crate) p99_ms: f64,
    pub(crate) longest_ms: f64,
}

/// Runs one.
pub(crate) fn run(wanted: &Client) -> anyhow::Result<()> {
    let end = Instant::now() + LIFE_MAX;
    if wanted.gives_way {
        cores::give_way()?;
    }
    let mut watch = |_| {
        if Instant::now() < end {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let speech = if wanted.rooms == 1 {
        Raw::in_room(&wanted.room)
    } else {
        Raw::in_rooms(&wanted.room)
    };
    let mut target = Target::at(wanted.at);
    target.loopback = wanted.loopback;
    let seats = wanted.seats();
    let (mut crowd, opened) = opening::open(&target, speech, &seats, wanted.at_once, &mut watch)?;
    tell(&Arrived {
        inside: opened.inside,
        refused: opened.refused,
        first_refusal: opened.first_refusal,
        took_s: opened.took.as_secs_f64(),
        longest_ms: milliseconds(opened.latency.longest()),
    })?;
    for line in io::stdin().lock().lines() {
        match serde_json::from_str::<Order>(&line?)? {
            Order::Talk { rate, seconds } => {
                tell(&talked(&mut crowd, Pace::Rate(rate), seconds, &mut watch)?)?;
            }
            Order::Crowd { window, seconds } => {
                tell(&talked(
                    &mut crowd,
                    Pace::Window(window),
                    seconds,
                    &mut watch,
                )?)?;
            }
            Order::Stay { seconds } => {
                let quiet = Traffic {
                    rate: 0.0,
                    payload_bytes: 0,
                };
                let time = Duration::from_secs(seconds);
                let seen = closing::watch(&mut crowd, quiet, time, &mut watch)?;
                tell(&(seen.closed.len() as u64))?;
            }
        }
    }
    Ok(())
}

impl Client {
    fn seats(&self) -> Vec<Who> {
        let mut seats = everybody(self.rooms, self.listeners, 0);
        seats.retain(|who| self.spoken || who.part != Part::Speaks);
        seats
    }
}

fn talked(
    crowd: &mut Crowd<Raw>,
    pace: Pace,
    seconds: u64,
    watch: porthouse_load::Watch<'_>,
) -> anyhow::Result<Talked> {
    let plan = Plan {
        pace,
        span: Duration::from_secs(seconds),
        payload_bytes: PAYLOAD_BYTES,
    };
    let outcome = talk::talk(crowd, &plan, |_| Ok(()), watch)?;
    let latency: &Latency = &outcome.latency;
    Ok(Talked {
        rate: outcome.rate(),
        p99_ms: milliseconds(latency.percentile(99.0)),
        longest_ms: milliseconds(latency.longest()),
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A line to who leads.
fn tell(what: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_who_are_wanted_come() {
        let client = |spoken| Client {
            at: ([127, 0, 0, 1], 1).into(),
            room: "two".to_owned(),
            rooms: 3,
            listeners: 2,
            spoken,
            loopback: 0,
            at_once: 1,
            gives_way: false,
        };
        assert_eq!(client(true).seats().len(), 9);
        assert_eq!(client(false).seats().len(), 6);
    }

    #[test]
    fn an_order_is_a_line() {
        let order = Order::Talk {
            rate: 5.0,
            seconds: 3,
        };
        let line = serde_json::to_string(&order).expect("JSON");
        assert_eq!(line, r#"{"Talk":{"rate":5.0,"seconds":3}}"#);
        assert!(serde_json::from_str::<Order>(&line).is_ok());
    }
}
