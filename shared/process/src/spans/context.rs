//! Which span of which trace: ids, and how they are told to others, by
//! [W3C Trace Context](https://www.w3.org/TR/trace-context/) (`traceparent`).

use data_encoding::HEXLOWER;

/// A span of a trace that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
}

impl Context {
    /// The first of a new trace.
    pub(super) fn drawn() -> Self {
        Self {
            trace: rand::random(),
            span: rand::random(),
        }
    }

    /// Another of its trace.
    pub(super) fn child(self) -> Self {
        Self {
            span: rand::random(),
            ..self
        }
    }

    /// As it is told to whom is asked.
    pub(super) fn traceparent(&self) -> String {
        let (trace, span) = (HEXLOWER.encode(&self.trace), HEXLOWER.encode(&self.span));
        format!("00-{trace}-{span}-01")
    }
}

/// What a caller says, and whether it takes that trace. Later versions may say more.
pub(super) fn parse(text: &str) -> Option<(Context, bool)> {
    let mut parts = text.split('-');
    let version: [u8; 1] = bytes(parts.next()?)?;
    let context = Context {
        trace: bytes(parts.next()?)?,
        span: bytes(parts.next()?)?,
    };
    let flags: [u8; 1] = bytes(parts.next()?)?;
    let whole = version != [0] || parts.next().is_none();
    let valid = version != [0xff] && context.trace != [0; 16] && context.span != [0; 8];
    (whole && valid).then_some((context, flags[0] & 1 == 1))
}

/// Exactly so many, in lower case.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let exact = HEXLOWER.decode_len(text.len()).ok() == Some(N);
    (exact && HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_told_is_read_again() {
        let context = Context::drawn();
        assert_eq!(parse(&context.traceparent()), Some((context, true)));
        let (context, sampled) = parse(SAID).expect("the standard's own");
        assert!(sampled && context.traceparent() == SAID);
        let later = format!("cc{}-what-comes", &SAID[2..]);
        assert_eq!(parse(&later), Some((context, true)));
    }

    #[test]
    fn what_is_no_traceparent_is_not_heard() {
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let no_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let upper = SAID.to_uppercase();
        let longer = format!("{SAID}-00");
        let reserved = format!("ff{}", &SAID[2..]);
        for text in [
            "",
            "00",
            "é",
            zeros,
            no_span,
            &upper,
            &longer,
            &reserved,
            &SAID[1..],
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
