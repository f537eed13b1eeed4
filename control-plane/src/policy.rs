//! What nodes are told: the change feed, resolved keys, verdicts on answers, and
//! how far every node has come. Owns node.v1; never writes policy.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use porthouse_api::node::v1::policy_feed_service_server::PolicyFeedService;
use porthouse_api::node::v1::{
    CloseSessionRequest, CloseSessionResponse, CompleteSessionRequest, CompleteSessionResponse,
    FindDeletedRoomsRequest, FindDeletedRoomsResponse, KeepOutRequest, KeepOutResponse,
    MakeTicketRequest, MakeTicketResponse, OpenSessionRequest, OpenSessionResponse,
    RedeemTicketRequest, RedeemTicketResponse, ResolveRequest, ResolveResponse,
    VerifyRoomPasswordRequest, VerifyRoomPasswordResponse, VerifyStepRequest, VerifyStepResponse,
    WatchRequest, WatchResponse,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::api::{CallersKey, CodeCheck, Kicks, RoomCodeCheck, SignIn, Tickets, asker};
use crate::hook::Hooks;
use crate::identity::hashing::Hashing;
use crate::identity::turns::{self, Turns};
use crate::store::Store;
use crate::store::tail::Tail;

use places::Places;
use refusal::Refusal;
use waiting::Waiting;

pub(crate) mod applied;
pub(crate) mod asking;
mod deleted;
mod hook;
pub(crate) mod idle;
mod introduction;
mod kick;
mod last_seen;
mod lease;
mod opening;
pub(crate) mod outlived;
mod places;
mod questions;
mod refusal;
mod resolve;
mod step;
mod ticket;
mod verify;
mod waiting;
mod watch;

/// How many times at once it may be noted that device tokens are used.
const USES_NOTED_MAX: usize = 2;

/// How nodes are served.
#[derive(Clone, Debug)]
pub struct FeedSettings {
    /// How long word may go to a node after it last spoke. A node speaks each
    /// second; one that is silent for this long is cut off.
    pub lease: Duration,
    /// How long a node may leave a frame unread before it is cut off.
    pub stall_max: Duration,
    /// Watches that may be open at once.
    pub watches_max: usize,
    /// Resolves that may read at once. Fewer than there are connections, so that
    /// other calls have some.
    pub resolves_max: usize,
    /// Resolves that may stand in line to read. Nodes take turns, and past it the
    /// one that has the most in line is refused; nodes that show the same key are
    /// one here.
    pub resolves_queued_max: usize,
    /// Resolves that may wait at once for the revision they ask for; more are
    /// refused.
    pub resolves_waiting_max: usize,
    /// Of those, resolves of one node.
    pub resolves_waiting_each_max: usize,
    /// How long a resolve may wait for the revision it asks for.
    pub resolve_wait_max: Duration,
    /// How long a session may go unseen by any node before it ends.
    pub session_idle_max: Duration,
}

impl Default for FeedSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(5),
            stall_max: Duration::from_secs(3),
            watches_max: 1_024,
            resolves_max: 12,
            resolves_queued_max: 512,
            resolves_waiting_max: 1_024,
            resolves_waiting_each_max: 256,
            resolve_wait_max: Duration::from_secs(2),
            session_idle_max: Duration::from_hours(14 * 24),
        }
    }
}

/// Places to watch.
#[derive(Clone)]
pub(crate) struct Watches {
    places: Arc<Semaphore>,
    max: usize,
}

impl Watches {
    fn new(max: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(max)),
            max,
        }
    }

    fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// How many watch now.
    pub(crate) fn open(&self) -> usize {
        self.max - self.places.available_permits()
    }

    /// How many may watch at once.
    pub(crate) const fn max(&self) -> usize {
        self.max
    }
}

/// What verifies answers for nodes.
pub(crate) struct Verifiers {
    pub(crate) sign_in: SignIn,
    pub(crate) code: CodeCheck,
    pub(crate) room_code: RoomCodeCheck,
    pub(crate) hooks: Hooks,
    pub(crate) tickets: Tickets,
    pub(crate) kicks: Kicks,
}

/// The service that nodes ask.
pub(crate) struct PolicyFeed {
    store: Store,
    tail: Tail,
    hashing: Hashing,
    verifiers: Verifiers,
    settings: FeedSettings,
    watches: Watches,
    resolves: Turns,
    resolves_waiting: Places,
    /// Places to note that device tokens are used.
    uses: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    stop: CancellationToken,
}

impl PolicyFeed {
    /// The service; its watches end when `stop` is cancelled.
    pub(crate) fn new(
        store: Store,
        tail: Tail,
        verifiers: Verifiers,
        settings: FeedSettings,
        stop: CancellationToken,
    ) -> Self {
        Self {
            store,
            tail,
            hashing: verifiers.sign_in.hashing.clone(),
            verifiers,
            watches: Watches::new(settings.watches_max),
            resolves: Turns::new(turns::Places {
                running_max: settings.resolves_max,
                waiting_max: settings.resolves_queued_max,
            }),
            resolves_waiting: Places::new(
                settings.resolves_waiting_max,
                settings.resolves_waiting_each_max,
            ),
            uses: Arc::new(Semaphore::new(USES_NOTED_MAX)),
            waiting: Mutex::default(),
            settings,
            stop,
        }
    }

    /// How many watch.
    pub(crate) fn watches(&self) -> Watches {
        self.watches.clone()
    }
}

#[tonic::async_trait]
impl PolicyFeedService for PolicyFeed {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let key = request.extensions().get::<CallersKey>().copied();
        self.open_watch(key.ok_or(Refusal::KeyGone)?, request.into_inner())
            .map(Response::new)
    }

    async fn resolve(
        &self,
        request: Request<ResolveRequest>,
    ) -> Result<Response<ResolveResponse>, Status> {
        let key = request.extensions().get::<CallersKey>().copied();
        self.resolve_keys(key.ok_or(Refusal::KeyGone)?, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn verify_room_password(
        &self,
        request: Request<VerifyRoomPasswordRequest>,
    ) -> Result<Response<VerifyRoomPasswordResponse>, Status> {
        let asker = asker(&request, &request.get_ref().address);
        self.verify_password(asker, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn verify_step(
        &self,
        request: Request<VerifyStepRequest>,
    ) -> Result<Response<VerifyStepResponse>, Status> {
        self.verify_step_of(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn open_session(
        &self,
        request: Request<OpenSessionRequest>,
    ) -> Result<Response<OpenSessionResponse>, Status> {
        let asker = asker(&request, &request.get_ref().address);
        self.sign_in_user(asker, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn complete_session(
        &self,
        request: Request<CompleteSessionRequest>,
    ) -> Result<Response<CompleteSessionResponse>, Status> {
        self.complete_sign_in(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn close_session(
        &self,
        request: Request<CloseSessionRequest>,
    ) -> Result<Response<CloseSessionResponse>, Status> {
        self.sign_out(request.into_inner()).await.map(Response::new)
    }

    async fn keep_out(
        &self,
        request: Request<KeepOutRequest>,
    ) -> Result<Response<KeepOutResponse>, Status> {
        self.keep_out_of_room(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn find_deleted_rooms(
        &self,
        request: Request<FindDeletedRoomsRequest>,
    ) -> Result<Response<FindDeletedRoomsResponse>, Status> {
        self.deleted_of(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn make_ticket(
        &self,
        request: Request<MakeTicketRequest>,
    ) -> Result<Response<MakeTicketResponse>, Status> {
        self.make_ticket_of(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn redeem_ticket(
        &self,
        request: Request<RedeemTicketRequest>,
    ) -> Result<Response<RedeemTicketResponse>, Status> {
        self.take_ticket(request.into_inner())
            .await
            .map(Response::new)
    }
}
