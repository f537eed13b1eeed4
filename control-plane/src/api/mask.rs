//! Field masks: which fields an update names. Knows paths, and no resource.

use prost_types::FieldMask;

use super::error::ApiError;

/// The most paths a mask may have.
const PATHS_MAX: usize = 64;
/// The most bytes of an unknown path that are shown.
const SHOWN_BYTES_MAX: usize = 64;

/// What a path in a mask stands for.
pub(crate) type Paths<F> = [(&'static str, &'static [F])];

/// Reads a mask as the fields it names; a path may stand for several.
///
/// # Errors
///
/// A mask that is missing, empty or too long, or names something unknown.
pub(crate) fn read<F: Copy>(mask: Option<FieldMask>, known: &Paths<F>) -> Result<Vec<F>, ApiError> {
    let find = |path: &str| {
        let found = known.iter().find(|(name, _)| *name == path);
        found.map(|(_, fields)| fields.to_vec())
    };
    read_by(mask, find, || list(known))
}

/// Reads a mask as the fields that `find` finds by its paths.
///
/// # Errors
///
/// As [`read`]; `known` says which paths there are.
pub(crate) fn read_by<F>(
    mask: Option<FieldMask>,
    find: impl Fn(&str) -> Option<Vec<F>>,
    known: impl Fn() -> String,
) -> Result<Vec<F>, ApiError> {
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() || paths.len() > PATHS_MAX {
        let rule = format!("1 to {PATHS_MAX} of: {}", known());
        return Err(ApiError::field("update_mask", rule));
    }
    let mut named = Vec::new();
    for path in &paths {
        let fields = find(path).ok_or_else(|| unknown(path, &known()))?;
        named.extend(fields);
    }
    Ok(named)
}

fn unknown(path: &str, known: &str) -> ApiError {
    let shown: String = path.escape_default().take(SHOWN_BYTES_MAX).collect();
    let rule = format!("unknown path `{shown}`; known: {known}");
    ApiError::field("update_mask", rule)
}

fn list<F>(known: &Paths<F>) -> String {
    known
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &Paths<u8> = &[("a", &[1, 2]), ("a.x", &[1])];

    fn read_paths(paths: &[&str]) -> Result<Vec<u8>, ApiError> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        read(Some(FieldMask { paths }), KNOWN)
    }

    #[test]
    fn a_group_stands_for_its_fields() {
        assert_eq!(read_paths(&["a"]), Ok(vec![1, 2]));
        assert_eq!(read_paths(&["a.x"]), Ok(vec![1]));
    }

    #[test]
    fn an_unknown_path_is_named_and_cut() {
        let Err(ApiError::Field { field, rule }) = read_paths(&["a", "b\n"]) else {
            panic!("an unknown path was taken");
        };
        assert_eq!(field, "update_mask");
        assert_eq!(rule, "unknown path `b\\n`; known: a, a.x");
        let Err(ApiError::Field { rule, .. }) = read_paths(&[&"b".repeat(10_000)]) else {
            panic!("an unknown path was taken");
        };
        assert!(rule.len() < 128, "{rule}");
    }

    #[test]
    fn a_mask_is_required_and_bounded() {
        assert!(read::<u8>(None, KNOWN).is_err());
        assert!(read_paths(&[]).is_err());
        assert!(read_paths(&["a"; PATHS_MAX + 1]).is_err());
    }
}
