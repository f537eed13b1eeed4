//! `SecondFactorService`. A secret and recovery codes leave here once, to whoever
//! asked for them to be made.

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{Revision, Username};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::identity::recovery::{RECOVERY_CODES, RecoveryCode};
use crate::identity::sealing::Place;
use crate::identity::totp::CodeSecret;
use crate::store::{Connection, log, second_factors, sessions, users};

use super::code_check::{self, Checked, Given, Shown};
use super::error::{ApiError, Kind};
use super::{Api, CallersKey, Write, call, note, resource_name, revision_to_wire, time, user};

#[tonic::async_trait]
impl wire::second_factor_service_server::SecondFactorService for Api {
    async fn get_second_factor(
        &self,
        request: Request<wire::GetSecondFactorRequest>,
    ) -> Result<Response<wire::GetSecondFactorResponse>, Status> {
        let name = resource_name::user("user", &request.into_inner().user)?;
        let found = self
            .read(move |c| {
                async move {
                    let user = users::by_name(c, &name).await?;
                    let user = user.ok_or_else(|| user::absent(&name))?;
                    stands(c, user.id, &name).await
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetSecondFactorResponse {
            second_factor: Some(found),
        }))
    }

    async fn begin_totp(
        &self,
        request: Request<wire::BeginTotpRequest>,
    ) -> Result<Response<wire::BeginTotpResponse>, Status> {
        let name = resource_name::user("user", &request.into_inner().user)?;
        let secret = CodeSecret::draw();
        let (sealing, kept) = (self.code_check.sealing.clone(), secret.clone());
        let account = name.clone();
        self.write(Write::Keep, move |c| {
            async move {
                let id = held(c, &name).await?;
                let sealed = sealing.seal(kept.as_bytes(), Place::SecondFactor(id))?;
                if second_factors::begin(c, id, &sealed).await? {
                    Ok(())
                } else {
                    Err(ApiError::SecondFactorEnabled)
                }
            }
            .boxed()
        })
        .await?;
        let mut given = secret.enrolment(account.as_str());
        Ok(Response::new(wire::BeginTotpResponse {
            secret: std::mem::take(&mut given.secret),
            otpauth_uri: std::mem::take(&mut given.otpauth_uri),
            qr_png: std::mem::take(&mut given.qr_png),
        }))
    }

    async fn confirm_totp(
        &self,
        request: Request<wire::ConfirmTotpRequest>,
    ) -> Result<Response<wire::ConfirmTotpResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::user("user", &request.user)?;
        let given = Given::parse(&request.code);
        let codes = RecoveryCodes::draw();
        let (hashes, sealing) = (codes.hashes(), self.code_check.sealing.clone());
        let (second_factor, _) = self
            .checked(move |c| {
                async move {
                    let id = held(c, &name).await?;
                    let checked = code_check::check_first(c, &sealing, id, &given).await?;
                    if checked == Checked::Right {
                        second_factors::enable(c, id).await?;
                        second_factors::replace_recovery_codes(c, id, &hashes).await?;
                    }
                    Ok((checked, stands(c, id, &name).await?))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::ConfirmTotpResponse {
            second_factor: Some(second_factor),
            recovery_codes: codes.show(),
        }))
    }

    async fn disable_totp(
        &self,
        request: Request<wire::DisableTotpRequest>,
    ) -> Result<Response<wire::DisableTotpResponse>, Status> {
        let key = request.extensions().get::<CallersKey>().copied();
        let request = request.into_inner();
        let name = resource_name::user("user", &request.user)?;
        let may_without = key.is_some_and(|key| key.is_admin);
        if request.code.is_empty() && !may_without {
            let rule = "a code, or a key with the scope admin";
            return Err(ApiError::field("code", rule).into());
        }
        let given = (!request.code.is_empty()).then(|| Given::parse(&request.code));
        let sealing = self.code_check.sealing.clone();
        let (second_factor, revision) = self
            .checked(move |c| {
                async move {
                    let id = held(c, &name).await?;
                    let checked = match &given {
                        Some(given) => code_check::check(c, &sealing, id, given).await?,
                        None if second_factors::of(c, id).await?.is_none() => Checked::NotEnrolled,
                        None => Checked::Right,
                    };
                    if checked == Checked::Right {
                        second_factors::delete(c, id).await?;
                        log::note_user_gone(c, id).await?;
                        sessions::delete_of_user(c, id).await?;
                    }
                    Ok((checked, stands(c, id, &name).await?))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DisableTotpResponse {
            second_factor: Some(second_factor),
            revision: revision_to_wire(revision),
        }))
    }

    async fn regenerate_recovery_codes(
        &self,
        request: Request<wire::RegenerateRecoveryCodesRequest>,
    ) -> Result<Response<wire::RegenerateRecoveryCodesResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::user("user", &request.user)?;
        let given = Given::parse(&request.code);
        let codes = RecoveryCodes::draw();
        let (hashes, sealing) = (codes.hashes(), self.code_check.sealing.clone());
        let (second_factor, _) = self
            .checked(move |c| {
                async move {
                    let id = held(c, &name).await?;
                    let checked = code_check::check(c, &sealing, id, &given).await?;
                    if checked == Checked::Right {
                        second_factors::replace_recovery_codes(c, id, &hashes).await?;
                    }
                    Ok((checked, stands(c, id, &name).await?))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::RegenerateRecoveryCodesResponse {
            second_factor: Some(second_factor),
            recovery_codes: codes.show(),
        }))
    }

    async fn show_second_factor(
        &self,
        request: Request<wire::ShowSecondFactorRequest>,
    ) -> Result<Response<wire::ShowSecondFactorResponse>, Status> {
        let request = request.into_inner();
        let session = resource_name::session("session", &request.session)?;
        let given = Given::parse(&request.code);
        let (shown, revision) = self.code_check.show(session, given).await?;
        match shown {
            Shown::Right(at) => Ok(Response::new(wire::ShowSecondFactorResponse {
                second_factor_time: Some(time::to_wire(at)),
                revision: revision_to_wire(Some(revision)),
            })),
            Shown::Not(checked) => {
                Err(checked.passed().err().unwrap_or(ApiError::CodeWrong).into())
            }
            Shown::SessionGone => Err(ApiError::Absent(Kind::Session, request.session).into()),
        }
    }
}

impl Api {
    /// Writes what a check allows. The check's own traces, above all a wrong code
    /// that was counted, are kept where it does not.
    async fn checked<T: Send + 'static>(
        &self,
        statements: impl for<'c> FnOnce(
            &'c mut Connection,
        ) -> futures_util::future::BoxFuture<
            'c,
            Result<(Checked, T), ApiError>,
        > + Send
        + 'static,
    ) -> Result<(T, Option<Revision>), ApiError> {
        let event = call::event("OK");
        let ((checked, written), revision) = self
            .store
            .write(move |c| {
                async move {
                    let (checked, written) = statements(c).await?;
                    note(c, event.map(|event| checked.noted(event))).await?;
                    Ok::<_, ApiError>((checked, written))
                }
                .boxed()
            })
            .await?;
        checked.passed()?;
        Ok((written, Some(revision)))
    }
}

/// The user's identity; nobody deletes it meanwhile.
async fn held(c: &mut Connection, name: &Username) -> Result<Uuid, ApiError> {
    users::hold(c, name)
        .await?
        .ok_or_else(|| user::absent(name))
}

async fn stands(
    c: &mut Connection,
    user: Uuid,
    name: &Username,
) -> Result<wire::SecondFactor, ApiError> {
    let row = second_factors::of(c, user).await?;
    let enabled = row.as_ref().and_then(|row| row.enable_time);
    let left = second_factors::recovery_codes_left(c, user).await?;
    Ok(wire::SecondFactor {
        user: user::full_name(name),
        begun: row.is_some() && enabled.is_none(),
        enabled: enabled.is_some(),
        recovery_codes_left: i32::try_from(left).unwrap_or(i32::MAX),
        enable_time: enabled.map(time::to_wire),
    })
}

/// Recovery codes that were just drawn.
struct RecoveryCodes(Vec<RecoveryCode>);

impl RecoveryCodes {
    fn draw() -> Self {
        Self((0..RECOVERY_CODES).map(|_| RecoveryCode::draw()).collect())
    }

    fn hashes(&self) -> Vec<[u8; 32]> {
        self.0.iter().map(RecoveryCode::hash).collect()
    }

    fn show(&self) -> Vec<String> {
        let shown = self.0.iter().map(RecoveryCode::show);
        shown
            .map(|mut code: Zeroizing<String>| std::mem::take(&mut *code))
            .collect()
    }
}
