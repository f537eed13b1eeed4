//! What a node needs to decide about some keys, all of one snapshot, with that
//! snapshot's revision.

use std::sync::Arc;

use futures_util::FutureExt;
use porthouse_api::node::v1::{self, ResolveRequest, ResolveResponse};
use porthouse_api::node::withhold;
use porthouse_model::{PolicyKey, Resolved, Revision};
use prost::Message as _;
use tokio::time::timeout;
use tonic::Status;
use uuid::Uuid;

use crate::api::CallersKey;
use crate::identity::turns::{Asker, Full};
use crate::store::{
    Connection, StoreError, address, api_keys, covering, device_tokens, kept_out, log, resolve,
};

use super::PolicyFeed;
use super::refusal::Refusal;

/// The most keys of one request.
const KEYS_MAX: usize = 256;

/// The most bytes of an answer, but for one alone: a node takes 4 MiB.
const ANSWER_BYTES_MAX: usize = 3 * 1024 * 1024;

const BUSY: Refusal =
    Refusal::Busy("as many keys of this node are being resolved as may be; ask again");

impl PolicyFeed {
    /// Answers a request to resolve keys.
    pub(super) async fn resolve_keys(
        &self,
        node: CallersKey,
        request: ResolveRequest,
    ) -> Result<ResolveResponse, Status> {
        if request.keys.len() > KEYS_MAX {
            return Err(Refusal::Bad("keys: at most 256").into());
        }
        let keys: Vec<PolicyKey> = request
            .keys
            .into_iter()
            .map(|key| key.try_into().map_err(Refusal::from))
            .collect::<Result<_, _>>()?;
        let min = u64::try_from(request.min_revision)
            .map(Revision)
            .map_err(|_| Refusal::Bad("min_revision: not negative"))?;
        let (revision, resolved) = self.resolve_at(node, min, keys).await?;
        self.note_use(&resolved);
        let known = request.rules_known;
        let told = |resolved: &Resolved| {
            let mut told = v1::Resolved::from(resolved);
            if let Some(withheld) = withhold(&mut told, known) {
                tracing::warn!(%withheld, known, "a node is too old for a room, which is shut there");
            }
            told
        };
        Ok(ResolveResponse {
            revision: i64::try_from(revision.0).expect("it came from an int64"),
            resolved: within_bytes(resolved.iter().map(told)),
        })
    }

    /// Notes which device tokens are used. Beside the answer, which is given where
    /// the database takes no writes too.
    fn note_use(&self, resolved: &[Resolved]) {
        let devices: Vec<_> = resolved.iter().filter_map(used_device).collect();
        let keys: Vec<_> = resolved.iter().filter_map(used_key).collect();
        if devices.is_empty() && keys.is_empty() {
            return;
        }
        let Ok(place) = Arc::clone(&self.uses).try_acquire_owned() else {
            return;
        };
        let store = self.store.clone();
        tokio::spawn(async move {
            let noted = store.transact::<_, StoreError>(move |c| {
                async move {
                    device_tokens::note_use(c, &devices).await?;
                    Ok(api_keys::note_uses(c, &keys).await?)
                }
                .boxed()
            });
            if let Err(error) = noted.await {
                tracing::debug!(%error, "the use of tokens and keys was not noted");
            }
            drop(place);
        });
    }

    /// Reads a snapshot of at least this revision, waiting for it once.
    async fn resolve_at(
        &self,
        node: CallersKey,
        min: Revision,
        keys: Vec<PolicyKey>,
    ) -> Result<(Revision, Vec<Resolved>), Refusal> {
        if let Some(resolved) = self.resolve_now(node, min, keys.clone()).await? {
            return Ok(resolved);
        }
        let _place = self.resolves_waiting.take(node.id).ok_or(BUSY)?;
        let behind = Refusal::Unavailable("this replica has not come to that revision; ask again");
        let reached = timeout(self.settings.resolve_wait_max, self.tail.reached(min)).await;
        if !matches!(reached, Ok(Ok(()))) {
            return Err(behind);
        }
        self.resolve_now(node, min, keys).await?.ok_or(behind)
    }

    /// Reads the present snapshot when it is this node's turn; `None` when it is of
    /// an earlier revision. The turn lasts while it reads, so that whoever waits for
    /// a revision holds up nobody.
    async fn resolve_now(
        &self,
        node: CallersKey,
        min: Revision,
        keys: Vec<PolicyKey>,
    ) -> Result<Option<(Revision, Vec<Resolved>)>, Refusal> {
        let asker = Asker(node.id.to_string());
        let _turn = self.resolves.turn(asker).await.map_err(|Full| BUSY)?;
        self.store
            .snapshot(move |c| {
                async move {
                    // The first statement takes the snapshot that all of them see.
                    let revision = log::head(c).await?;
                    if revision < min {
                        return Ok(None);
                    }
                    Ok(Some((revision, read(c, &keys).await?)))
                }
                .boxed()
            })
            .await
    }
}

/// The device token that was asked for.
fn used_device(resolved: &Resolved) -> Option<Uuid> {
    match resolved {
        Resolved::Session(session) if session.device.is_some() => {
            Some(Uuid::from_bytes(*session.id.as_bytes()))
        }
        Resolved::Session(_)
        | Resolved::Room(_)
        | Resolved::Template(_)
        | Resolved::Member(_)
        | Resolved::Block(_)
        | Resolved::ApiKey(_)
        | Resolved::Endpoint(_)
        | Resolved::Absent => None,
    }
}

/// The API key that was asked for, as one was shown to a node.
fn used_key(resolved: &Resolved) -> Option<Uuid> {
    match resolved {
        Resolved::ApiKey(key) => Some(Uuid::from_bytes(*key.id.as_bytes())),
        Resolved::Session(_)
        | Resolved::Room(_)
        | Resolved::Template(_)
        | Resolved::Member(_)
        | Resolved::Block(_)
        | Resolved::Endpoint(_)
        | Resolved::Absent => None,
    }
}

/// The first answers, one at least, that are not longer than an answer may be.
fn within_bytes(resolved: impl Iterator<Item = v1::Resolved>) -> Vec<v1::Resolved> {
    let mut bytes = 0;
    let mut answers = Vec::new();
    for answer in resolved {
        bytes += answer.encoded_len();
        if bytes > ANSWER_BYTES_MAX && !answers.is_empty() {
            break;
        }
        answers.push(answer);
    }
    answers
}

/// The keys' states, in their order.
async fn read(
    connection: &mut Connection,
    keys: &[PolicyKey],
) -> Result<Vec<Resolved>, StoreError> {
    let (mut addresses, mut freeports) = (vec![], vec![]);
    let (mut names, mut tokens, mut pairs, mut secrets) = (vec![], vec![], vec![], vec![]);
    let mut blocked = vec![];
    for key in keys {
        match key {
            PolicyKey::Room(name) if name.freeport_of().is_some() => freeports.push(name.clone()),
            PolicyKey::Room(name) => names.push(name.as_str()),
            PolicyKey::Session(hash) => tokens.push(*hash),
            PolicyKey::Member(room, user) => pairs.push((*room, *user)),
            PolicyKey::ApiKey(hash) => secrets.push(*hash),
            PolicyKey::Block(room, user) => blocked.push((*room, *user)),
            PolicyKey::Endpoint(address) => addresses.push(address.clone()),
        }
    }
    let mut rooms = resolve::rooms_by_name(connection, &names).await?;
    names.retain(|name| !rooms.contains_key(*name));
    let templates = covering::templates_covering(connection, &names).await?;
    rooms.extend(address::freeports(connection, &freeports).await?);
    let endpoints = address::endpoints_at(connection, &addresses).await?;
    let mut sessions = resolve::sessions_by_token(connection, &tokens).await?;
    tokens.retain(|token| !sessions.contains_key(token));
    sessions.extend(device_tokens::opened_by_token(connection, &tokens).await?);
    let blocks = kept_out::blocks(connection, &blocked).await?;
    let members = resolve::members(connection, &pairs).await?;
    let api_keys = resolve::api_keys_by_secret(connection, &secrets).await?;
    let state = |key: &PolicyKey| match key {
        PolicyKey::Room(name) => match rooms.get(name) {
            Some(room) => Some(Resolved::Room(room.clone())),
            None => templates
                .get(name.as_str())
                .cloned()
                .map(Resolved::Template),
        },
        PolicyKey::Session(hash) => sessions.get(hash).cloned().map(Resolved::Session),
        PolicyKey::Member(room, user) => members
            .get(&(*room, *user))
            .and_then(|(member, live)| live.then_some(Resolved::Member(*member))),
        PolicyKey::ApiKey(hash) => api_keys.get(hash).cloned().map(Resolved::ApiKey),
        PolicyKey::Block(room, user) => blocks.get(&(*room, *user)).copied().map(Resolved::Block),
        PolicyKey::Endpoint(address) => endpoints.get(address).cloned().map(Resolved::Endpoint),
    };
    Ok(keys
        .iter()
        .map(|key| state(key).unwrap_or(Resolved::Absent))
        .collect())
}
