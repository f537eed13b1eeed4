//! An issuer's private key, and what it signs. The RSA key is for these tests
//! alone: drawing one takes seconds.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
};
use serde_json::{Value, json};

use crate::Algorithm;

const RSA_KEY: &str = include_str!("rsa_private_key.txt");

/// Somebody who signs.
pub(super) struct Signer {
    algorithm: Algorithm,
    id: String,
    pair: Pair,
}

enum Pair {
    Rsa(Box<rsa::KeyPair>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// One with a key of this kind; an empty `id` means none.
    pub(super) fn new(algorithm: Algorithm, id: &str) -> Self {
        let pair = match algorithm {
            Algorithm::Es256 => Pair::Ecdsa(ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)),
            Algorithm::Es384 => Pair::Ecdsa(ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)),
            Algorithm::EdDsa => return Self::of_seed(7, id),
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => {
                let text = RSA_KEY.replace('\n', "");
                let key = BASE64.decode(text.as_bytes()).expect("base64");
                Pair::Rsa(Box::new(rsa::KeyPair::from_pkcs8(&key).expect("a key")))
            }
        };
        Self {
            algorithm,
            id: id.to_owned(),
            pair,
        }
    }

    /// One with an Ed25519 key that this byte gives.
    pub(super) fn of_seed(seed: u8, id: &str) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        Self {
            algorithm: Algorithm::EdDsa,
            id: id.to_owned(),
            pair: Pair::Ed25519(pair),
        }
    }

    /// The public half, as a JWK.
    pub(super) fn key(&self) -> Value {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let mut key = match &self.pair {
            Pair::Rsa(pair) => {
                let public: signature::RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({ "kty": "RSA", "n": text(&public.n), "e": text(&public.e) })
            }
            Pair::Ecdsa(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref()) })
            }
        };
        if !self.id.is_empty() {
            key["kid"] = self.id.as_str().into();
        }
        key
    }

    /// A token that claims this.
    pub(super) fn token(&self, claims: &Value) -> String {
        let mut header = json!({ "typ": "JWT", "alg": self.algorithm.as_str() });
        if !self.id.is_empty() {
            header["kid"] = self.id.as_str().into();
        }
        self.token_of(&header, claims)
    }

    /// The same with any header.
    pub(super) fn token_of(&self, header: &Value, claims: &Value) -> String {
        self.signed(&header.to_string(), &claims.to_string())
    }

    /// Signs any text.
    pub(super) fn signed(&self, header: &str, claims: &str) -> String {
        let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = BASE64URL_NOPAD.encode(&self.signature(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn signature(&self, bytes: &[u8]) -> Vec<u8> {
        let chance = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(rsa_encoding(self.algorithm), &chance, bytes, &mut signature)
                    .expect("signed");
                signature
            }
            Pair::Ecdsa(pair) => pair.sign(&chance, bytes).expect("signed").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(bytes).as_ref().to_vec(),
        }
    }
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let chance = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &chance).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &chance).expect("a key")
}

fn rsa_encoding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => {
            panic!("{algorithm} is not of RSA")
        }
    }
}
