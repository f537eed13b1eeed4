//! How a node introduces itself when it opens a watch: parsed once, into what
//! cannot be wrong.

use std::time::Duration;

use porthouse_api::node::v1::watch_request::Message;
use porthouse_api::node::v1::{self, WatchRequest, WatchStart};
use porthouse_model::Revision;

use crate::api::CallersKey;
use crate::store::nodes::{Holder, Introduction};
use crate::store::position::Position;

use super::refusal::Refusal;

/// The most addresses a node may listen on.
const LISTENERS_MAX: usize = 64;
/// The longest address, and the longest version.
const TEXT_BYTES_MAX: usize = 255;

/// The longest that a room may deliver without word and be said to have a limit.
/// Longer is without limit, so that no sum of times leaves the calendar.
const DELIVER_MAX: Duration = Duration::from_hours(366 * 24);

/// An introduced node.
#[derive(Debug)]
pub(super) struct Introduced {
    pub(super) holder: Holder,
    pub(super) introduction: Introduction,
    /// Where to go on; `None`: at the head.
    pub(super) from: Option<Position>,
    /// Whether the node answers questions.
    pub(super) answers: bool,
}

/// Reads the first message of a watch that was opened with this key.
pub(super) fn introduced(request: WatchRequest, key: CallersKey) -> Result<Introduced, Refusal> {
    let Some(Message::Start(start)) = request.message else {
        return Err(Refusal::Bad("a watch begins with `start`"));
    };
    let from = start.from.as_ref().map(position).transpose()?;
    Ok(Introduced {
        holder: Holder {
            name: start
                .node
                .parse()
                .map_err(|_| Refusal::Bad("start.node: 1 to 63 of a-z, 0-9 and -"))?,
            incarnation: <[u8; 16]>::try_from(&*start.incarnation)
                .map_err(|_| Refusal::Bad("start.incarnation: 16 bytes"))?,
            key: key.id,
        },
        answers: start.answers,
        introduction: introduction(start, from)?,
        from,
    })
}

fn introduction(start: WatchStart, from: Option<Position>) -> Result<Introduction, Refusal> {
    if start.listeners.len() > LISTENERS_MAX
        || start
            .listeners
            .iter()
            .any(|address| address.len() > TEXT_BYTES_MAX)
    {
        return Err(Refusal::Bad(
            "start.listeners: at most 64, each of at most 255 bytes",
        ));
    }
    if start.version.len() > TEXT_BYTES_MAX {
        return Err(Refusal::Bad("start.version: at most 255 bytes"));
    }
    Ok(Introduction {
        applied: from.map_or(Revision(0), |from| from.revision()),
        deliver_max: deliver_max(start.deliver_max)?,
        puddles: start.puddles,
        version: start.version,
        listeners: start.listeners,
        rules_known: start.rules_known,
    })
}

fn position(position: &v1::Position) -> Result<Position, Refusal> {
    Position::new(position.revision, &position.chain).ok_or(Refusal::Bad(
        "start.from: a revision with its chain of 32 bytes, or neither",
    ))
}

/// How long a room may deliver without word, as a node says it; `None`, without
/// limit, beyond [`DELIVER_MAX`].
pub(super) fn deliver_max(
    span: Option<prost_types::Duration>,
) -> Result<Option<Duration>, Refusal> {
    let span = span.map(Duration::try_from).transpose();
    let span = span.map_err(|_| Refusal::Bad("deliver_max: not negative"))?;
    Ok(span.filter(|span| *span <= DELIVER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: CallersKey = CallersKey {
        id: uuid::Uuid::nil(),
        is_admin: false,
    };

    fn start() -> WatchStart {
        WatchStart {
            node: "a".into(),
            incarnation: vec![1; 16],
            ..WatchStart::default()
        }
    }

    fn introduce(start: WatchStart) -> Result<Introduced, Refusal> {
        let message = Some(Message::Start(start));
        introduced(WatchRequest { message }, KEY)
    }

    #[test]
    fn a_node_without_a_position_has_applied_nothing_it_knows_of() {
        let introduced = introduce(start()).expect("introduced");
        assert_eq!(introduced.from, None);
        assert_eq!(introduced.introduction.applied, Revision(0));
    }

    #[test]
    fn a_year_is_a_limit_and_more_is_none() {
        let max = prost_types::Duration::try_from(DELIVER_MAX).expect("a span");
        assert!(matches!(deliver_max(Some(max)), Ok(Some(DELIVER_MAX))));
        let more = prost_types::Duration { nanos: 1, ..max };
        assert!(matches!(deliver_max(Some(more)), Ok(None)));
    }

    #[test]
    fn what_is_no_introduction_is_refused() {
        let bad = [
            WatchStart {
                node: "Not a name".into(),
                ..start()
            },
            WatchStart {
                incarnation: vec![1; 15],
                ..start()
            },
            WatchStart {
                version: "v".repeat(256),
                ..start()
            },
            WatchStart {
                listeners: vec![String::new(); 65],
                ..start()
            },
            WatchStart {
                from: Some(v1::Position {
                    revision: 3,
                    chain: Vec::new(),
                }),
                ..start()
            },
            WatchStart {
                deliver_max: Some(prost_types::Duration {
                    seconds: -1,
                    nanos: 0,
                }),
                ..start()
            },
        ];
        for start in bad {
            assert!(matches!(introduce(start), Err(Refusal::Bad(_))));
        }
        assert!(matches!(
            introduced(WatchRequest { message: None }, KEY),
            Err(Refusal::Bad(_))
        ));
    }
}
