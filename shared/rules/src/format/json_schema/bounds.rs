//! Which schemas are taken: those whose references stay within them, and which
//! written out are not too large. Never compiles one.

use serde_json::Value;

/// The most parts of a schema whose references are written out until they come
/// round again; what comes round is asked once a value of a message.
const PARTS_MAX: usize = 10_000;

/// The deepest a schema may go, a reference counting as one level.
const DEPTH_MAX: usize = 96;

/// The most expressions in a schema.
const PATTERNS_MAX: usize = 64;

/// The one dialect that is spoken.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Keywords that look for their target while a message is judged.
const DYNAMIC: [&str; 4] = [
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
];

/// Keywords whose schemas are asked about the very value that theirs is.
const IN_PLACE: [&str; 9] = [
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
];

/// Refuses a schema that cannot be kept, saying what it must be.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    if !schema.is_object() {
        return Err("a schema, which is an object".to_owned());
    }
    let dialect = schema.get("$schema").and_then(Value::as_str);
    if dialect.is_some_and(|dialect| dialect.trim_end_matches('#') != DIALECT) {
        return Err(format!(
            "a schema of draft 2020-12: $schema is {DIALECT} or not there"
        ));
    }
    let mut patterns = 0;
    stands_alone(schema, schema, &mut patterns)?;
    if patterns > PATTERNS_MAX {
        return Err(format!("at most {PATTERNS_MAX} expressions"));
    }
    let mut unfolding = Unfolding {
        root: schema,
        parts: 0,
        referring: Vec::new(),
    };
    unfolding.part(schema, 0)
}

/// As it is written: nothing in it is looked for elsewhere.
fn stands_alone(root: &Value, part: &Value, patterns: &mut usize) -> Result<(), String> {
    match part {
        Value::Object(members) => members.iter().try_for_each(|(keyword, value)| {
            *patterns += match (keyword.as_str(), value) {
                ("pattern", Value::String(_)) => 1,
                ("patternProperties", Value::Object(expressions)) => expressions.len(),
                _ => 0,
            };
            match (keyword.as_str(), value) {
                ("$id", Value::String(_)) if !core::ptr::eq(root, part) => {
                    return Err("no $id but at its root".to_owned());
                }
                ("$ref", Value::String(reference)) => target(root, reference).map(|_| ())?,
                (keyword, _) if DYNAMIC.contains(&keyword) => {
                    return Err(format!("a schema without {keyword}"));
                }
                _ => {}
            }
            stands_alone(root, value, patterns)
        }),
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| stands_alone(root, item, patterns)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn target<'a>(root: &'a Value, reference: &str) -> Result<&'a Value, String> {
    let within = |rest: &&str| rest.is_empty() || rest.starts_with('/');
    let pointer = reference.strip_prefix('#').filter(within);
    let pointer = pointer.ok_or("references within itself, by place: # or #/$defs/name")?;
    let target = root.pointer(pointer);
    target.ok_or_else(|| format!("references to its own parts: there is no {reference}"))
}

/// A walk over a schema with its references written out.
struct Unfolding<'a> {
    root: &'a Value,
    parts: usize,
    /// The references that lead here, and whether the value that is asked about
    /// is another one since.
    referring: Vec<(&'a str, bool)>,
}

impl<'a> Unfolding<'a> {
    fn part(&mut self, part: &'a Value, depth: usize) -> Result<(), String> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(format!(
                "at most {PARTS_MAX} parts, its references written out"
            ));
        }
        if depth > DEPTH_MAX {
            return Err(format!(
                "at most {DEPTH_MAX} levels deep, its references written out"
            ));
        }
        match part {
            Value::Object(members) => members.iter().try_for_each(|(keyword, value)| {
                // What is only referred to counts where it is.
                let defines = core::ptr::eq(part, self.root) && keyword == "$defs";
                match (keyword.as_str(), value) {
                    _ if defines => Ok(()),
                    ("$ref", Value::String(reference)) => self.follow(reference, depth),
                    (keyword, _) if IN_PLACE.contains(&keyword) => self.part(value, depth + 1),
                    _ => self.descend(value, depth),
                }
            }),
            Value::Array(items) => items.iter().try_for_each(|item| self.part(item, depth + 1)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    /// Into what is asked about parts of the value.
    fn descend(&mut self, value: &'a Value, depth: usize) -> Result<(), String> {
        let before = self.referring.clone();
        for (_, descended) in &mut self.referring {
            *descended = true;
        }
        let counted = self.part(value, depth + 1);
        self.referring = before;
        counted
    }

    fn follow(&mut self, reference: &'a str, depth: usize) -> Result<(), String> {
        let round = self.referring.iter().find(|(other, _)| *other == reference);
        match round {
            Some((_, true)) => Ok(()),
            Some((_, false)) => Err(format!("no part that is only itself again: {reference}")),
            None => {
                let target = target(self.root, reference)?;
                self.referring.push((reference, false));
                let counted = self.part(target, depth + 1);
                self.referring.pop();
                counted
            }
        }
    }
}
