//! A user's second factor, checked: from what was shown to whether it counts.
//! Owns the order of the steps, so that a code is taken once and wrong ones are
//! counted before the next is looked at, however many come at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::Revision;
use uuid::Uuid;

use crate::identity::backoff::Wrongs;
use crate::identity::recovery::RecoveryCode;
use crate::identity::sealing::Place;
use crate::identity::totp::{Code, CodeSecret};
use crate::store::second_factors::{self, SecondFactorRow};
use crate::store::{Connection, Store, sessions};

use super::error::ApiError;
use super::lockout::tell_lockout;
use super::sealing::Sealing;
use super::{call, note};

/// What somebody showed.
#[derive(Debug)]
pub(crate) enum Given {
    /// A code of the time.
    Code(Code),
    /// A recovery code.
    Recovery(RecoveryCode),
    /// Neither, which is merely wrong.
    Neither,
}

impl Given {
    pub(crate) fn parse(text: &str) -> Self {
        Code::parse(text)
            .map(Self::Code)
            .or_else(|| RecoveryCode::parse(text).map(Self::Recovery))
            .unwrap_or(Self::Neither)
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It counts, and does not again.
    Right,
    /// It does not count.
    Wrong,
    /// It was not looked at: there were too many wrong ones. Not before so long.
    Later(Duration),
    /// The user has no second factor.
    NotEnrolled,
}

impl Checked {
    /// The event of a call that ended like this.
    pub(super) fn noted(self, event: wire::AuditEvent) -> wire::AuditEvent {
        let outcome = match self.passed() {
            Ok(()) => "OK",
            Err(error) => error.reason(),
        };
        wire::AuditEvent {
            outcome: outcome.to_owned(),
            ..event
        }
    }

    /// As a call is refused whose code does not count.
    pub(crate) const fn passed(self) -> Result<(), ApiError> {
        match self {
            Self::Right => Ok(()),
            Self::Wrong => Err(ApiError::CodeWrong),
            Self::Later(delay) => Err(ApiError::CodesTooMany(delay)),
            Self::NotEnrolled => Err(ApiError::SecondFactorMissing),
        }
    }
}

/// How showing a second factor in a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The session knows of it, since then.
    Right(DateTime<Utc>),
    /// It does not count.
    Not(Checked),
    /// There is no such session any more.
    SessionGone,
}

/// Checks second factors of those who have a session.
#[derive(Clone)]
pub(crate) struct CodeCheck {
    pub(crate) store: Store,
    pub(crate) sealing: Sealing,
}

impl CodeCheck {
    pub(crate) const fn new(store: Store, sealing: Sealing) -> Self {
        Self { store, sealing }
    }

    /// Takes what the user of a session shows, and notes in the session that it
    /// was right.
    pub(crate) async fn show(
        &self,
        session: Uuid,
        given: Given,
    ) -> Result<(Shown, Revision), ApiError> {
        let sealing = self.sealing.clone();
        let event = call::event("OK");
        self.store
            .write(move |c| {
                async move {
                    let Some(user) = sessions::holder(c, session).await? else {
                        return Ok(Shown::SessionGone);
                    };
                    let checked = check(c, &sealing, user, &given).await?;
                    let event = event.map(|event| wire::AuditEvent {
                        target: format!("session=sessions/{session}"),
                        ..checked.noted(event)
                    });
                    note(c, event).await?;
                    Ok(match checked {
                        Checked::Right => sessions::show_second_factor(c, session)
                            .await?
                            .map_or(Shown::SessionGone, Shown::Right),
                        not @ (Checked::Wrong | Checked::Later(_) | Checked::NotEnrolled) => {
                            Shown::Not(not)
                        }
                    })
                }
                .boxed()
            })
            .await
    }
}

/// Checks what a user shows who has a second factor. What it finds out is kept
/// with the transaction, so it must be committed whatever comes out.
pub(crate) async fn check(
    c: &mut Connection,
    sealing: &Sealing,
    user: Uuid,
    given: &Given,
) -> Result<Checked, ApiError> {
    match second_factors::lock(c, user).await? {
        Some((row, now)) if row.enable_time.is_some() => {
            judge(c, sealing, user, (row, now), given).await
        }
        Some(_) | None => Ok(Checked::NotEnrolled),
    }
}

/// Checks the first code of a second factor that was begun.
pub(crate) async fn check_first(
    c: &mut Connection,
    sealing: &Sealing,
    user: Uuid,
    given: &Given,
) -> Result<Checked, ApiError> {
    match second_factors::lock(c, user).await? {
        Some((row, _)) if row.enable_time.is_some() => Err(ApiError::SecondFactorEnabled),
        Some(begun) => judge(c, sealing, user, begun, given).await,
        None => Err(ApiError::SecondFactorNotBegun),
    }
}

async fn judge(
    c: &mut Connection,
    sealing: &Sealing,
    user: Uuid,
    (row, now): (SecondFactorRow, DateTime<Utc>),
    given: &Given,
) -> Result<Checked, ApiError> {
    let wrongs = wrongs(row.wrong_count, row.wrong_time, now);
    if let Some(wait) = tell_lockout(wrongs.wait()) {
        return Ok(Checked::Later(wait));
    }
    let is_right = match given {
        Given::Code(code) => {
            let (secret, sealed) = open(c, sealing, user, row).await?;
            match secret.step_of(code, unix_seconds(now)) {
                Some(step) if second_factors::take_step(c, user, &sealed, step).await? => true,
                // Taken before: nobody guesses by that, so it is not counted.
                Some(_) => return Ok(Checked::Wrong),
                None => false,
            }
        }
        Given::Recovery(code) => second_factors::use_recovery_code(c, user, &code.hash()).await?,
        Given::Neither => false,
    };
    if is_right {
        return Ok(Checked::Right);
    }
    let count = i32::try_from(wrongs.and_one()).unwrap_or(i32::MAX);
    second_factors::count_wrong(c, user, count).await?;
    Ok(Checked::Wrong)
}

/// The secret, and as it is kept now.
async fn open(
    c: &mut Connection,
    sealing: &Sealing,
    user: Uuid,
    row: SecondFactorRow,
) -> Result<(CodeSecret, Vec<u8>), ApiError> {
    let opened = sealing.open(&row.secret_sealed, Place::SecondFactor(user))?;
    let secret = CodeSecret::from_bytes(opened.secret);
    let Some(resealed) = opened.keep_as else {
        return Ok((secret, row.secret_sealed));
    };
    second_factors::reseal(c, user, &row.secret_sealed, &resealed).await?;
    Ok((secret, resealed))
}

/// Wrong codes as they are kept.
pub(crate) fn wrongs(count: i32, last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Wrongs {
    let age = last.and_then(|last| (now - last).to_std().ok());
    Wrongs {
        count: u32::try_from(count).unwrap_or(0),
        age: age.unwrap_or(Duration::ZERO),
    }
}

pub(crate) fn unix_seconds(time: DateTime<Utc>) -> u64 {
    u64::try_from(time.timestamp()).unwrap_or(0)
}
