//! What a walk over a protobuf message needs of its descriptors: which numbers
//! are which fields. Owns how large descriptors may be; never sees a message.

use std::collections::{BTreeMap, VecDeque};

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::FileDescriptorSet;
use prost_reflect::{Cardinality, DescriptorPool, MessageDescriptor};

use crate::compile::RuleFault;

/// The longest descriptors, in bytes.
pub(super) const DESCRIPTORS_BYTES_MAX: usize = 256 * 1024;

/// The most message types that the room's may lead to.
pub(super) const MESSAGES_MAX: usize = 1_000;

/// The most required fields of one message type.
const REQUIRED_MAX: usize = 64;

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    /// In 1 to 10 bytes.
    Varint,
    /// In 4 bytes.
    Fixed32,
    /// In 8 bytes.
    Fixed64,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Scalar(Scalar),
    Bytes,
    String,
    /// A message of this number.
    Message(usize),
    /// The same, between tags.
    Group(usize),
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub kind: Kind,
    pub repeated: bool,
    /// Its bit among the message's required fields; 0, if it need not be there.
    pub required: u64,
}

/// A message type.
#[derive(Debug, Default)]
pub(super) struct Fields {
    by_number: BTreeMap<u32, Field>,
    /// The bits of its required fields.
    pub required: u64,
}

impl Fields {
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        self.by_number.get(&number)
    }

    /// The bit of one more required field.
    fn require(&mut self) -> Result<u64, String> {
        let bit = 1_u64
            .checked_shl(self.required.count_ones())
            .ok_or_else(|| format!("messages with at most {REQUIRED_MAX} required fields"))?;
        self.required |= bit;
        Ok(bit)
    }
}

/// The room's message type, which is number 0, and those it leads to.
#[derive(Debug)]
pub(super) struct Layout(Vec<Fields>);

impl Layout {
    pub(super) fn compile(descriptors: &[u8], message: &str) -> Result<Self, RuleFault> {
        let fault = |field, needed: String| {
            RuleFault::new(format!("messages.format.protobuf.{field}"), needed)
        };
        if descriptors.len() > DESCRIPTORS_BYTES_MAX {
            let needed = format!("at most {DESCRIPTORS_BYTES_MAX} bytes");
            return Err(fault("descriptors", needed));
        }
        let pool = pool(descriptors).map_err(|needed| fault("descriptors", needed))?;
        let Some(root) = pool.get_message_by_name(message) else {
            let needed = "the full name of a message in the descriptors".to_owned();
            return Err(fault("message", needed));
        };
        Numbering::new(root)
            .layout()
            .map_err(|needed| fault("message", needed))
    }

    pub(super) fn fields(&self, message: usize) -> &Fields {
        &self.0[message]
    }
}

/// The types of a `FileDescriptorSet`.
fn pool(descriptors: &[u8]) -> Result<DescriptorPool, String> {
    let malformed = |error: String| format!("a google.protobuf.FileDescriptorSet, whole: {error}");
    let files =
        FileDescriptorSet::decode(descriptors).map_err(|error| malformed(error.to_string()))?;
    // The pool panics at a syntax that it does not know.
    let unknown = files
        .file
        .iter()
        .find(|file| !matches!(file.syntax.as_deref(), None | Some("proto2" | "proto3")));
    if let Some(file) = unknown {
        return Err(format!(
            "files of proto2 or proto3: {:?} says syntax {:?}",
            file.name(),
            file.syntax()
        ));
    }
    DescriptorPool::from_file_descriptor_set(files).map_err(|error| malformed(error.to_string()))
}

/// Message types by number, in the order in which they are come upon.
struct Numbering {
    numbers: BTreeMap<String, usize>,
    unseen: VecDeque<MessageDescriptor>,
}

impl Numbering {
    fn new(root: MessageDescriptor) -> Self {
        Self {
            numbers: BTreeMap::from([(root.full_name().to_owned(), 0)]),
            unseen: VecDeque::from([root]),
        }
    }

    fn layout(mut self) -> Result<Layout, String> {
        let mut messages = Vec::new();
        while let Some(message) = self.unseen.pop_front() {
            messages.push(self.fields(&message)?);
            if self.numbers.len() > MESSAGES_MAX {
                return Err(format!(
                    "a message that leads to at most {MESSAGES_MAX} others"
                ));
            }
        }
        Ok(Layout(messages))
    }

    fn fields(&mut self, message: &MessageDescriptor) -> Result<Fields, String> {
        let mut fields = Fields::default();
        for field in message.fields() {
            let cardinality = field.cardinality();
            let required = match cardinality {
                Cardinality::Required => fields.require()?,
                Cardinality::Optional | Cardinality::Repeated => 0,
            };
            let known = Field {
                kind: self.kind(field.kind(), field.is_group()),
                repeated: cardinality == Cardinality::Repeated,
                required,
            };
            fields.by_number.insert(field.number(), known);
        }
        for extension in message.extensions() {
            let known = Field {
                kind: self.kind(extension.kind(), extension.is_group()),
                repeated: extension.cardinality() == Cardinality::Repeated,
                required: 0,
            };
            fields.by_number.insert(extension.number(), known);
        }
        Ok(fields)
    }

    fn kind(&mut self, kind: prost_reflect::Kind, is_group: bool) -> Kind {
        use prost_reflect::Kind as Declared;
        match kind {
            Declared::Double | Declared::Fixed64 | Declared::Sfixed64 => {
                Kind::Scalar(Scalar::Fixed64)
            }
            Declared::Float | Declared::Fixed32 | Declared::Sfixed32 => {
                Kind::Scalar(Scalar::Fixed32)
            }
            Declared::Int32
            | Declared::Int64
            | Declared::Uint32
            | Declared::Uint64
            | Declared::Sint32
            | Declared::Sint64
            | Declared::Bool
            | Declared::Enum(_) => Kind::Scalar(Scalar::Varint),
            Declared::String => Kind::String,
            Declared::Bytes => Kind::Bytes,
            Declared::Message(message) if is_group => Kind::Group(self.number(message)),
            Declared::Message(message) => Kind::Message(self.number(message)),
        }
    }

    fn number(&mut self, message: MessageDescriptor) -> usize {
        let next = self.numbers.len();
        let number = *self
            .numbers
            .entry(message.full_name().to_owned())
            .or_insert(next);
        if number == next {
            self.unseen.push_back(message);
        }
        number
    }
}
