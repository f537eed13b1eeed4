//! A header line, read: JSON once through, nothing copied that need not be, then
//! its fields as one op asks for them. Owns the fields' limits and the words for
//! what is wrong. Never shows a secret.

use std::borrow::Cow;

use core::fmt;

use porthouse_model::{BadCredential, ClientId, Credential, CredentialKind, RoomName, TokenHash};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::value::{Clients, Text, Unknown, shown};
use super::{Answer, Comeback, Id, Level, LineError, LineFault, Op};
use crate::home::Range;
use crate::people::RoomLife;
use crate::question::{DeviceMark, Secret};
use crate::settings::Settings;
use crate::waiting::Decision;

/// The longest password.
const PASSWORD_BYTES_MAX: usize = 1024;
/// The longest token of an identity provider, where a line is as long.
const JWT_BYTES_MAX: usize = 16 * 1024;
/// The longest code, recovery codes included.
const CODE_BYTES_MAX: usize = 64;
/// The longest key of a message.
pub(crate) const KEY_BYTES_MAX: usize = 64;

/// Reads a line without its newline.
pub(super) fn read<'a>(
    line: &'a [u8],
    settings: &Settings,
) -> Result<(Option<Id>, Op<'a>), LineFault> {
    let Ok(text) = simdutf8::basic::from_utf8(line) else {
        return Err(bad(None, LineError::new("header", "UTF-8")));
    };
    let mut header = Header::new(settings.receivers_named_max);
    let mut json = serde_json::Deserializer::from_str(text);
    let read = (&mut header)
        .deserialize(&mut json)
        .and_then(|()| json.end());
    match read {
        Ok(()) => {
            let id = header.id.take();
            match header.op() {
                Ok(op) => Ok((id, op)),
                Err(error) => Err(bad(id, error)),
            }
        }
        Err(error) => Err(bad(lone_id(text), header.why(&error))),
    }
}

const fn bad(id: Option<Id>, error: LineError) -> LineFault {
    LineFault::Bad { id, error }
}

/// The id of a line that is JSON but says nothing that can be done.
fn lone_id(text: &str) -> Option<Id> {
    let mut lone = LoneId::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let read = (&mut lone).deserialize(&mut json).and_then(|()| json.end());
    if read.is_ok() { lone.0 } else { None }
}

/// A field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Op,
    Id,
    Room,
    To,
    Except,
    Token,
    Jwt,
    Username,
    Password,
    Code,
    DeviceMark,
    Life,
    After,
    Client,
    Receipt,
    Key,
    Since,
    Before,
    Last,
    Resume,
    Offset,
    Rejoin,
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "op" => Self::Op,
            "id" => Self::Id,
            "room" => Self::Room,
            "to" => Self::To,
            "except" => Self::Except,
            "token" => Self::Token,
            "jwt" => Self::Jwt,
            "username" => Self::Username,
            "password" => Self::Password,
            "code" => Self::Code,
            "device_mark" => Self::DeviceMark,
            "life" => Self::Life,
            "after" => Self::After,
            "client" => Self::Client,
            "receipt" => Self::Receipt,
            "key" => Self::Key,
            "since" => Self::Since,
            "before" => Self::Before,
            "last" => Self::Last,
            "resume" => Self::Resume,
            "offset" => Self::Offset,
            "rejoin" => Self::Rejoin,
            _ => return None,
        })
    }

    /// Name, and what its value must be.
    const fn rule(self) -> (&'static str, &'static str) {
        match self {
            Self::Op => (
                "op",
                "one of auth, renew, join, answer, leave, send, history, resume, admit, refuse, kick, presence, pass, rules, ping",
            ),
            Self::Id => ("id", super::id::ID_NEEDED),
            Self::Room => ("room", "a room's name, as a string"),
            Self::To => ("to", "a list of client ids, as `admitted` gives them"),
            Self::Except => ("except", "a list of client ids, as `admitted` gives them"),
            Self::Token => ("token", "a session's token, as a string"),
            Self::Jwt => ("jwt", "1 to 16384 bytes without NUL, as a string"),
            Self::Username => ("username", "a user's name, as a string"),
            Self::Life => ("life", "`peer` or `peerless`"),
            Self::After => ("after", "a client id, as `presence` gives it"),
            Self::Password => (
                "password",
                "1 to 1024 bytes of UTF-8 without NUL, as a string",
            ),
            Self::Code => ("code", "1 to 64 bytes without NUL, as a string"),
            Self::DeviceMark => (
                "device_mark",
                "a mark, as `authenticated` gives it, or an empty string",
            ),
            Self::Client => ("client", "a client id, as `admitted` or `waiting` gives it"),
            Self::Receipt => ("receipt", "accepted, relayed or stored"),
            Self::Key => ("key", "1 to 64 bytes, as a string"),
            Self::Since => ("since", "an offset"),
            Self::Before => ("before", "an offset"),
            Self::Last => ("last", "how many messages"),
            Self::Resume => ("resume", "a token, as `admitted` gives it"),
            Self::Offset => ("offset", "the last offset seen, beside `resume`"),
            Self::Rejoin => ("rejoin", "true or false"),
        }
    }

    fn error(self) -> LineError {
        let (rule, needed) = self.rule();
        LineError::new(rule, needed)
    }
}

/// A line's fields as they come.
struct Header<'a> {
    receivers_named_max: usize,
    /// The field whose value is being read.
    at: Option<Field>,
    /// What is wrong, once something is.
    error: Option<LineError>,
    id: Option<Id>,
    op: Option<Cow<'a, str>>,
    room: Option<Cow<'a, str>>,
    to: Option<Vec<ClientId>>,
    except: Option<Vec<ClientId>>,
    token: Option<Cow<'a, str>>,
    jwt: Option<Cow<'a, str>>,
    username: Option<Cow<'a, str>>,
    password: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    device_mark: Option<Cow<'a, str>>,
    life: Option<Cow<'a, str>>,
    after: Option<Cow<'a, str>>,
    client: Option<Cow<'a, str>>,
    receipt: Option<Cow<'a, str>>,
    key: Option<Cow<'a, str>>,
    range: Range,
    resume: Option<Cow<'a, str>>,
    offset: Option<u64>,
    rejoin: Option<bool>,
}

impl<'a> Header<'a> {
    const fn new(receivers_named_max: usize) -> Self {
        Self {
            receivers_named_max,
            at: None,
            error: None,
            id: None,
            op: None,
            room: None,
            to: None,
            except: None,
            token: None,
            jwt: None,
            username: None,
            password: None,
            code: None,
            device_mark: None,
            life: None,
            after: None,
            client: None,
            receipt: None,
            key: None,
            range: Range {
                after: None,
                before: None,
                last: None,
            },
            resume: None,
            offset: None,
            rejoin: None,
        }
    }

    /// The fields, as their op asks for them.
    fn op(self) -> Result<Op<'a>, LineError> {
        match self.op.as_deref() {
            Some("send") => self.send(),
            Some("join") => Ok(Op::Join {
                room: self.room()?,
                life: life(self.life.as_deref())?,
                token: self.token()?,
            }),
            Some("resume") => Ok(Op::Resume { room: self.room()? }),
            Some("presence") => Ok(Op::Presence {
                room: self.room()?,
                after: client(Field::After, self.after.as_deref())?,
            }),
            Some("pass") => Ok(Op::Pass {
                room: self.room()?,
                client: client(Field::Client, self.client.as_deref())?
                    .ok_or_else(|| Field::Client.error())?,
            }),
            Some("rules") => Ok(Op::Rules { room: self.room()? }),
            Some("answer") => self.answer(),
            Some("admit") => self.decide(Decision::Admit),
            Some("refuse") => self.decide(Decision::Refuse),
            Some("kick") => self.kick(),
            Some("leave") => Ok(Op::Leave { room: self.room()? }),
            Some("history") => Ok(Op::History {
                room: self.room()?,
                range: self.range,
            }),
            Some("ping") => Ok(Op::Ping),
            Some("auth") => self.auth(),
            Some("renew") => {
                let token = self.token.ok_or_else(|| Field::Token.error())?;
                Ok(Op::Renew {
                    token: session(&token),
                })
            }
            other => Err(LineError {
                found: other.map(shown),
                ..Field::Op.error()
            }),
        }
    }

    fn answer(self) -> Result<Op<'a>, LineError> {
        let room = self.room()?;
        let answer = match (self.password, self.code) {
            (Some(password), None) => {
                Answer::Password(secret(password, Field::Password, PASSWORD_BYTES_MAX)?)
            }
            (None, Some(code)) => Answer::Code(secret(code, Field::Code, CODE_BYTES_MAX)?),
            (Some(_), Some(_)) | (None, None) => {
                return Err(LineError::new("answer", "either `password` or `code`"));
            }
        };
        Ok(Op::Answer { room, answer })
    }

    fn kick(self) -> Result<Op<'a>, LineError> {
        let client = client(Field::Client, self.client.as_deref())?;
        Ok(Op::Kick {
            room: self.room()?,
            client: client.ok_or_else(|| Field::Client.error())?,
            comeback: match self.rejoin {
                Some(true) => Comeback::AtOnce,
                Some(false) | None => Comeback::Later,
            },
        })
    }

    fn decide(self, decision: Decision) -> Result<Op<'a>, LineError> {
        let client = self.client.as_deref().and_then(|text| text.parse().ok());
        Ok(Op::Decide {
            room: self.room()?,
            client: client.ok_or_else(|| Field::Client.error())?,
            decision,
        })
    }

    fn send(self) -> Result<Op<'a>, LineError> {
        Ok(Op::Send {
            room: self.room.ok_or_else(|| Field::Room.error())?,
            to: self.to.unwrap_or_default(),
            except: self.except.unwrap_or_default(),
            receipt: receipt(self.receipt.as_deref())?,
            key: key(self.key)?,
        })
    }

    fn auth(self) -> Result<Op<'a>, LineError> {
        let either = "either `token`, `jwt`, or `username` and `password`, or then `code`";
        if let Some(jwt) = self.jwt {
            let alone = self.token.is_none() && self.username.is_none();
            if !alone || self.password.is_some() || self.code.is_some() {
                return Err(LineError::new("auth", either));
            }
            let jwt = secret(jwt, Field::Jwt, JWT_BYTES_MAX)?;
            return Ok(Op::AuthJwt { jwt });
        }
        let device = device(self.device_mark.as_deref());
        match (self.token, self.username, self.code) {
            (Some(token), None, None) if self.password.is_none() => Ok(Op::AuthSession {
                token: session(&token),
            }),
            (None, None, Some(code)) if self.password.is_none() => Ok(Op::AuthCode {
                code: secret(code, Field::Code, CODE_BYTES_MAX)?,
                device,
            }),
            (None, Some(username), None) => Ok(Op::AuthPassword {
                username: username.parse().map_err(|bad| named("username", &bad))?,
                password: secret(
                    self.password.unwrap_or_default(),
                    Field::Password,
                    PASSWORD_BYTES_MAX,
                )?,
                device,
            }),
            (Some(_) | None, _, _) => Err(LineError::new("auth", either)),
        }
    }

    /// A token of any length and form is one that opens nothing.
    fn token(&self) -> Result<Option<(Secret, Option<u64>)>, LineError> {
        match (self.resume.as_deref(), self.offset) {
            (Some(token), offset) => Ok(Some((Secret::new(token.to_owned()), offset))),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Field::Offset.error()),
        }
    }

    fn room(&self) -> Result<RoomName, LineError> {
        let room = self.room.as_deref().ok_or_else(|| Field::Room.error())?;
        room.parse().map_err(|bad| named("room", &bad))
    }

    /// What is wrong with a line that could not be read to its end.
    fn why(self, error: &serde_json::Error) -> LineError {
        let of_field = self.at.filter(|_| error.is_data()).map(Field::error);
        self.error.or(of_field).unwrap_or_else(|| LineError {
            found: Some(format!("column {}", error.column())),
            ..LineError::new(
                "header",
                "one line of JSON: an object whose keys all differ",
            )
        })
    }
}

fn session(token: &str) -> Result<TokenHash, BadCredential> {
    Credential::of_client(token).map(|credential| credential.hash())
}

/// What is no mark is none: a device that mistypes it is merely unknown.
fn device(mark: Option<&str>) -> DeviceMark {
    let Some(mark) = mark else {
        return DeviceMark::Unkept;
    };
    Credential::parse(CredentialKind::Device, mark)
        .map_or(DeviceMark::Wanted, |mark| DeviceMark::Shown(mark.hash()))
}

fn named(rule: &'static str, bad: &porthouse_model::BadName) -> LineError {
    LineError::new(rule, bad.rule)
}

fn receipt(level: Option<&str>) -> Result<Level, LineError> {
    level.map_or(Ok(Level::default()), |level| {
        Level::named(level).ok_or_else(|| LineError {
            found: Some(shown(level)),
            ..Field::Receipt.error()
        })
    })
}

fn key(key: Option<Cow<'_, str>>) -> Result<Option<Cow<'_, str>>, LineError> {
    match &key {
        Some(text) if text.is_empty() || text.len() > KEY_BYTES_MAX => Err(Field::Key.error()),
        Some(_) | None => Ok(key),
    }
}

fn secret(text: Cow<'_, str>, field: Field, bytes_max: usize) -> Result<Secret, LineError> {
    if text.is_empty() || text.len() > bytes_max || text.contains('\0') {
        return Err(field.error());
    }
    Ok(Secret::new(text.into_owned()))
}

fn life(text: Option<&str>) -> Result<Option<RoomLife>, LineError> {
    match text {
        None => Ok(None),
        Some("peer") => Ok(Some(RoomLife::Peer)),
        Some("peerless") => Ok(Some(RoomLife::Peerless)),
        Some(_) => Err(Field::Life.error()),
    }
}

fn client(field: Field, text: Option<&str>) -> Result<Option<ClientId>, LineError> {
    let client = text.map(str::parse);
    client.transpose().map_err(|_| field.error())
}

impl<'de> DeserializeSeed<'de> for &mut Header<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Header<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut unknown = Unknown::default();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            let Some(field) = Field::named(&name) else {
                unknown.add(name).map_err(|error| self.fail(error))?;
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            self.at = Some(field);
            self.take(field, &mut map)?;
            self.at = None;
        }
        Ok(())
    }
}

impl<'de> Header<'de> {
    /// Reads a field's value.
    fn take<A: MapAccess<'de>>(&mut self, field: Field, map: &mut A) -> Result<(), A::Error> {
        let text = match field {
            Field::Id => {
                return if self.id.is_none() {
                    self.id = Some(map.next_value()?);
                    Ok(())
                } else {
                    Err(self.fail(twice(field)))
                };
            }
            Field::To | Field::Except => return self.receivers(field, map),
            Field::Since => return once(&mut self.range.after, map),
            Field::Before => return once(&mut self.range.before, map),
            Field::Last => return once(&mut self.range.last, map),
            Field::Offset => return once(&mut self.offset, map),
            Field::Rejoin => return once(&mut self.rejoin, map),
            Field::Resume => &mut self.resume,
            Field::Op => &mut self.op,
            Field::Room => &mut self.room,
            Field::Token => &mut self.token,
            Field::Jwt => &mut self.jwt,
            Field::Username => &mut self.username,
            Field::Password => &mut self.password,
            Field::Code => &mut self.code,
            Field::DeviceMark => &mut self.device_mark,
            Field::Life => &mut self.life,
            Field::After => &mut self.after,
            Field::Client => &mut self.client,
            Field::Receipt => &mut self.receipt,
            Field::Key => &mut self.key,
        };
        if text.is_some() {
            return Err(self.fail(twice(field)));
        }
        *text = Some(map.next_value::<Text<'de>>()?.0);
        Ok(())
    }

    fn receivers<A: MapAccess<'de>>(&mut self, field: Field, map: &mut A) -> Result<(), A::Error> {
        let clients_max = self.receivers_named_max;
        let read = map.next_value_seed(Clients { clients_max })?;
        let list = if field == Field::To {
            &mut self.to
        } else {
            &mut self.except
        };
        if list.is_some() {
            return Err(self.fail(twice(field)));
        }
        match read {
            Some(clients) if clients.is_empty() && field == Field::To => {
                Err(self.fail(LineError::new("to", "at least one client id, or no `to`")))
            }
            Some(clients) => {
                *list = Some(clients);
                Ok(())
            }
            None => Err(self.fail(LineError {
                needed: format!("at most {clients_max} client ids").into(),
                ..LineError::new("receivers_named_max", "")
            })),
        }
    }

    fn fail<E: Error>(&mut self, error: LineError) -> E {
        self.error = Some(error);
        E::custom("a field is wrong")
    }
}

/// A number, or whether something is so, once.
fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    at: &mut Option<T>,
    map: &mut A,
) -> Result<(), A::Error> {
    let value = map.next_value()?;
    if at.replace(value).is_some() {
        return Err(A::Error::duplicate_field("value"));
    }
    Ok(())
}

fn twice(field: Field) -> LineError {
    LineError {
        found: Some("twice".to_owned()),
        ..field.error()
    }
}

/// Looks for the id alone.
#[derive(Default)]
struct LoneId(Option<Id>);

impl<'de> DeserializeSeed<'de> for &mut LoneId {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut LoneId {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            if name != "id" {
                map.next_value::<IgnoredAny>()?;
            } else if self.0.is_some() {
                return Err(A::Error::duplicate_field("id"));
            } else {
                self.0 = Some(map.next_value()?);
            }
        }
        Ok(())
    }
}
