//! `PolicyService.Explain`: reads what a case needs in one snapshot, and has it
//! decided by what decides at a node's door. Decides nothing itself.

use std::net::IpAddr;
use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_api::node::v1::{self, watch_question::What};
use porthouse_model::Room;
use porthouse_model::{
    Act, Block, EntryStep, Member, Refused, Revision, RoomId, RoomName, RoomRules, Session,
    SessionId, Template, UserId, Username,
};
use porthouse_rules::{Case, Outcome, Place, Rules, Sight, Told, Who, remedy};
use uuid::Uuid;
use wire::case::Who as WireWho;

use crate::policy::asking::AskError;
use crate::store::moment::unix_time;
use crate::store::{Connection, address, covering, device_tokens, kept_out, log, resolve, users};

use super::error::{ApiError, Kind};
use super::{Api, resource_name, revision_to_wire, room_rule, time};

/// How long nodes may take to say what they know.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);
/// The longest origin, as browsers send them.
const ORIGIN_BYTES_MAX: usize = 512;

/// A case as it was asked, parsed.
struct Asked {
    who: AskedWho,
    address: Option<IpAddr>,
    origin: Option<String>,
    room: RoomName,
    act: Act,
}

#[derive(Clone)]
enum AskedWho {
    Anonymous,
    User(Username),
    Session(Uuid),
    Device(Uuid),
}

/// What the case comes to know, all of one snapshot.
struct Read {
    revision: Revision,
    comes: Comes,
    stands: Stands,
    member: Option<Member>,
    block: Option<Block>,
}

enum Comes {
    Anonymous,
    User(UserId),
    Session(Session),
    Ended,
}

enum Stands {
    Room(Room),
    Template(Template),
    Nothing,
}

impl Api {
    /// Says what a refusal came of, as the node has kept it that refused.
    pub(super) async fn explain_refusal(
        &self,
        id: &str,
    ) -> Result<wire::ExplainResponse, ApiError> {
        let digits = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let refusal_id = u64::from_str_radix(id, 16).ok().filter(|_| digits);
        let rule = "16 hexadecimal digits, as a client was told them";
        let refusal_id = refusal_id.ok_or_else(|| ApiError::field("refusal_id", rule))?;
        let question = What::Recall(v1::RecallQuestion { refusal_id });
        let known = |answer: &v1::WatchAnswer| answer.what.is_some();
        let asked = self.asking.ask(question, ANSWER_TIME_MAX, known).await;
        let heard = asked.map_err(ApiError::from)?;
        for (node, answer) in heard.answers {
            if let Some(v1::watch_answer::What::Recalled(recalled)) = answer.what {
                return Ok(recalled_to_wire(&node, recalled));
            }
        }
        if heard.silent.is_empty() {
            Err(ApiError::RefusalNotKept(id.to_owned()))
        } else {
            Err(ApiError::NodesSilent(heard.silent))
        }
    }

    /// Says what would come of a case.
    pub(super) async fn explain_case(
        &self,
        case: wire::Case,
    ) -> Result<wire::ExplainResponse, ApiError> {
        let now = Utc::now();
        let at = time::future("case.time", case.time, now)?.unwrap_or(now);
        let asked = Asked::read(case)?;
        let (who, room) = (asked.who.clone(), asked.room.clone());
        let read = self
            .read(move |c| async move { read(c, &who, &room).await }.boxed())
            .await?;
        let rules = read.stands.rules().map(|rules| {
            // As a node does with rules that it cannot keep.
            Rules::compile(rules.clone()).unwrap_or_else(|_| Rules::shut())
        });
        let place = match (&read.stands, &rules) {
            (Stands::Room(room), Some(rules)) => Place::Room(room, rules),
            (Stands::Template(_), Some(rules)) => Place::Template(rules),
            (Stands::Nothing, _) | (_, None) => Place::Nothing,
        };
        let case = Case {
            who: match &read.comes {
                Comes::Anonymous => Who::Anonymous,
                Comes::User(user) => Who::User(*user),
                Comes::Session(session) => Who::Session(session),
                Comes::Ended => Who::Ended,
            },
            name: &asked.room,
            place,
            member: read.member,
            block: read.block,
            address: asked.address,
            origin: asked.origin.as_deref(),
            wall: unix_time(at),
        };
        Ok(wire::ExplainResponse {
            revision: revision_to_wire(Some(read.revision)),
            ..to_wire(&case.decide(asked.act))
        })
    }
}

impl Asked {
    fn read(case: wire::Case) -> Result<Self, ApiError> {
        let act = match wire::Act::try_from(case.act) {
            Ok(wire::Act::Unspecified) => Some(Act::Join),
            Ok(act) => room_rule::act_from_wire(act),
            Err(_) => None,
        };
        let origin = case.origin;
        if origin.len() > ORIGIN_BYTES_MAX || !origin.bytes().all(|byte| byte.is_ascii_graphic()) {
            let rule = "an origin as browsers send it, such as https://app.example";
            return Err(ApiError::field("case.origin", rule));
        }
        let address = match case.address.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| {
                ApiError::field("case.address", "an IPv4 or IPv6 address, or empty")
            })?),
        };
        Ok(Self {
            who: match case.who {
                None => AskedWho::Anonymous,
                Some(WireWho::User(name)) => {
                    AskedWho::User(resource_name::user("case.user", &name)?)
                }
                Some(WireWho::Session(name)) => {
                    AskedWho::Session(resource_name::session("case.session", &name)?)
                }
                Some(WireWho::DeviceToken(name)) => {
                    AskedWho::Device(resource_name::device_token("case.device_token", &name)?)
                }
            },
            address,
            origin: Some(origin).filter(|origin| !origin.is_empty()),
            room: resource_name::room("case.room", &case.room)?,
            act: act.ok_or_else(|| ApiError::field("case.act", "an act that is known"))?,
        })
    }
}

impl Stands {
    fn rules(&self) -> Option<&RoomRules> {
        match self {
            Self::Room(room) => Some(&room.rules),
            Self::Template(template) => Some(&template.rules),
            Self::Nothing => None,
        }
    }
}

async fn read(c: &mut Connection, who: &AskedWho, name: &RoomName) -> Result<Read, ApiError> {
    // The first statement takes the snapshot that all of them see.
    let revision = log::head(c).await?;
    let comes = comes(c, who).await?;
    let stands = stands(c, name).await?;
    let user = match &comes {
        Comes::Anonymous | Comes::Ended => None,
        Comes::User(user) => Some(*user),
        Comes::Session(session) => Some(session.user),
    };
    let pair: Vec<(RoomId, UserId)> = match (&stands, user) {
        (Stands::Room(room), Some(user)) => vec![(room.id, user)],
        (Stands::Room(_) | Stands::Template(_) | Stands::Nothing, _) => Vec::new(),
    };
    let members = resolve::members(c, &pair).await?;
    let blocks = kept_out::blocks(c, &pair).await?;
    Ok(Read {
        revision,
        comes,
        stands,
        member: members.into_values().map(|(member, _)| member).next(),
        block: blocks.into_values().next(),
    })
}

async fn comes(c: &mut Connection, who: &AskedWho) -> Result<Comes, ApiError> {
    match who {
        AskedWho::Anonymous => Ok(Comes::Anonymous),
        AskedWho::User(name) => {
            let user = users::by_name(c, name).await?;
            let absent = || ApiError::Absent(Kind::User, format!("users/{name}"));
            let user = user.ok_or_else(absent)?;
            Ok(if user.disabled {
                Comes::Ended
            } else {
                Comes::User(UserId::from_bytes(user.id.into_bytes()))
            })
        }
        AskedWho::Session(id) => {
            let mut found = resolve::sessions_by_id(c, &[*id]).await?;
            let session = found.remove(&SessionId::from_bytes(id.into_bytes()));
            Ok(session.map_or(Comes::Ended, Comes::Session))
        }
        AskedWho::Device(id) => {
            let mut found = device_tokens::opened_by_id(c, &[*id]).await?;
            let session = found.remove(id).map(|(_, session)| session);
            Ok(session.map_or(Comes::Ended, Comes::Session))
        }
    }
}

async fn stands(c: &mut Connection, name: &RoomName) -> Result<Stands, ApiError> {
    if name.freeport_of().is_some() {
        let mut found = address::freeports(c, std::slice::from_ref(name)).await?;
        return Ok(found.remove(name).map_or(Stands::Nothing, Stands::Room));
    }
    let names = [name.as_str()];
    if let Some(room) = resolve::rooms_by_name(c, &names).await?.remove(name) {
        return Ok(Stands::Room(room));
    }
    let mut covering = covering::templates_covering(c, &names).await?;
    let template = covering.remove(name.as_str());
    Ok(template.map_or(Stands::Nothing, Stands::Template))
}

fn to_wire(told: &Told) -> wire::ExplainResponse {
    let found = told.sight.standing();
    match &told.outcome {
        Some(Outcome::Allowed) => wire::ExplainResponse {
            decision: wire::Decision::Allowed.into(),
            found,
            ..wire::ExplainResponse::default()
        },
        Some(Outcome::Asked(steps)) => wire::ExplainResponse {
            decision: wire::Decision::Asked.into(),
            rule: "entry.steps".to_owned(),
            needed: format!("to pass, in this order: {}", listed(steps)),
            found,
            remedy: "answer what is asked, or change rules.entry.steps".to_owned(),
            steps: steps.iter().map(room_rule::step_to_wire).collect(),
            ..wire::ExplainResponse::default()
        },
        Some(Outcome::Refused(refused)) => refused_to_wire(*refused, &told.sight),
        None => wire::ExplainResponse {
            decision: wire::Decision::ByNode.into(),
            code: 0,
            ..refused_to_wire(Refused::NoSuchRoom, &Sight::default())
        },
    }
}

fn refused_to_wire(refused: Refused, sight: &Sight) -> wire::ExplainResponse {
    wire::ExplainResponse {
        decision: wire::Decision::Refused.into(),
        rule: refused.rule().to_owned(),
        needed: refused.needed().to_owned(),
        found: sight.found(refused),
        remedy: remedy(refused).to_owned(),
        code: refused.code().0.into(),
        ..wire::ExplainResponse::default()
    }
}

/// What a node says, as it is answered. Its texts are the node's own.
fn recalled_to_wire(node: &str, recalled: v1::Recalled) -> wire::ExplainResponse {
    let uuid = |bytes: &[u8]| Uuid::from_slice(bytes).ok().map(|uuid| uuid.to_string());
    let named = |collection: &str, last: Option<String>| {
        last.map_or_else(String::new, |last| format!("{collection}/{last}"))
    };
    wire::ExplainResponse {
        decision: wire::Decision::Refused.into(),
        rule: recalled.rule,
        needed: recalled.needed,
        found: recalled.found,
        remedy: recalled.remedy,
        steps: Vec::new(),
        code: recalled.code,
        revision: recalled.revision,
        node: format!("nodes/{node}"),
        room: named("rooms", Some(recalled.room).filter(|room| !room.is_empty())),
        user_uid: uuid(&recalled.user_id).unwrap_or_default(),
        session: named("sessions", uuid(&recalled.session_id)),
        device_token: named("deviceTokens", uuid(&recalled.device_token_id)),
        refuse_time: recalled.time,
    }
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Busy => Self::NodesBusy,
            AskError::Store(error) => error.into(),
        }
    }
}

fn listed(steps: &[EntryStep]) -> String {
    let name = |step: &EntryStep| match step {
        EntryStep::Password(_) => "password",
        EntryStep::SecondFactor { .. } => "second_factor",
        EntryStep::RoomCode(_) => "room_code",
        EntryStep::Approval => "approval",
        EntryStep::Hook(_) => "hook",
    };
    steps.iter().map(name).collect::<Vec<_>>().join(", ")
}
