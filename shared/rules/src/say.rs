//! Speech: may this be said here. Costs once a message, whatever the number of
//! receivers.

use porthouse_model::{Content, MessageKind, Refused};

use crate::compile::Rules;

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

    /// May a message of this kind and length be said?
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
    use porthouse_model::{BroadcastRules, MessageRules, RoomRules};

    use super::*;

    #[test]
    fn a_room_takes_what_its_rules_say() {
        use MessageKind::{Binary, Text};
        let room = |content| {
            let rules = RoomRules {
                messages: MessageRules {
                    content,
                    bytes_max: 10,
                    ..MessageRules::default()
                },
                ..RoomRules::default()
            };
            Rules::compile(rules).expect("valid")
        };
        assert_eq!(room(Content::Any).say(Text, 10), Ok(()));
        assert_eq!(
            room(Content::Any).say(Binary, 11),
            Err(Refused::MessageTooLong)
        );
        assert_eq!(room(Content::Text).say(Text, 1), Ok(()));
        assert_eq!(
            room(Content::Text).say(Binary, 1),
            Err(Refused::BinaryRefused)
        );
        assert_eq!(
            room(Content::Binary).say(Text, 1),
            Err(Refused::TextRefused)
        );
        assert_eq!(room(Content::Binary).say(Binary, 0), Ok(()));
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
