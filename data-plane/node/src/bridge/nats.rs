//! The store of durable rooms: one stream of NATS (`JetStream`), a subject a room.
//! Does what it is asked, within a time, and keeps nothing of its own.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::context::{Context, GetStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, InfoWithSubjects, LastRawMessageErrorKind, RetentionPolicy, StorageType,
    Stream,
};
use async_nats::{Client, ConnectOptions, Event};
use futures_util::StreamExt;
use porthouse_model::RoomId;
use porthouse_puddle::{FromStore, Mark, Record, StoredRoom, ToStore};
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::{Store, StoreSign};
use crate::settings::NatsSettings;

/// Earlier servers lose acknowledged streams, or have known holes.
const VERSION_MIN: (i64, i64, i64) = (2, 12, 7);
/// The stream that keeps all rooms.
const STREAM: &str = "PORTHOUSE_HISTORY";
/// Its subjects: after it come the room's id and its name, in hexadecimal.
const SUBJECT: &str = "porthouse.history";
/// How long one request may take, and the next record of a room that is read.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// How long all of a room may take to be read.
const READ_TIME_MAX: Duration = Duration::from_mins(1);
/// How long a server that is there may take to say so when the node starts.
const START_TIME_MAX: Duration = Duration::from_secs(3);
/// What of the server's `max_payload` is left for the headers of a record.
const HEADER_BYTES_MAX: usize = 1_024;
/// How often it is looked whether it has.
const START_LOOK: Duration = Duration::from_millis(20);
/// How long until a lost connection is tried again.
const RECONNECT_TIME: Duration = Duration::from_millis(250);

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is none, or has a secret in it.
    #[error(
        "this is not where a NATS server can be (setting `nats_url`): it looks like \
         nats://127.0.0.1:4222, with credentials in a file (setting `nats_credentials`)"
    )]
    Url,
    /// The credentials cannot be used. What is in the file is not shown.
    #[error("the NATS credentials cannot be read (setting `nats_credentials`)")]
    Credentials(#[source] std::io::Error),
    /// The server is too old.
    #[error("the NATS server is {found}; durable rooms need 2.12.7 or later (setting `nats_url`)")]
    Version {
        /// What it says to be.
        found: String,
    },
    /// The server keeps no streams.
    #[error("the NATS server has no JetStream for this account: start it with `--jetstream`")]
    JetStream(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The stream is there and would lose what was stored.
    #[error("the NATS stream {STREAM} is set otherwise than history needs: `{field}`")]
    Stream {
        /// The first field that is.
        field: &'static str,
    },
}

/// By whose account the server is asked. Connects to none.
pub(crate) fn options(settings: &NatsSettings) -> Result<ConnectOptions, StoreError> {
    let options = ConnectOptions::new();
    let Some(file) = &settings.credentials_file else {
        return Ok(options);
    };
    let held = std::fs::read_to_string(file).map(Zeroizing::new);
    held.and_then(|held| options.credentials(&held))
        .map_err(StoreError::Credentials)
}

/// A connection to NATS, which mends itself.
#[derive(Debug)]
pub(crate) struct Nats {
    client: Client,
    context: Context,
    sign: Arc<StoreSign>,
    /// Its stream was there.
    had_stream: AtomicBool,
}

impl Nats {
    /// Connects. A server that is away is tried again for as long as the node
    /// runs.
    pub(crate) async fn open(settings: &NatsSettings) -> Result<Self, StoreError> {
        let options = options(settings)?;
        let sign = Arc::new(StoreSign::new());
        let options = options
            .name("porthouse")
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(|_| RECONNECT_TIME)
            .request_timeout(Some(REQUEST_TIME_MAX))
            .event_callback({
                let sign = Arc::clone(&sign);
                move |event| {
                    tell(&event, &sign);
                    async {}
                }
            });
        let client = options.connect(&settings.url).await;
        let client = client.map_err(|_| StoreError::Url)?;
        let context = async_nats::jetstream::new(client.clone());
        let nats = Self {
            client,
            context,
            sign,
            had_stream: AtomicBool::new(false),
        };
        let connected = async {
            while nats.is_away() {
                sleep(START_LOOK).await;
            }
        };
        if timeout(START_TIME_MAX, connected).await.is_err() {
            tracing::warn!("NATS cannot be reached: durable rooms are refused until it is");
            return Ok(nats);
        }
        nats.ensure().await?;
        Ok(nats)
    }

    fn is_away(&self) -> bool {
        self.client.connection_state() != State::Connected
    }

    /// How it stands.
    pub(super) fn sign(&self) -> Arc<StoreSign> {
        Arc::clone(&self.sign)
    }

    /// The server is one that keeps what it says, and has our stream.
    async fn ensure(&self) -> Result<(), StoreError> {
        let fits = self.fit().await;
        match &fits {
            Ok(()) => self.sign.show(Store::Connected),
            Err(StoreError::JetStream(_)) if self.had_stream.load(Ordering::Relaxed) => {
                self.sign.show(Store::Lagging);
            }
            Err(_) => self.sign.show(Store::Refused),
        }
        fits
    }

    async fn fit(&self) -> Result<(), StoreError> {
        let (major, minor, patch) = VERSION_MIN;
        if !self.client.is_server_compatible(major, minor, patch) {
            let found = self.client.server_info().version;
            return Err(StoreError::Version { found });
        }
        let known = self.had_stream.load(Ordering::Relaxed);
        let is_gone = known && self.is_gone().await;
        let stream = self.context.get_or_create_stream(config()).await;
        let stream = stream.map_err(|error| StoreError::JetStream(error.into()))?;
        if is_gone {
            self.sign.made();
            tracing::error!(
                stream = STREAM,
                "the stream was deleted, and what was stored with it; it is made anew"
            );
        }
        self.had_stream.store(true, Ordering::Relaxed);
        unfit(&stream.cached_info().config)
            .map_or(Ok(()), |field| Err(StoreError::Stream { field }))
    }

    /// Whether the server says that there is no such stream.
    async fn is_gone(&self) -> bool {
        match self.context.get_stream(STREAM).await {
            Ok(_) => false,
            Err(error) => matches!(
                error.kind(),
                GetStreamErrorKind::JetStream(why) if why.error_code() == ErrorCode::STREAM_NOT_FOUND
            ),
        }
    }

    /// Does what is asked, within a time.
    pub(crate) async fn answer(&self, room: &StoredRoom, what: ToStore) -> FromStore {
        if self.is_away() {
            return FromStore::Failed;
        }
        let subject = subject(room);
        let reads = matches!(what, ToStore::Read { .. });
        let answer = async {
            match what {
                ToStore::Read { bytes_max } => self.read(&subject, bytes_max).await,
                ToStore::Append {
                    after,
                    record,
                    lasts,
                } => self.append(&subject, after, record, lasts).await,
                ToStore::Forget { through } => self.forget(&subject, Some(through)).await,
                ToStore::ForgetRoom => self.forget(&subject, None).await,
            }
        };
        let began = Instant::now();
        let time_max = if reads {
            READ_TIME_MAX
        } else {
            REQUEST_TIME_MAX
        };
        let answer = timeout(time_max, answer).await.ok().flatten();
        // Much takes long to read.
        let took = if reads {
            Duration::ZERO
        } else {
            began.elapsed()
        };
        if self.is_away() {
            self.sign.show(Store::Away);
        } else if self.sign.read() != Store::Refused {
            self.sign.asked(answer.is_some(), took);
        }
        answer.unwrap_or(FromStore::Failed)
    }

    async fn stream(&self) -> Option<Stream<()>> {
        self.context.get_stream_no_info(STREAM).await.ok()
    }

    async fn read(&self, subject: &str, bytes_max: usize) -> Option<FromStore> {
        if let Err(error) = self.ensure().await {
            tracing::warn!(%error, "history cannot be read");
            return None;
        }
        if self.last(subject).await? == Mark::default() {
            return Some(FromStore::Read(Vec::new()));
        }
        let config = OrderedConfig {
            filter_subject: subject.to_owned(),
            ..OrderedConfig::default()
        };
        let stream = self.stream().await?;
        let consumer = stream.create_consumer(config).await.ok()?;
        if consumer.cached_info().num_pending == 0 {
            // The last has ended by its age meanwhile.
            return Some(FromStore::Read(Vec::new()));
        }
        let mut messages = consumer.messages().await.ok()?;
        let (mut records, mut bytes) = (VecDeque::new(), 0);
        loop {
            let next = timeout(REQUEST_TIME_MAX, messages.next()).await;
            let message = next.ok()??.ok()?;
            let info = message.info().ok()?;
            let (mark, pending) = (Mark(info.stream_sequence), info.pending);
            bytes += message.payload.len();
            records.push_back(Record {
                mark,
                bytes: message.payload.as_ref().into(),
            });
            while bytes > bytes_max && records.len() > 1 {
                let first: Option<Record> = records.pop_front();
                bytes -= first.map_or(0, |first| first.bytes.len());
            }
            if pending == 0 {
                return Some(FromStore::Read(records.into()));
            }
        }
    }

    /// The subjects of all rooms, with how many records each has.
    pub(super) async fn subjects(&self) -> Option<InfoWithSubjects> {
        if self.is_away() {
            return None;
        }
        let stream = self.stream().await?;
        let subjects = stream.info_with_subjects(format!("{SUBJECT}.>"));
        let subjects = timeout(REQUEST_TIME_MAX, subjects).await;
        subjects.ok()?.ok()
    }

    /// Forgets all that is of this identity, whatever the name.
    pub(super) async fn forget_all_of(&self, room: RoomId) -> Option<()> {
        let mut subject = SUBJECT.to_owned();
        part(&mut subject, room.as_bytes());
        subject.push_str(".>");
        let forget = self.forget(&subject, None);
        timeout(REQUEST_TIME_MAX, forget).await.ok().flatten()?;
        Some(())
    }

    /// The last record of a subject.
    async fn last(&self, subject: &str) -> Option<Mark> {
        let stream = self.stream().await?;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Some(Mark(message.sequence)),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => {
                Some(Mark::default())
            }
            Err(_) => None,
        }
    }

    async fn append(
        &self,
        subject: &str,
        after: Mark,
        record: Box<[u8]>,
        lasts: Option<Duration>,
    ) -> Option<FromStore> {
        let payload = bytes::Bytes::from(record);
        let most = self.client.server_info().max_payload;
        if payload.len() + HEADER_BYTES_MAX > most {
            return Some(FromStore::TooLong);
        }
        match self.publish(subject, after, &payload, lasts).await {
            Ok(mark) => return Some(FromStore::Appended(mark)),
            Err(PublishErrorKind::WrongLastSequence) => {}
            Err(_) => return None,
        }
        // Records end by their age: then the last is an earlier one, or none.
        let last = self.last(subject).await?;
        if last >= after {
            return Some(FromStore::Overtaken);
        }
        let mark = self.publish(subject, last, &payload, lasts).await.ok()?;
        Some(FromStore::Appended(mark))
    }

    async fn publish(
        &self,
        subject: &str,
        after: Mark,
        payload: &bytes::Bytes,
        lasts: Option<Duration>,
    ) -> Result<Mark, PublishErrorKind> {
        let mut message = PublishMessage::build()
            .payload(payload.clone())
            .expected_stream(STREAM)
            .expected_last_subject_sequence(after.0);
        if let Some(lasts) = lasts {
            message = message.ttl(lasts.max(Duration::from_secs(1)));
        }
        let sent = self.context.send_publish(subject.to_owned(), message).await;
        let ack = sent.map_err(|error| error.kind())?.await;
        let ack = ack.map_err(|error| error.kind())?;
        Ok(Mark(ack.sequence))
    }

    async fn forget(&self, subject: &str, through: Option<Mark>) -> Option<FromStore> {
        let purge = self.stream().await?.purge().filter(subject);
        let purged = match through {
            Some(Mark(through)) => purge.sequence(through + 1).await,
            None => purge.await,
        };
        // With the stream all of it is gone.
        (purged.is_ok() || self.is_gone().await).then_some(FromStore::Forgotten)
    }
}

/// What is told of a connection. Errors of a server may quote what was sent.
fn tell(event: &Event, sign: &StoreSign) {
    match event {
        Event::Connected => {
            sign.show(Store::Connected);
            tracing::info!("NATS is connected");
        }
        Event::Disconnected => {
            sign.show(Store::Away);
            tracing::warn!("NATS is away: nothing is stored until it is back");
        }
        Event::LameDuckMode => tracing::info!("NATS is about to go away"),
        Event::ServerError(_) => tracing::warn!("NATS refuses something; its own log says what"),
        Event::ClientError(_) => tracing::warn!("the connection to NATS has a fault"),
        Event::SlowConsumer(_) | Event::Draining | Event::Closed => {}
    }
}

/// The stream, as it is made where there is none. What must survive the loss of
/// a machine is asked of NATS: a stream made before with replicas stays so.
fn config() -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{SUBJECT}.>")],
        description: Some("What was said in durable rooms of Porthouse".to_owned()),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        allow_message_ttl: true,
        ..Config::default()
    }
}

/// What of a stream would lose what was stored, or cannot keep it.
fn unfit(found: &Config) -> Option<&'static str> {
    let ours = config();
    [
        ("subjects", found.subjects == ours.subjects),
        ("retention", found.retention == ours.retention),
        ("storage", found.storage == ours.storage),
        ("discard", found.discard == ours.discard),
        ("allow_msg_ttl", found.allow_message_ttl),
        ("max_age", found.max_age.is_zero()),
        ("max_msgs_per_subject", found.max_messages_per_subject <= 0),
        ("no_ack", !found.no_ack),
        ("sealed", !found.sealed),
        ("deny_purge", !found.deny_purge),
    ]
    .into_iter()
    .find_map(|(field, fits)| (!fits).then_some(field))
}

/// A room's subject. Names have characters that mean something in a subject.
fn subject(room: &StoredRoom) -> String {
    let mut subject = SUBJECT.to_owned();
    part(&mut subject, room.id.as_bytes());
    part(&mut subject, room.name.as_str().as_bytes());
    subject
}

fn part(subject: &mut String, bytes: &[u8]) {
    subject.push('.');
    for byte in bytes {
        // A `String` takes everything.
        let _ = write!(subject, "{byte:02x}");
    }
}

/// The identity in a subject; `None`: it is none of ours.
pub(super) fn room_of(subject: &str) -> Option<RoomId> {
    let id = subject.strip_prefix(SUBJECT)?.strip_prefix('.')?;
    let (id, _) = id.split_once('.')?;
    let id = u128::from_str_radix(id, 16)
        .ok()
        .filter(|_| id.len() == 32)?;
    Some(RoomId::from_bytes(id.to_be_bytes()))
}

#[cfg(test)]
mod tests;
