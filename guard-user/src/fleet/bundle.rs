//! A policy that somebody signed for a group of hosts: what is in it, how it is sealed, and which hosts it has been
//! released to.

use data_encoding::BASE64;
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Member;
use crate::text::value::{BadValue, quoted};

/// Longest sealed bundle, in bytes: it fits a message of NATS and a frame of the control socket.
pub const MOST_BUNDLE: usize = 60_000;
/// Shortest and longest time in which a host must prove that it can still be reached, in seconds.
pub const CONFIRM_S: std::ops::RangeInclusive<u32> = 10..=3600;
/// What a signature is over, before the body: the same key signs nothing else that begins so.
const PURPOSE: &[u8] = b"guard policy bundle 1\n";

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// For whom.
    pub group: String,
    /// Rises with every policy of this key; a host takes none that is older than what it had.
    pub generation: u64,
    /// For hosts whose place is not behind this.
    pub released: u64,
    /// Seconds in which a host must prove that it still reaches the server; else the policy from before returns.
    pub confirm_s: u32,
    /// Text of guard.toml.
    pub policy: String,
}

/// A bundle on its way.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    body: String,
    signature: String,
}

/// Why a bundle is not one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleFault {
    /// Cut, of another kind, or too long.
    #[error("it is no sealed policy: {0}")]
    Unreadable(String),
    /// Signed by somebody else, or changed since.
    #[error("its signature is not of the key that this host accepts policies of")]
    Forged,
}

/// The public key of who may sign policies, as it is written.
///
/// # Errors
/// What it should be.
pub fn signer(text: &str) -> Result<KeyPair, BadValue> {
    let bad = || {
        BadValue::new(format!("{} is no public key of a signer", quoted(text)))
            .help("A and 55 letters and digits, as `guard-fleet setup` writes into policy.pub")
    };
    let key = KeyPair::from_public_key(text).map_err(|_| bad())?;
    // A key that users connect with signs whatever a server asks it to.
    if key.key_pair_type() != KeyPairType::Account {
        return Err(bad());
    }
    Ok(key)
}

impl Bundle {
    /// Signs it.
    ///
    /// # Errors
    /// With a key that cannot sign, or a policy that is too long.
    pub fn seal(&self, key: &KeyPair) -> Result<String, BadValue> {
        let body = serde_json::to_vec(self).map_err(|error| BadValue::new(error.to_string()))?;
        let signature = key
            .sign(&[PURPOSE, &body].concat())
            .map_err(|error| BadValue::new(format!("the key does not sign: {error}")))?;
        let sealed = Sealed {
            body: BASE64.encode(&body),
            signature: BASE64.encode(&signature),
        };
        let text =
            serde_json::to_string(&sealed).map_err(|error| BadValue::new(error.to_string()))?;
        if text.len() > MOST_BUNDLE {
            return Err(BadValue::new(format!(
                "the policy has {} bytes, {} when it is signed; at most {MOST_BUNDLE} are sent",
                self.policy.len(),
                text.len()
            ))
            .help("move long lists into sets of files or feeds, which each host reads itself"));
        }
        Ok(text)
    }

    /// Opens a sealed one, when this key has signed it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(text: &str, signer: &KeyPair) -> Result<Self, BundleFault> {
        let unreadable = |why: &dyn std::fmt::Display| BundleFault::Unreadable(why.to_string());
        if text.len() > MOST_BUNDLE {
            return Err(unreadable(&"too long"));
        }
        let sealed: Sealed = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        let decode = |text: &str| {
            BASE64
                .decode(text.as_bytes())
                .map_err(|error| unreadable(&error))
        };
        let (body, signature) = (decode(&sealed.body)?, decode(&sealed.signature)?);
        // Nothing of the body is read before it is known whose it is.
        signer
            .verify(&[PURPOSE, &body].concat(), &signature)
            .map_err(|_| BundleFault::Forged)?;
        let bundle: Self = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
        if !CONFIRM_S.contains(&bundle.confirm_s) || bundle.generation == 0 {
            return Err(unreadable(&"a value that it cannot have"));
        }
        Ok(bundle)
    }

    /// Is it for this host, and its turn?
    #[must_use]
    pub fn is_released_to(&self, member: &Member) -> bool {
        place(self.generation, member) <= self.released
    }
}

/// Where a host stands in the order in which a generation is released: another order each time, so that it is not
/// always the same host that goes first.
#[must_use]
pub fn place(generation: u64, member: &Member) -> u64 {
    let mut hash = Sha256::new();
    hash.update(generation.to_be_bytes());
    hash.update(member.to_string());
    let hash = hash.finalize();
    hash.iter()
        .take(8)
        .fold(0, |place, byte| place << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
