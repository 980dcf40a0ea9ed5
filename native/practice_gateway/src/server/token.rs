//! Session tokens: JWT, HS256, 24 hours on the gateway's clock unless told otherwise.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

use crate::contracts::SECOND;

/// How long the real gateway's tokens live.
pub const LIFE_S: u32 = 24 * 3_600;
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Why a token does not open the door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    Invalid,
    Expired,
}

/// Issues and checks tokens with one secret.
pub struct Tokens {
    secret: [u8; 32],
    life_s: u32,
    /// The token that was right last, and its expiry: nearly every request brings the same.
    last: Mutex<Option<(String, i64)>>,
}

impl Tokens {
    pub fn new(secret: [u8; 32], life_s: u32) -> Self {
        Self {
            secret,
            life_s,
            last: Mutex::new(None),
        }
    }

    /// `instance` tells this exchange from another one at the same address: clients key what they keep by it.
    pub fn issue(&self, instance: &str, user: &str, session: &str, now: i64) -> String {
        let issued = now.div_euclid(SECOND);
        let claims = serde_json::json!({
            "iss": instance, "sub": user, "name": user, "sid": session, "iat": issued, "nbf": issued, "exp": issued + i64::from(self.life_s),
        });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(HEADER),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// Expiry of a valid token in UTC nanoseconds.
    pub fn check(&self, token: &str, now: i64) -> Result<i64, Denied> {
        let mut last = self.last.lock();
        let expires = match &*last {
            Some((known, expires)) if known == token => *expires,
            _ => {
                let expires = self.expiry(token)?;
                *last = Some((token.to_owned(), expires));
                expires
            }
        };
        if now.div_euclid(SECOND) >= expires {
            return Err(Denied::Expired);
        }
        Ok(expires * SECOND)
    }

    /// Expiry of a token that is signed by us, in seconds.
    fn expiry(&self, token: &str) -> Result<i64, Denied> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Denied::Invalid)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| Denied::Invalid)?;
        let mut mac = self.mac();
        mac.update(signed.as_bytes());
        mac.verify_slice(&signature).map_err(|_| Denied::Invalid)?;
        let (_, claims) = signed.split_once('.').ok_or(Denied::Invalid)?;
        let claims = URL_SAFE_NO_PAD
            .decode(claims)
            .map_err(|_| Denied::Invalid)?;
        let claims: serde_json::Value =
            serde_json::from_slice(&claims).map_err(|_| Denied::Invalid)?;
        claims["exp"].as_i64().ok_or(Denied::Invalid)
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let mut mac = self.mac();
        mac.update(bytes);
        mac.finalize().into_bytes().to_vec()
    }

    fn mac(&self) -> Hmac<Sha256> {
        match Hmac::<Sha256>::new_from_slice(&self.secret) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC takes a key of any length"),
        }
    }
}

/// Random bytes as lower-case hex.
///
/// # Panics
/// If the system has no source of randomness.
pub fn random_hex(bytes: usize) -> String {
    use std::fmt::Write;
    let mut buffer = vec![0_u8; bytes];
    // Without a source of randomness nothing here can be secret, and a start that fails says so.
    if let Err(error) = getrandom::fill(&mut buffer) {
        panic!("The system's random source failed: {error}.");
    }
    buffer.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_24_hours_and_belongs_to_its_secret() {
        let tokens = Tokens::new([7; 32], LIFE_S);
        let token = tokens.issue("here", "demo", "s", 1_000 * SECOND);
        assert_eq!(token.split('.').count(), 3);
        assert_eq!(tokens.check(&token, 87_399 * SECOND), Ok(87_400 * SECOND));
        assert_eq!(tokens.check(&token, 87_400 * SECOND), Err(Denied::Expired));
        assert_eq!(
            Tokens::new([8; 32], LIFE_S).check(&token, 2_000 * SECOND),
            Err(Denied::Invalid)
        );
        assert_eq!(tokens.check("a.b", 0), Err(Denied::Invalid));
    }
}
