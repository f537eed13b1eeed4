//! control.v1 over gRPC: translate, authorise, call, translate back. Decides
//! nothing that `identity`, `policy` or the database decides.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use porthouse_api::control::v1 as wire;
use porthouse_model::{ChangeItem, Revision};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use wire::api_key_service_server::ApiKeyServiceServer;
use wire::audit_service_server::AuditServiceServer;
use wire::block_service_server::BlockServiceServer;
use wire::device_token_service_server::DeviceTokenServiceServer;
use wire::endpoint_service_server::EndpointServiceServer;
use wire::guard_service_server::GuardServiceServer;
use wire::issuer_service_server::IssuerServiceServer;
use wire::member_group_service_server::MemberGroupServiceServer;
use wire::member_service_server::MemberServiceServer;
use wire::node_service_server::NodeServiceServer;
use wire::policy_service_server::PolicyServiceServer;
use wire::room_door_service_server::RoomDoorServiceServer;
use wire::room_service_server::RoomServiceServer;
use wire::room_template_service_server::RoomTemplateServiceServer;
use wire::second_factor_service_server::SecondFactorServiceServer;
use wire::secret_service_server::SecretServiceServer;
use wire::session_service_server::SessionServiceServer;
use wire::user_service_server::UserServiceServer;

use crate::identity::hashing::Hashing;
use crate::policy::applied::Applied;
use crate::policy::asking::Asking;
use crate::settings::GuardSettings;
use crate::store::{Connection, Store, log};

mod api_key;
mod audit;
mod block;
mod call;
mod code_check;
mod device_token;
mod endpoint;
mod error;
mod etag;
mod explain;
mod filter;
mod guard;
mod issuer;
mod issuer_columns;
mod impact;
mod keys;
mod kick;
mod label;
mod lockout;
mod mask;
mod member;
mod member_group;
mod node;
mod page;
mod policy;
mod refused_token;
mod resource_name;
mod room;
mod room_code;
mod room_door;
mod room_columns;
mod room_guard;
mod room_rule;
mod room_template;
mod sealing;
mod secret;
mod second_factor;
mod session;
mod sign_in;
mod ticket;
mod time;
mod token_sign_in;
mod user;

pub(crate) use audit::WATCHES_MAX as AUDIT_WATCHES_MAX;
pub(crate) use code_check::{Checked, CodeCheck, Given, Shown};
pub(crate) use error::ApiError;
pub(crate) use guard::GuardLayer;
pub(crate) use keys::{CallersKey, Keys, asker};
pub(crate) use kick::{Kick, Kicks};
pub(crate) use lockout::{Attempt, lockouts_told, tell_lockout};
pub(crate) use refused_token::RefusedTokens;
pub(crate) use room_code::{RoomCodeCheck, RoomCodeChecked, Shower};
pub(crate) use sealing::Sealing;
pub(crate) use session::is_user_agent;
pub(crate) use sign_in::{Answer, Client, Drawn, Opened, Second, SignIn, SignedIn};
pub(crate) use ticket::{Bound, Tickets};
pub(crate) use time::to_wire as time_to_wire;
pub(crate) use token_sign_in::ShownToken;

/// The most bytes of a request.
const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// What the services share.
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) hashing: Hashing,
    pub(crate) keys: Keys,
    pub(crate) sign_in: SignIn,
    pub(crate) code_check: CodeCheck,
    pub(crate) applied: Applied,
    pub(crate) asking: Asking,
    pub(crate) guards: GuardSettings,
    /// Places to follow the audit log.
    pub(crate) audit_watches: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
}

/// Every service of control.v1. [`GuardLayer`] belongs before them.
pub(crate) fn routes(api: &Arc<Api>) -> Routes {
    macro_rules! bounded {
        ($server:ident) => {
            $server::from_arc(Arc::clone(api)).max_decoding_message_size(REQUEST_BYTES_MAX)
        };
    }
    Routes::new(bounded!(UserServiceServer))
        .add_service(bounded!(SessionServiceServer))
        .add_service(bounded!(DeviceTokenServiceServer))
        .add_service(bounded!(IssuerServiceServer))
        .add_service(bounded!(SecondFactorServiceServer))
        .add_service(bounded!(RoomServiceServer))
        .add_service(bounded!(RoomDoorServiceServer))
        .add_service(bounded!(RoomTemplateServiceServer))
        .add_service(bounded!(GuardServiceServer))
        .add_service(bounded!(MemberServiceServer))
        .add_service(bounded!(MemberGroupServiceServer))
        .add_service(bounded!(BlockServiceServer))
        .add_service(bounded!(EndpointServiceServer))
        .add_service(bounded!(ApiKeyServiceServer))
        .add_service(bounded!(NodeServiceServer))
        .add_service(bounded!(AuditServiceServer))
        .add_service(bounded!(SecretServiceServer))
        .add_service(bounded!(PolicyServiceServer))
}

/// Whether a write is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// It is.
    Keep,
    /// Everything is checked and done, and undone.
    Rehearse,
}

impl Write {
    pub(crate) const fn of(validate_only: bool) -> Self {
        if validate_only {
            Self::Rehearse
        } else {
            Self::Keep
        }
    }
}

impl Api {
    /// Reads in one snapshot.
    async fn read<T: Send + 'static>(
        &self,
        statements: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, ApiError>>
        + Send
        + 'static,
    ) -> Result<T, ApiError> {
        self.store.snapshot(statements).await
    }

    /// Writes, and answers the revision at which it holds; a rehearsal has none.
    async fn write<T: Send + 'static>(
        &self,
        write: Write,
        statements: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, ApiError>>
        + Send
        + 'static,
    ) -> Result<(T, Option<Revision>), ApiError> {
        let (written, came) = self.write_or_rehearse(write, statements).await?;
        match came {
            Came::Kept(revision) => Ok((written, Some(revision))),
            Came::Rehearsed(_) => Ok((written, None)),
        }
    }

    /// The same, and of a rehearsal what it would do to sockets that are inside.
    async fn write_or_foresee<T: Send + 'static>(
        &self,
        write: Write,
        statements: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, ApiError>>
        + Send
        + 'static,
    ) -> Result<(T, Outcome), ApiError> {
        let (written, came) = self.write_or_rehearse(write, statements).await?;
        let outcome = match came {
            Came::Kept(revision) => Outcome {
                revision: revision_to_wire(Some(revision)),
                impact: None,
            },
            Came::Rehearsed(items) => Outcome {
                revision: 0,
                impact: Some(self.impact_of_all(items).await?),
            },
        };
        Ok((written, outcome))
    }

    async fn write_or_rehearse<T: Send + 'static>(
        &self,
        write: Write,
        statements: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, ApiError>>
        + Send
        + 'static,
    ) -> Result<(T, Came), ApiError> {
        match write {
            Write::Keep => {
                let event = call::event("OK");
                let (written, revision) = self
                    .store
                    .write(move |c| {
                        async move {
                            let written = statements(c).await?;
                            note(c, event).await?;
                            Ok::<_, ApiError>(written)
                        }
                        .boxed()
                    })
                    .await?;
                Ok((written, Came::Kept(revision)))
            }
            Write::Rehearse => {
                let rehearsed = self.rehearse(move |c| {
                    async move {
                        let written = statements(c).await?;
                        Ok((written, log::rehearse(c).await?))
                    }
                    .boxed()
                });
                let (written, would_be) = rehearsed.await?;
                Ok((written, Came::Rehearsed(would_be)))
            }
        }
    }

    /// Runs statements in a transaction that is rolled back.
    async fn rehearse<T: Send + 'static>(
        &self,
        statements: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, ApiError>>
        + Send
        + 'static,
    ) -> Result<T, ApiError> {
        let ended = self
            .store
            .transact::<std::convert::Infallible, Rehearsed<T>>(|c| {
                async move { Err(Rehearsed(statements(c).await)) }.boxed()
            })
            .await;
        match ended {
            Ok(never) => match never {},
            Err(Rehearsed(written)) => written,
        }
    }
}

/// Notes in the audit log what a call did, with what it did: neither is there
/// without the other.
async fn note(c: &mut Connection, event: Option<wire::AuditEvent>) -> Result<(), ApiError> {
    if let Some(event) = event {
        crate::store::audit::append(c, &event).await?;
    }
    Ok(())
}

/// What came of a write.
enum Came {
    /// It holds at this revision.
    Kept(Revision),
    /// Of this nodes would have been told.
    Rehearsed(Vec<ChangeItem>),
}

/// What is answered of a write that may be rehearsed.
struct Outcome {
    /// At which it holds; 0: it was rehearsed.
    revision: i64,
    /// What it would do; only of a rehearsal.
    impact: Option<wire::Impact>,
}

/// How a rehearsal ended; an error to the transaction, which makes it roll back.
struct Rehearsed<T>(Result<T, ApiError>);

impl<T, E: Into<ApiError>> From<E> for Rehearsed<T> {
    fn from(error: E) -> Self {
        Self(Err(error.into()))
    }
}

/// A revision as it is sent; unset is 0.
fn revision_to_wire(revision: Option<Revision>) -> i64 {
    revision.map_or(0, |revision| i64::try_from(revision.0).unwrap_or(i64::MAX))
}
