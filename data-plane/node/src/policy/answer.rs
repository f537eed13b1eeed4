//! What the control plane asks the node on its watch, answered by the puddles, as
//! a backend's call is. Decides nothing.

use std::sync::Arc;

use porthouse_api::node::v1;
use porthouse_model::{Change, RefusalId, Revision, UnixTime};
use porthouse_puddle::{By, Call, CallResult, Changed, Recalled};
use v1::watch_answer::What as Answers;
use v1::watch_question::What as Asks;

use super::client::wire;
use crate::live::Live;

/// Answers a question; what there is nothing to say to, with nothing. A node that
/// could not look has no answer, and so counts as silent.
pub(super) async fn answer(live: &Live, question: v1::WatchQuestion) -> Option<v1::WatchAnswer> {
    let what = match question.what {
        Some(Asks::Recall(v1::RecallQuestion { refusal_id })) => {
            let found = find(live, RefusalId(refusal_id)).await?;
            found.map(|found| Answers::Recalled(recalled(*found)))
        }
        Some(Asks::Foresee(v1::ForeseeQuestion { item: Some(item) })) => {
            foreseen(live, item).await.map(Answers::Foreseen)
        }
        Some(Asks::Foresee(v1::ForeseeQuestion { item: None })) | None => None,
    };
    Some(v1::WatchAnswer {
        id: question.id,
        what,
    })
}

/// What would come of a change that a node can read.
async fn foreseen(live: &Live, item: v1::ChangeItem) -> Option<v1::Foreseen> {
    let change = Change {
        revision: Revision::default(),
        items: vec![item.try_into().ok()?],
    };
    let mut items = Changed::compile(change).items;
    let item = Arc::new(items.pop()?);
    let result = live.call(Call::Foresee(item)).await;
    let CallResult::Foreseen(foreseen) = result else {
        return None;
    };
    Some(v1::Foreseen {
        leaving: foreseen.leaving,
        asked: foreseen.asked,
        unsure: foreseen.unsure,
    })
}

/// What the node itself has refused, or else one of its puddles; `None`: they
/// could not be asked.
async fn find(live: &Live, id: RefusalId) -> Option<Option<Box<Recalled>>> {
    if let Some(found) = live.refusals().find(id) {
        return Some(Some(Box::new(found)));
    }
    match live.call(Call::Recall(id)).await {
        CallResult::Recalled(found) => Some(found),
        CallResult::Key(_)
        | CallResult::NotLive
        | CallResult::Refused(_)
        | CallResult::Published { .. }
        | CallResult::Placed { .. }
        | CallResult::Purged { .. }
        | CallResult::Rooms { .. }
        | CallResult::Sockets { .. }
        | CallResult::Kicked { .. }
        | CallResult::Present(_)
        | CallResult::Waiting(_)
        | CallResult::Foreseen(_)
        | CallResult::Moved(_)
        | CallResult::Decided { .. }
        | CallResult::TooMany
        | CallResult::Unavailable => None,
    }
}

fn recalled(found: Recalled) -> v1::Recalled {
    let cause = found.cause;
    let (session_id, device_token_id) = match found.by {
        None => (Vec::new(), Vec::new()),
        Some(By::Session(id)) => (id.as_bytes().to_vec(), Vec::new()),
        Some(By::DeviceToken(id)) => (Vec::new(), id.as_bytes().to_vec()),
    };
    v1::Recalled {
        rule: cause.rule().to_owned(),
        needed: cause.needed().to_owned(),
        found: found.found(),
        remedy: cause.remedy().to_owned(),
        code: cause.code().map_or(0, |code| code.0.into()),
        user_id: found
            .user
            .map_or_else(Vec::new, |user| user.as_bytes().to_vec()),
        session_id,
        device_token_id,
        revision: wire(found.revision),
        time: found.sight.wall.map(stamp),
        room: found.room.map(|room| room.to_string()).unwrap_or_default(),
    }
}

fn stamp(time: UnixTime) -> prost_types::Timestamp {
    let millis = time.as_millis();
    prost_types::Timestamp {
        seconds: i64::try_from(millis / 1_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0),
    }
}
