//! Conformance vectors, as docs/vectors/README.md describes them: read into
//! steps. Owns the grammar; opens no socket and judges nothing.

use std::collections::BTreeMap;

use serde_json::Value;

/// One case.
#[derive(Debug)]
pub struct Case {
    /// What it shows.
    pub title: String,
    /// What happens, with the number of the line that says so.
    pub steps: Vec<(usize, Step)>,
}

/// A text that the holder of a token posts under a key.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// Where.
    pub path: String,
    /// How it is answered.
    pub status: u16,
    /// The token, or the name of one.
    pub token: String,
    /// The key.
    pub key: String,
    /// The text.
    pub text: String,
}

/// One line of a case.
#[derive(Clone, Debug)]
pub enum Step {
    /// There is such a user, signed in.
    User(String),
    /// The user has a second factor from here on.
    Factor(String),
    /// There is another session of this name, of a user.
    Session(String, String),
    /// There is such a room, with these rules.
    Room(String, Vec<String>),
    /// The user is a member of the room, for so many seconds if that is said.
    Member(String, String, Option<u32>),
    /// An endpoint of this name leads to these rooms.
    Endpoint(String, Vec<String>),
    /// An address that a backend was given leads to these rooms.
    Alias(String, Vec<String>),
    /// An endpoint or an address that was given is withdrawn.
    Withdraw(String),
    /// A socket is opened.
    Open(String, Request),
    /// An event stream is opened.
    Listen(String, Request),
    /// A text is posted, and answered with a status.
    Post(String, u16, String),
    /// The same by the holder of a token, under a key.
    Keyed(Keyed),
    /// A request is refused with a status, by a rule.
    Refused(Request, u16, String),
    /// A socket sends.
    Send(String, Message),
    /// A socket gets.
    Get(String, Message),
    /// A socket is closed, with a code, by a rule.
    Closed(String, u16, String),
    /// A socket closes.
    Close(String),
    /// A backend says this in the room.
    Publish(String, String),
    /// A backend puts a socket's client out of a room.
    Kick(String, String),
    /// A backend decides about a socket's client that waits for a room: whether it
    /// is let in.
    Decide(String, String, bool),
    /// A backend moves a socket's client from a room to another.
    Move(String, String, String),
    /// A user's session ends.
    Revoke(String),
    /// A room is deleted.
    Delete(String),
}

/// A handshake.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where.
    pub path: String,
    /// Subprotocols, origin, credential and last event.
    pub words: Vec<String>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Binary.
    Binary(Vec<u8>),
}

/// What a case's sockets are sent by an event stream, as it is compared: line by
/// line, JSON as JSON, and an id that is a name by what it stands for.
///
/// # Errors
///
/// What differs.
pub fn same_event(names: &mut Names, expected: &str, found: &[String]) -> Result<(), String> {
    let expected: Vec<&str> = expected.split('\n').collect();
    if expected.len() != found.len() {
        return Err(format!("expected {} lines", expected.len()));
    }
    for (expected, found) in expected.into_iter().zip(found) {
        let field = |text: &str| -> Option<(String, Value)> {
            let (field, value) = text.split_once(": ")?;
            let json = if field == "data" && value.starts_with('{') {
                serde_json::from_str(value).ok()?
            } else {
                Value::String(value.to_owned())
            };
            Some((field.to_owned(), json))
        };
        match (field(expected), field(found.as_str())) {
            (Some((name, expected)), Some((own, found))) if name == own => {
                names.same(&expected, &found)?;
            }
            (Some(_) | None, _) => return Err(format!("expected {expected}, found {found}")),
        }
    }
    Ok(())
}

/// Reads a file's cases.
///
/// # Errors
///
/// The number of the first line that is none, and the line.
pub fn read(file: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in (1..).zip(file.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || format!("line {number} is no step: {line}");
        if let Some(title) = line.strip_prefix("case ") {
            cases.push(Case {
                title: title.to_owned(),
                steps: Vec::new(),
            });
            continue;
        }
        let case = cases.last_mut().ok_or_else(wrong)?;
        case.steps.push((number, step(line).ok_or_else(wrong)?));
    }
    Ok(cases)
}

fn step(line: &str) -> Option<Step> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut words = rest.split_whitespace().map(str::to_owned);
    let mut next = || words.next();
    Some(match word {
        "user" => Step::User(next()?),
        "factor" => Step::Factor(next()?),
        "session" => Step::Session(next()?, next()?),
        "room" => Step::Room(next()?, words.collect()),
        "member" => {
            let (room, user) = (next()?, next()?);
            let seconds = match next() {
                Some(seconds) => Some(seconds.parse().ok()?),
                None => None,
            };
            Step::Member(room, user, seconds)
        }
        "endpoint" => Step::Endpoint(next()?, words.collect()),
        "alias" => Step::Alias(next()?, words.collect()),
        "withdraw" => Step::Withdraw(next()?),
        "open" | "listen" => {
            let (socket, path) = (next()?, next()?);
            let words = words.collect();
            let request = Request { path, words };
            if word == "open" {
                Step::Open(socket, request)
            } else {
                Step::Listen(socket, request)
            }
        }
        "post" => {
            let (path, rest) = rest.split_once(' ')?;
            let (status, text) = rest.split_once(' ')?;
            Step::Post(path.to_owned(), status.parse().ok()?, unescaped(text))
        }
        "keyed" => {
            let (path, rest) = rest.split_once(' ')?;
            let (status, rest) = rest.split_once(' ')?;
            let (token, rest) = rest.split_once(' ')?;
            let (key, text) = rest.split_once(' ')?;
            Step::Keyed(Keyed {
                path: path.to_owned(),
                status: status.parse().ok()?,
                token: token.to_owned(),
                key: key.to_owned(),
                text: unescaped(text),
            })
        }
        "refused" => {
            next()?;
            let (path, status, rule) = (next()?, next()?.parse().ok()?, next()?);
            let words = words.collect();
            Step::Refused(Request { path, words }, status, rule)
        }
        "publish" => {
            let (room, text) = rest.split_once(' ')?;
            Step::Publish(room.to_owned(), text.to_owned())
        }
        "kick" => Step::Kick(next()?, next()?),
        "admit" | "turn-away" => Step::Decide(next()?, next()?, word == "admit"),
        "move" => Step::Move(next()?, next()?, next()?),
        "revoke" => Step::Revoke(next()?),
        "delete" => Step::Delete(next()?),
        _ => return talk(word, rest),
    })
}

/// What a socket says or gets; its name stands before the sign.
fn talk(word: &str, rest: &str) -> Option<Step> {
    let at = word.find(|char: char| !char.is_ascii_alphanumeric())?;
    let (socket, sign) = word.split_at(at);
    let socket = socket.to_owned();
    Some(match sign {
        ">" => Step::Send(socket, Message::Text(unescaped(rest))),
        "<" => Step::Get(socket, Message::Text(unescaped(rest))),
        ">>" => Step::Send(socket, Message::Binary(bytes(rest)?)),
        "<<" => Step::Get(socket, Message::Binary(bytes(rest)?)),
        "!" => {
            let (code, rule) = rest.split_once(' ')?;
            Step::Closed(socket, code.parse().ok()?, rule.to_owned())
        }
        "/" => Step::Close(socket),
        _ => return None,
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()
}

/// `\n` outside of JSON strings is a newline: what stands after the header line
/// may hold anything, so the first that ends the header is taken.
fn unescaped(text: &str) -> String {
    match text.split_once("}\\n") {
        Some((header, payload)) => {
            format!(
                "{header}}}\n{}",
                payload.replace("\\n", "\n").replace("\\\\", "\\")
            )
        }
        None if text.starts_with('{') => text.to_owned(),
        None => text.replace("\\n", "\n").replace("\\\\", "\\"),
    }
}

/// What the names of a case stand for.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// A name stands for this from here on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// A text with its names replaced; the longest name that fits counts.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let names = self.0.iter().rev();
        names.fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${name}"), value)
        })
    }

    /// Whether what came is what was expected; learns names that are new.
    ///
    /// # Errors
    ///
    /// What differs.
    pub fn same(&mut self, expected: &Value, found: &Value) -> Result<(), String> {
        match (expected, found) {
            (Value::Object(expected), Value::Object(found)) => {
                expected.iter().try_for_each(|(key, expected)| {
                    let found = found.get(key).unwrap_or(&Value::Null);
                    self.same(expected, found)
                        .map_err(|error| format!("{key}: {error}"))
                })
            }
            (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
                let mut pairs = expected.iter().zip(found);
                pairs.try_for_each(|(expected, found)| self.same(expected, found))
            }
            (Value::String(text), _) if text.starts_with('$') => {
                let value = found
                    .as_str()
                    .map_or_else(|| found.to_string(), str::to_owned);
                let known = self
                    .0
                    .entry(text[1..].to_owned())
                    .or_insert_with(|| value.clone());
                if *known == value {
                    Ok(())
                } else {
                    Err(format!("{text} was {known}, not {value}"))
                }
            }
            _ if expected == found => Ok(()),
            _ => Err(format!("expected {expected}, found {found}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_case_is_read_line_by_line() {
        let cases = read(
            "# note\n\ncase a\nroom r text\na> {\"op\":\"send\"}\\nx\\ny\na<< 00ff\na! 1000 room\na/\n",
        );
        let cases = cases.expect("it is one");
        let steps: Vec<_> = cases[0].steps.iter().map(|(_, step)| step).collect();
        assert_eq!(cases[0].title, "a");
        assert!(matches!(steps[0], Step::Room(name, rules) if name == "r" && rules == &["text"]));
        let said = Message::Text("{\"op\":\"send\"}\nx\ny".to_owned());
        assert!(matches!(steps[1], Step::Send(_, message) if *message == said));
        assert!(matches!(steps[2], Step::Get(_, Message::Binary(bytes)) if bytes == &[0, 255]));
        assert!(matches!(steps[3], Step::Closed(_, 1000, rule) if rule == "room"));
        assert!(matches!(steps[4], Step::Close(_)));
    }

    #[test]
    fn what_is_no_step_is_named_by_its_line() {
        assert!(read("case a\nwhat is this\n").is_err_and(|error| error.contains("line 2")));
        assert!(read("a> early\n").is_err());
    }

    #[test]
    fn a_name_stands_for_what_it_stood_for_first() {
        let mut names = Names::default();
        let expected = json!({"client": "$a", "op": "x"});
        assert_eq!(
            names.same(&expected, &json!({"client": "1", "op": "x", "more": 2})),
            Ok(())
        );
        assert!(
            names
                .same(&expected, &json!({"client": "2", "op": "x"}))
                .is_err()
        );
        assert!(
            names
                .same(&json!({"op": "y"}), &json!({"op": "x"}))
                .is_err()
        );
        assert!(names.same(&json!({"op": "y"}), &json!({})).is_err());
        assert_eq!(names.same(&json!(["$a"]), &json!(["1"])), Ok(()));
        assert!(names.same(&json!(["$a"]), &json!(["2"])).is_err());
        assert!(names.same(&json!(["$a"]), &json!(["1", "2"])).is_err());
        names.set("a.token", "t");
        assert_eq!(names.fill("$a.token $a"), "t 1");
    }
}
