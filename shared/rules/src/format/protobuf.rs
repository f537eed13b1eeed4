//! One protobuf message, walked over by its descriptor: known fields have their
//! wire types, nested messages and strings are valid, required fields are there.
//! Fields that the descriptor does not know are only well formed, as in protobuf.
//! Never builds a message.

mod layout;

use super::cursor::{Cursor, Malformed};
use crate::compile::RuleFault;
use layout::{Field, Kind, Layout, Scalar};

/// The deepest nesting of messages, as in every protobuf runtime.
const MESSAGES_DEPTH_MAX: u32 = 100;

/// A room's message type, compiled.
#[derive(Debug)]
pub(crate) struct Protobuf(Layout);

impl Protobuf {
    pub(super) fn compile(descriptors: &[u8], message: &str) -> Result<Self, RuleFault> {
        Layout::compile(descriptors, message).map(Self)
    }

    pub(super) fn is_valid(&self, message: &[u8]) -> bool {
        let mut rest = Cursor::new(message);
        self.message(&mut rest, 0, MESSAGES_DEPTH_MAX, None).is_ok()
    }

    /// The fields of a message, to the end of the bytes or of its group.
    fn message(
        &self,
        rest: &mut Cursor<'_>,
        message: usize,
        depth_left: u32,
        group: Option<u32>,
    ) -> Result<(), Malformed> {
        let depth_left = depth_left.checked_sub(1).ok_or(Malformed)?;
        let fields = self.0.fields(message);
        let mut missing = fields.required;
        loop {
            if rest.is_at_end() && group.is_none() {
                break;
            }
            let (number, wire) = tag(rest)?;
            if wire == Wire::EndGroup {
                if group == Some(number) {
                    break;
                }
                return Err(Malformed);
            }
            match fields.field(number) {
                Some(field) => {
                    missing &= !field.required;
                    self.field(rest, field, wire, number, depth_left)?;
                }
                None => skip(rest, wire, number, depth_left)?,
            }
        }
        if missing == 0 { Ok(()) } else { Err(Malformed) }
    }

    fn field(
        &self,
        rest: &mut Cursor<'_>,
        field: &Field,
        wire: Wire,
        number: u32,
        depth_left: u32,
    ) -> Result<(), Malformed> {
        match (field.kind, wire) {
            (Kind::Bytes, Wire::Delimited) => delimited(rest).map(|_| ()),
            (Kind::String, Wire::Delimited) => utf8(delimited(rest)?),
            (Kind::Message(message), Wire::Delimited) => {
                let mut inner = Cursor::new(delimited(rest)?);
                self.message(&mut inner, message, depth_left, None)
            }
            (Kind::Group(message), Wire::StartGroup) => {
                self.message(rest, message, depth_left, Some(number))
            }
            (Kind::Scalar(scalar), Wire::Delimited) if field.repeated => {
                let mut packed = Cursor::new(delimited(rest)?);
                while !packed.is_at_end() {
                    one(&mut packed, scalar)?;
                }
                Ok(())
            }
            (Kind::Scalar(scalar), wire) if wire == Wire::of(scalar) => one(rest, scalar),
            (
                Kind::Bytes | Kind::String | Kind::Message(_) | Kind::Group(_) | Kind::Scalar(_),
                _,
            ) => Err(Malformed),
        }
    }
}

/// How a field's value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Varint,
    Fixed64,
    Delimited,
    StartGroup,
    EndGroup,
    Fixed32,
}

impl Wire {
    const fn of(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Varint => Self::Varint,
            Scalar::Fixed32 => Self::Fixed32,
            Scalar::Fixed64 => Self::Fixed64,
        }
    }
}

fn tag(rest: &mut Cursor<'_>) -> Result<(u32, Wire), Malformed> {
    let tag = u32::try_from(varint(rest)?).map_err(|_| Malformed)?;
    let wire = match tag & 7 {
        0 => Wire::Varint,
        1 => Wire::Fixed64,
        2 => Wire::Delimited,
        3 => Wire::StartGroup,
        4 => Wire::EndGroup,
        5 => Wire::Fixed32,
        _ => return Err(Malformed),
    };
    match tag >> 3 {
        0 => Err(Malformed),
        number => Ok((number, wire)),
    }
}

fn varint(rest: &mut Cursor<'_>) -> Result<u64, Malformed> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = rest.byte()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            // Of the tenth byte, one bit is left.
            return if shift == 63 && byte > 1 {
                Err(Malformed)
            } else {
                Ok(number)
            };
        }
    }
    Err(Malformed)
}

fn delimited<'a>(rest: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    let count = varint(rest)?;
    rest.bytes(count)
}

fn utf8(bytes: &[u8]) -> Result<(), Malformed> {
    core::str::from_utf8(bytes)
        .map(|_| ())
        .map_err(|_| Malformed)
}

fn one(rest: &mut Cursor<'_>, scalar: Scalar) -> Result<(), Malformed> {
    match scalar {
        Scalar::Varint => varint(rest).map(|_| ()),
        Scalar::Fixed32 => rest.bytes(4).map(|_| ()),
        Scalar::Fixed64 => rest.bytes(8).map(|_| ()),
    }
}

/// A field of which nothing is known.
fn skip(rest: &mut Cursor<'_>, wire: Wire, number: u32, depth_left: u32) -> Result<(), Malformed> {
    match wire {
        Wire::Varint => one(rest, Scalar::Varint),
        Wire::Fixed32 => one(rest, Scalar::Fixed32),
        Wire::Fixed64 => one(rest, Scalar::Fixed64),
        Wire::Delimited => delimited(rest).map(|_| ()),
        Wire::StartGroup => {
            let depth_left = depth_left.checked_sub(1).ok_or(Malformed)?;
            loop {
                let (inner, wire) = tag(rest)?;
                if wire == Wire::EndGroup {
                    return if inner == number {
                        Ok(())
                    } else {
                        Err(Malformed)
                    };
                }
                skip(rest, wire, inner, depth_left)?;
            }
        }
        Wire::EndGroup => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost_reflect::prost::Message as _;
    use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
    use prost_reflect::prost_types::{
        DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    };

    use super::*;

    fn field(number: i32, label: Label, kind: Type) -> FieldDescriptorProto {
        FieldDescriptorProto {
            name: Some(format!("f{number}")),
            number: Some(number),
            label: Some(label.into()),
            r#type: Some(kind.into()),
            type_name: matches!(kind, Type::Message | Type::Group).then(|| ".chat.Line".to_owned()),
            ..FieldDescriptorProto::default()
        }
    }

    fn descriptors(fields: Vec<FieldDescriptorProto>) -> Vec<u8> {
        let line = DescriptorProto {
            name: Some("Line".to_owned()),
            field: fields,
            ..DescriptorProto::default()
        };
        let file = FileDescriptorProto {
            name: Some("chat.proto".to_owned()),
            package: Some("chat".to_owned()),
            message_type: vec![line],
            ..FileDescriptorProto::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec()
    }

    /// 1: string, 2: sint32, 3: repeated fixed32, 4: the same message, 5: bytes,
    /// 6: double.
    fn room() -> Protobuf {
        let descriptors = descriptors(vec![
            field(1, Label::Optional, Type::String),
            field(2, Label::Optional, Type::Sint32),
            field(3, Label::Repeated, Type::Fixed32),
            field(4, Label::Repeated, Type::Message),
            field(5, Label::Optional, Type::Bytes),
            field(6, Label::Optional, Type::Double),
        ]);
        Protobuf::compile(&descriptors, "chat.Line").expect("descriptors")
    }

    #[test]
    fn what_the_descriptor_says_is_taken_and_nothing_else() {
        for (message, valid) in [
            (&b""[..], true),
            (b"\x0a\x02hi", true),
            (b"\x0a\x02h", false),
            (b"\x0a\x01\xff", false),
            (b"\x2a\x01\xff", true),
            (b"\x10\x01", true),
            (b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", true),
            (b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", false),
            (b"\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", false),
            (b"\x12\x01\x01", false),
            (b"\x1d\x01\x00\x00\x00", true),
            (b"\x1a\x08\x01\x00\x00\x00\x02\x00\x00\x00", true),
            (b"\x1a\x05\x01\x00\x00\x00\x02", false),
            (b"\x22\x04\x0a\x02hi", true),
            (b"\x22\x02\x0a\x05", false),
            (b"\x31\0\0\0\0\0\0\0\0", true),
            (b"\x35\0\0\0\0", false),
            // Nobody knows field 15.
            (b"\x7a\x01\xff", true),
            (b"\x7b\x08\x01\x7c", true),
            (b"\x7b\x08\x01\x74", false),
            (b"\x7b\x08\x01", false),
            (b"\x7c", false),
            (b"\x02\x00", false),
            (b"\x7f", false),
        ] {
            assert_eq!(room().is_valid(message), valid, "{message:x?}");
        }
    }

    #[test]
    fn a_required_field_is_there() {
        let descriptors = descriptors(vec![
            field(1, Label::Required, Type::Bool),
            field(2, Label::Optional, Type::Group),
        ]);
        let room = Protobuf::compile(&descriptors, "chat.Line").expect("descriptors");
        assert!(room.is_valid(b"\x08\x01") && !room.is_valid(b""));
        assert!(room.is_valid(b"\x08\x01\x13\x08\x00\x14"));
        assert!(!room.is_valid(b"\x08\x01\x13\x14"));
        assert!(!room.is_valid(b"\x08\x01\x13\x08\x00\x1c"));
    }

    #[test]
    fn what_is_too_deep_is_refused_however_deep_it_is() {
        let nested = |depth| {
            (0..depth).fold(Vec::new(), |inner: Vec<u8>, _| {
                let mut outer = vec![0x22];
                prost_reflect::prost::encoding::encode_varint(inner.len() as u64, &mut outer);
                outer.extend(inner);
                outer
            })
        };
        assert!(room().is_valid(&nested(MESSAGES_DEPTH_MAX - 1)));
        assert!(!room().is_valid(&nested(MESSAGES_DEPTH_MAX)));
        assert!(!room().is_valid(&[0x7b].repeat(100_000)));
    }

    #[test]
    fn what_cannot_be_kept_is_refused_when_it_is_written() {
        let refused = |descriptors: &[u8], message| {
            let fault = Protobuf::compile(descriptors, message).expect_err("refused");
            (fault.field.into_owned(), fault.needed.into_owned())
        };
        let good = descriptors(vec![field(1, Label::Optional, Type::String)]);
        let (field_at, needed) = refused(&good, "chat.Word");
        assert_eq!(field_at, "messages.format.protobuf.message");
        assert!(needed.contains("full name"));
        let (field_at, _) = refused(b"\x0a\x05", "chat.Line");
        assert_eq!(field_at, "messages.format.protobuf.descriptors");
        let editions = FileDescriptorProto {
            syntax: Some("editions".to_owned()),
            ..FileDescriptorProto::default()
        };
        let editions = FileDescriptorSet {
            file: vec![editions],
        };
        let (field_at, needed) = refused(&editions.encode_to_vec(), "chat.Line");
        assert_eq!(field_at, "messages.format.protobuf.descriptors");
        assert!(needed.contains("proto2 or proto3"), "{needed}");
        let (_, needed) = refused(&vec![0; 256 * 1024 + 1], "chat.Line");
        assert!(needed.contains("262144"));
        let crowded = (1..=65).map(|number| field(number, Label::Required, Type::Bool));
        let (_, needed) = refused(&descriptors(crowded.collect()), "chat.Line");
        assert!(needed.contains("64 required"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(descriptors: Vec<u8>, bytes: Vec<u8>) {
            let _ = room().is_valid(&bytes);
            if let Ok(room) = Protobuf::compile(&descriptors, "chat.Line") {
                let _ = room.is_valid(&bytes);
            }
        }

        #[test]
        fn what_is_encoded_is_taken(text: String, bytes: Vec<u8>, number: i32, many: Vec<u32>) {
            use prost_reflect::prost::encoding;
            let mut message = Vec::new();
            encoding::string::encode(1, &text, &mut message);
            encoding::sint32::encode(2, &number, &mut message);
            encoding::fixed32::encode_packed(3, &many, &mut message);
            encoding::bytes::encode(5, &bytes, &mut message);
            prop_assert!(room().is_valid(&message));
        }
    }
}
