//! One public key of an issuer (RFC 7517, section 4). Owns which signatures it can
//! check, and its thumbprint, by which it is the same key wherever it stands.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::token::{decoded, is_key_id};

/// Bytes of an RSA modulus: 2048 to 8192 bits.
const MODULUS_BYTES_MIN: usize = 256;
const MODULUS_BYTES_MAX: usize = 1024;
/// The most bytes of an RSA exponent.
const EXPONENT_BYTES_MAX: usize = 5;
/// Members that only a private or a shared key has.
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    material: Material,
    thumbprint: Thumbprint,
}

/// Which key it is, whatever it is called: RFC 7638's SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// As SEC 1 writes points: 4, x, y.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Not a key by which signatures are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKey {
    /// It is not public.
    Secret,
    /// It is of a kind that checks no signature that is taken.
    Kind,
    /// It is not meant to check signatures.
    Use,
    /// Its algorithm is not taken, or not one of its kind.
    Algorithm,
    /// What it is made of is missing, or not what its kind is made of.
    Material,
    /// Its identity is not a text of a sensible length.
    KeyId,
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret => "it is private or shared: give its public half alone, and replace it",
            Self::Kind => {
                "its `kty` and `crv` are not RSA, EC with P-256 or P-384, or OKP with Ed25519"
            }
            Self::Use => "its `use` is not `sig`, or its `key_ops` lack `verify`",
            Self::Algorithm => "its `alg` is not taken, or not one of its `kty`",
            Self::Material => {
                "`n` and `e` (2048 to 8192 bits), or `x` and `y`, are missing or not base64url of \
                 the right length"
            }
            Self::KeyId => "its `kid` is no text of 1 to 255 bytes",
        })
    }
}

impl core::error::Error for BadKey {}

impl Key {
    /// Reads a key.
    pub(crate) fn read(key: &Map<String, Value>) -> Result<Self, BadKey> {
        if SECRET_MEMBERS.iter().any(|name| key.contains_key(*name)) {
            return Err(BadKey::Secret);
        }
        let material = Material::read(key)?;
        if !is_for_signatures(key) {
            return Err(BadKey::Use);
        }
        let algorithm = match key.get("alg") {
            None => None,
            Some(name) => {
                let named = name.as_str().and_then(|name| name.parse().ok());
                Some(
                    named
                        .filter(|named| material.checks(*named))
                        .ok_or(BadKey::Algorithm)?,
                )
            }
        };
        let id = match key.get("kid") {
            None => None,
            Some(id) => {
                let id = id.as_str().filter(|id| is_key_id(id));
                Some(id.ok_or(BadKey::KeyId)?.to_owned())
            }
        };
        Ok(Self {
            id,
            algorithm,
            thumbprint: material.thumbprint(),
            material,
        })
    }

    /// What its issuer calls it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm it may be used with, if it says so.
    #[must_use]
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Which key it is.
    #[must_use]
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Whether it is of this algorithm's kind, and not reserved for another.
    pub(crate) fn checks(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.material.checks(algorithm)
    }

    /// Whether this is its signature.
    pub(crate) fn is_signed(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        self.checks(algorithm) && self.material.is_signed(algorithm, signed, signature)
    }
}

impl Material {
    fn read(key: &Map<String, Value>) -> Result<Self, BadKey> {
        let text = |name| key.get(name).and_then(Value::as_str);
        let bytes = |name| text(name).and_then(decoded).ok_or(BadKey::Material);
        let of_length = |name, length| {
            let found: Vec<u8> = bytes(name)?;
            (found.len() == length)
                .then_some(found)
                .ok_or(BadKey::Material)
        };
        let point = |length| -> Result<Vec<u8>, BadKey> {
            Ok([vec![4], of_length("x", length)?, of_length("y", length)?].concat())
        };
        match (text("kty"), text("crv")) {
            (Some("RSA"), _) => {
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                let fits = (MODULUS_BYTES_MIN..=MODULUS_BYTES_MAX).contains(&modulus.len())
                    && (1..=EXPONENT_BYTES_MAX).contains(&exponent.len())
                    && modulus.first() != Some(&0)
                    && exponent.first() != Some(&0);
                fits.then_some(Self::Rsa { modulus, exponent })
                    .ok_or(BadKey::Material)
            }
            (Some("EC"), Some("P-256")) => point(32).map(Self::P256),
            (Some("EC"), Some("P-384")) => point(48).map(Self::P384),
            (Some("OKP"), Some("Ed25519")) => of_length("x", 32).map(Self::Ed25519),
            (Some("oct"), _) => Err(BadKey::Secret),
            _ => Err(BadKey::Kind),
        }
    }

    const fn checks(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => matches!(self, Self::Rsa { .. }),
            Algorithm::Es256 => matches!(self, Self::P256(_)),
            Algorithm::Es384 => matches!(self, Self::P384(_)),
            Algorithm::EdDsa => matches!(self, Self::Ed25519(_)),
        }
    }

    fn is_signed(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                rsa(algorithm)
                    .is_some_and(|parameters| key.verify(parameters, signed, signature).is_ok())
            }
            Self::P256(point) => {
                let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
                key.verify(signed, signature).is_ok()
            }
            Self::P384(point) => {
                let key = UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point);
                key.verify(signed, signature).is_ok()
            }
            Self::Ed25519(point) => {
                let key = UnparsedPublicKey::new(&signature::ED25519, point);
                key.verify(signed, signature).is_ok()
            }
        }
    }

    /// The members that make the key, by name, without a space (RFC 7638, section
    /// 3; RFC 8037, section 2).
    fn thumbprint(&self) -> Thumbprint {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let curve = |name: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            let (x, y) = (text(x), text(y));
            format!(r#"{{"crv":"{name}","kty":"EC","x":"{x}","y":"{y}"}}"#)
        };
        let members = match self {
            Self::Rsa { modulus, exponent } => {
                let (n, e) = (text(modulus), text(exponent));
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
            Self::P256(point) => curve("P-256", point),
            Self::P384(point) => curve("P-384", point),
            Self::Ed25519(point) => {
                let x = text(point);
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
            }
        };
        let hash = digest(&SHA256, members.as_bytes());
        Thumbprint(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl Thumbprint {
    /// The thumbprint that is these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

const fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

fn is_for_signatures(key: &Map<String, Value>) -> bool {
    let used = key.get("use").is_none_or(|used| used == "sig");
    let operations = key.get("key_ops").is_none_or(|operations| {
        let all = operations.as_array();
        all.is_some_and(|all| all.iter().any(|operation| operation == "verify"))
    });
    used && operations
}
