//! A room's code, or a template's, checked: each is taken once a user and room, and wrong ones are counted
//! per user, or per network of those who are not signed in.

use std::time::Duration;

use futures_util::FutureExt;
use porthouse_model::{Revision, RoomName};
use uuid::Uuid;

use crate::identity::network::network;
use crate::identity::sealing::Place;
use crate::identity::totp::{Code, CodeSecret};
use crate::store::room_doors::{self, DoorOf, DoorRow, Uses};
use crate::store::{Connection, Store, sessions};

use super::code_check::{unix_seconds, wrongs};
use super::error::ApiError;
use super::lockout::tell_lockout;
use super::sealing::Sealing;

/// Checks codes of rooms.
#[derive(Clone)]
pub(crate) struct RoomCodeCheck {
    pub(crate) store: Store,
    pub(crate) sealing: Sealing,
}

/// Who shows a code.
#[derive(Clone, Debug)]
pub(crate) struct Shower {
    pub(crate) client: Uuid,
    /// `None`: not signed in.
    pub(crate) session: Option<Uuid>,
    /// From where.
    pub(crate) address: String,
    /// Which of the rooms with that door they stand before.
    pub(crate) room: Option<RoomName>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoomCodeChecked {
    /// Right, for this version.
    Right(i64),
    /// Wrong, or used before.
    Wrong,
    /// There is no such room, it has no code, or the session has ended.
    Gone,
    /// It was not looked at: there were too many wrong ones. Not before so long.
    Later(Duration),
}

impl RoomCodeCheck {
    /// Takes what somebody shows at a room's door.
    pub(crate) async fn show(
        &self,
        room: Uuid,
        shower: Shower,
        shown: &str,
    ) -> Result<(RoomCodeChecked, Revision), ApiError> {
        let code = Code::parse(shown);
        let sealing = self.sealing.clone();
        // Not that anything nodes obey is written: but as many at once as may write.
        self.store
            .write(move |c| {
                async move {
                    let Some(door) = room_doors::by_id(c, room).await? else {
                        return Ok(RoomCodeChecked::Gone);
                    };
                    let Some(sealed) = door.code_sealed.clone() else {
                        return Ok(RoomCodeChecked::Gone);
                    };
                    let Some((counted, single)) = names(c, &door, &shower).await? else {
                        return Ok(RoomCodeChecked::Gone);
                    };
                    judge(c, &sealing, (&door, &sealed), (&counted, &single), code).await
                }
                .boxed()
            })
            .await
    }
}

/// By what wrong codes are counted, and by what one is taken once; `None`: the
/// session has ended. Of a template's code one is taken once in each room, and wrong
/// ones count for all of them: more rooms are no more guesses.
async fn names(
    c: &mut Connection,
    door: &DoorRow,
    shower: &Shower,
) -> Result<Option<(String, String)>, ApiError> {
    let once = |who: String| match (&door.of, &shower.room) {
        (DoorOf::Template(_), Some(room)) => format!("{who} in:{room}"),
        (DoorOf::Room(_), _) | (DoorOf::Template(_), None) => who,
    };
    let Some(session) = shower.session else {
        let counted = format!("from:{}", network(&shower.address));
        return Ok(Some((counted, once(format!("client:{}", shower.client)))));
    };
    let user = sessions::holder(c, session).await?;
    Ok(user.map(|user| (counted(user), once(counted(user)))))
}

/// By what a user's wrong codes are counted.
pub(super) fn counted(user: Uuid) -> String {
    format!("user:{user}")
}

async fn judge(
    c: &mut Connection,
    sealing: &Sealing,
    (door, sealed): (&DoorRow, &[u8]),
    (counted, single): (&str, &str),
    code: Option<Code>,
) -> Result<RoomCodeChecked, ApiError> {
    let uses = |who| Uses {
        door: door.id,
        code_version: door.code_version,
        who,
    };
    let (count, last, now) = room_doors::lock_uses(c, uses(counted)).await?;
    let wrongs = wrongs(count, last, now);
    if let Some(wait) = tell_lockout(wrongs.wait()) {
        return Ok(RoomCodeChecked::Later(wait));
    }
    let secret = open(c, sealing, door, sealed).await?;
    let step = code.and_then(|code| secret.step_of(&code, unix_seconds(now)));
    let Some(step) = step else {
        let count = i32::try_from(wrongs.and_one()).unwrap_or(i32::MAX);
        room_doors::count_wrong(c, uses(counted), count).await?;
        return Ok(RoomCodeChecked::Wrong);
    };
    if !room_doors::take_step(c, uses(single), step).await? {
        // Taken before: nobody guesses by that, so it is not counted.
        return Ok(RoomCodeChecked::Wrong);
    }
    if count > 0 {
        room_doors::count_wrong(c, uses(counted), 0).await?;
    }
    Ok(RoomCodeChecked::Right(door.code_version))
}

async fn open(
    c: &mut Connection,
    sealing: &Sealing,
    door: &DoorRow,
    sealed: &[u8],
) -> Result<CodeSecret, ApiError> {
    let opened = sealing.open(sealed, Place::RoomCode(door.id))?;
    if let Some(resealed) = opened.keep_as {
        room_doors::reseal_code(c, door, sealed, &resealed).await?;
    }
    Ok(CodeSecret::from_bytes(opened.secret))
}
