//! Speech: may this be said here. Costs once a message, whatever the number of
//! receivers.

use porthouse_model::{Act, Acts, Content, MessageKind, Refused};

use crate::compile::Rules;
use crate::enter::Standing;

/// Whether somebody receives what is said to all or to some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hearing {
    /// What is said to all, and what is said to them.
    #[default]
    Named,
    /// Nothing.
    Never,
    /// Everything, whoever is named.
    Always,
}

impl Rules {
    /// May a message of this kind begin? Asked at its first frame.
    ///
    /// # Errors
    ///
    /// The rule that refuses it.
    pub const fn kind(&self, kind: MessageKind) -> Result<(), Refused> {
        match (self.source().messages.content, kind) {
            (Content::Any, _)
            | (Content::Text, MessageKind::Text)
            | (Content::Binary, MessageKind::Binary) => Ok(()),
            (Content::Binary, MessageKind::Text) => Err(Refused::TextRefused),
            (Content::Text, MessageKind::Binary) => Err(Refused::BinaryRefused),
        }
    }

    /// May somebody who may do these acts say this? The format is asked apart,
    /// by [`Self::format`], for it costs most.
    ///
    /// # Errors
    ///
    /// The rule that refuses it.
    pub const fn speak(&self, acts: Acts, kind: MessageKind, bytes: usize) -> Result<(), Refused> {
        if !acts.has(Act::Send) {
            return Err(Refused::SendRefused);
        }
        self.say(kind, bytes)
    }

    /// May a message of this kind and length be said, whoever says it?
    ///
    /// # Errors
    ///
    /// The rule that refuses it.
    pub const fn say(&self, kind: MessageKind, bytes: usize) -> Result<(), Refused> {
        if bytes > self.source().messages.bytes_max as usize {
            return Err(Refused::MessageTooLong);
        }
        self.kind(kind)
    }

    /// Are these bytes in the room's format? Linear in their number.
    ///
    /// # Errors
    ///
    /// The rule that refuses it.
    pub fn format(&self, message: &[u8]) -> Result<(), Refused> {
        if self.format.takes(message) {
            Ok(())
        } else {
            Err(Refused::FormatRefused)
        }
    }

    /// Whether somebody of this standing receives what is said.
    #[must_use]
    pub fn hearing(&self, standing: Standing) -> Hearing {
        let broadcast = &self.source().broadcast;
        match standing {
            Standing::Member(role) if broadcast.never.contains(&role) => Hearing::Never,
            Standing::Member(role) if broadcast.always.contains(&role) => Hearing::Always,
            Standing::Anonymous | Standing::User | Standing::Member(_) | Standing::Owner => {
                Hearing::Named
            }
        }
    }

    /// May a sender name receivers and exceptions?
    ///
    /// # Errors
    ///
    /// The rule that refuses it.
    pub const fn name_receivers(&self) -> Result<(), Refused> {
        if self.source().broadcast.receivers_named {
            Ok(())
        } else {
            Err(Refused::ReceiversRefused)
        }
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::{BroadcastRules, Format, MessageRules, Role, RoomRules};

    use super::*;

    fn room(messages: MessageRules) -> Rules {
        Rules::compile(RoomRules {
            messages,
            ..RoomRules::default()
        })
        .expect("valid")
    }

    #[test]
    fn a_room_takes_what_its_rules_say() {
        use MessageKind::{Binary, Text};
        let takes = |content| {
            room(MessageRules {
                content,
                bytes_max: 10,
                ..MessageRules::default()
            })
        };
        let long = Err(Refused::MessageTooLong);
        assert_eq!(takes(Content::Any).say(Text, 10), Ok(()));
        assert_eq!(takes(Content::Any).say(Binary, 11), long);
        assert_eq!(takes(Content::Text).say(Text, 1), Ok(()));
        let binary = Err(Refused::BinaryRefused);
        assert_eq!(takes(Content::Text).say(Binary, 1), binary);
        let text = Err(Refused::TextRefused);
        assert_eq!(takes(Content::Binary).say(Text, 1), text);
        assert_eq!(takes(Content::Binary).say(Binary, 0), Ok(()));
    }

    #[test]
    fn only_who_may_send_speaks() {
        let room = room(MessageRules::default());
        let silent = Err(Refused::SendRefused);
        assert_eq!(room.speak(Acts::LISTEN, MessageKind::Text, 1), silent);
        assert_eq!(room.speak(Acts::TALK, MessageKind::Text, 1), Ok(()));
    }

    #[test]
    fn a_message_is_in_the_room_s_format() {
        let said = |format, message: &[u8]| {
            let messages = MessageRules {
                format,
                ..MessageRules::default()
            };
            room(messages).format(message)
        };
        let refused = Err(Refused::FormatRefused);
        let schema = || Format::JsonSchema(r#"{"type":"array"}"#.into());
        let expression = || Format::Expression("[a-z]+".into());
        assert_eq!(said(Format::Any, b"\xff{"), Ok(()));
        assert_eq!(said(Format::Json, b"[1]"), Ok(()));
        assert_eq!(said(Format::Json, b"[1"), refused);
        assert_eq!(said(schema(), b"[1]"), Ok(()));
        assert_eq!(said(schema(), b"1"), refused);
        assert_eq!(said(Format::MessagePack, &[0x91, 1]), Ok(()));
        assert_eq!(said(Format::MessagePack, &[0x91]), refused);
        assert_eq!(said(Format::Cbor, &[0x81, 1]), Ok(()));
        assert_eq!(said(Format::Cbor, &[0x81]), refused);
        assert_eq!(said(expression(), b"hello"), Ok(()));
        assert_eq!(said(expression(), b"Hello"), refused);
    }

    #[test]
    fn a_role_hears_never_or_always_where_the_room_says_so() {
        let rules = Rules::compile(RoomRules {
            broadcast: BroadcastRules {
                never: [Role::MEMBER].into(),
                always: [Role::MODERATOR].into(),
                ..BroadcastRules::default()
            },
            ..RoomRules::default()
        });
        let rules = rules.expect("valid");
        let member = Standing::Member(Role::MEMBER);
        let moderator = Standing::Member(Role::MODERATOR);
        assert_eq!(rules.hearing(member), Hearing::Never);
        assert_eq!(rules.hearing(moderator), Hearing::Always);
        assert_eq!(rules.hearing(Standing::Owner), Hearing::Named);
    }

    #[test]
    fn receivers_are_named_only_where_the_room_lets_them_be() {
        let rules = RoomRules {
            broadcast: BroadcastRules {
                receivers_named: false,
                ..BroadcastRules::default()
            },
            ..RoomRules::default()
        };
        let rules = Rules::compile(rules).expect("valid");
        assert_eq!(rules.name_receivers(), Err(Refused::ReceiversRefused));
    }
}
