//! Codes of the time (RFC 6238): six digits, a new one every 30 seconds. Owns
//! which step a code is of and what an authenticator app is given. Never reads a
//! clock, and never remembers which code was used.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use totp_rs::{Algorithm, Builder, Totp};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::chance;

/// Digits of a code.
const DIGITS: u8 = 6;
/// How long a code is shown.
const STEP_SECONDS: u64 = 30;
/// Steps before and after the present one whose codes are taken (RFC 6238,
/// section 5.2, recommends at most one for delay).
const SKEW_STEPS: u16 = 1;
/// Who an authenticator app says the code is for.
const ISSUER: &str = "Porthouse";

/// Six digits that somebody showed. Spaces between them are passed over, since
/// apps show them in two groups.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Code(String);

impl Code {
    /// Takes a text as a code; `None`: it cannot be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let spaced_max = 2 * usize::from(DIGITS);
        if text.len() > spaced_max {
            return None;
        }
        let digits: String = text.chars().filter(|character| *character != ' ').collect();
        let is_code =
            digits.len() == usize::from(DIGITS) && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_code.then_some(Self(digits))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

/// What codes are made of.
#[derive(Clone)]
pub(crate) struct CodeSecret(Zeroizing<Vec<u8>>);

impl CodeSecret {
    /// One that no other device has.
    pub(crate) fn draw() -> Self {
        Self(Zeroizing::new(chance::code_secret().to_vec()))
    }

    /// As it was kept.
    pub(crate) const fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Which step this is the code of, among those that are taken at
    /// `unix_seconds`.
    pub(crate) fn step_of(&self, code: &Code, unix_seconds: u64) -> Option<i64> {
        let step = self.totp("").check(&code.0, unix_seconds)?;
        i64::try_from(step).ok()
    }

    /// What an authenticator app is given; `account` is what it names it.
    pub(crate) fn enrolment(&self, account: &str) -> Enrolment {
        let totp = self.totp(&account.replace(':', "/"));
        Enrolment {
            secret: Zeroizing::new(BASE32_NOPAD.encode(&self.0)),
            otpauth_uri: Zeroizing::new(totp.to_url().expect("an issuer and an account make one")),
            qr_png: Zeroizing::new(totp.to_qr_png().expect("names are short enough to draw")),
        }
    }

    fn totp(&self, account: &str) -> Totp {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_skew(SKEW_STEPS)
            .with_step_duration(STEP_SECONDS)
            .with_secret(self.0.to_vec())
            .with_account_name(account)
            .with_issuer(Some(ISSUER))
            .build_noncompliant()
    }
}

impl fmt::Debug for CodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeSecret(…)")
    }
}

/// What an authenticator app is given, shown once.
pub(crate) struct Enrolment {
    /// The secret in base32, to be typed.
    pub(crate) secret: Zeroizing<String>,
    /// The same as a link.
    pub(crate) otpauth_uri: Zeroizing<String>,
    /// The link as a picture to be scanned, a PNG.
    pub(crate) qr_png: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enrolment(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc() -> CodeSecret {
        CodeSecret::from_bytes(Zeroizing::new(b"12345678901234567890".to_vec()))
    }

    fn code(text: &str) -> Code {
        Code::parse(text).expect("a code")
    }

    /// RFC 6238, appendix B, of which six digits are the last.
    #[test]
    fn codes_are_the_standards() {
        for (time, shown) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = i64::try_from(time / STEP_SECONDS).expect("small");
            assert_eq!(rfc().step_of(&code(shown), time), Some(step), "{time}");
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_and_late_and_no_further() {
        let step = 1_111_111_109 / STEP_SECONDS;
        let at = |step: u64| rfc().step_of(&code("081804"), step * STEP_SECONDS);
        let taken = Some(i64::try_from(step).expect("small"));
        assert_eq!([at(step - 1), at(step), at(step + 1)], [taken; 3]);
        assert_eq!([at(step - 2), at(step + 2)], [None; 2]);
    }

    #[test]
    fn only_six_digits_are_a_code() {
        assert!(Code::parse("123 456").is_some());
        for text in [
            "",
            "12345",
            "1234567",
            "12345a",
            "１２３４５６",
            "-12345",
            "1 2 3 4 5 6 ",
        ] {
            assert_eq!(
                Code::parse(text).is_some(),
                text == "1 2 3 4 5 6 ",
                "{text}"
            );
        }
    }

    #[test]
    fn an_app_is_given_secret_link_and_picture() {
        let given = rfc().enrolment("alice");
        assert_eq!(given.secret.as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = given.otpauth_uri.as_str();
        assert!(
            uri.starts_with("otpauth://totp/Porthouse:alice?secret=GEZDG"),
            "{uri}"
        );
        assert!(uri.contains("issuer=Porthouse"), "{uri}");
        assert!(given.qr_png.starts_with(b"\x89PNG\r\n\x1a\n"));
        let longest = format!("{}:{}", "r".repeat(64), "n".repeat(63));
        assert!(!rfc().enrolment(&longest).qr_png.is_empty());
    }

    #[test]
    fn secrets_and_codes_are_not_shown() {
        let shown = format!("{:?} {:?}", rfc(), code("081804"));
        assert_eq!(shown, "CodeSecret(…) Code(…)");
    }
}
