//! Sets from databases of countries and networks (`.mmdb`): the prefixes whose record says what the set asks for, merged.
//! A database is a file like any other: whatever is wrong with it is an error, and never an empty set.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnetwork::IpNetwork;
use maxminddb::{LookupResult, MaxMindDbError, Reader, WithinOptions};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::text::value::quoted;

pub(super) mod cache;
mod merge;
mod number;
mod selector;
#[cfg(test)]
mod tests;
#[cfg(feature = "testing")]
pub mod written;

use merge::merge;
pub use selector::Selector;

/// Longest name of a kind of database that is repeated.
const LONGEST_KIND: usize = 60;
/// Kinds of databases that have what sets ask for, for whoever has another one.
const KINDS: &str = "country and continent are in GeoLite2-Country, GeoLite2-City, GeoIP2-Country, GeoIP2-City, \
                     DBIP-Country-Lite and DBIP-City-Lite; asn is in GeoLite2-ASN, GeoIP2-ISP and DBIP-ASN-Lite";

/// What a set took out of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extract {
    /// What the database calls itself, printable.
    pub kind: String,
    /// When it was built, in seconds since 1970.
    pub built: u64,
    /// The prefixes in order: none holds another, and no two could be one.
    pub networks: Arc<[IpNetwork]>,
}

/// A set from a database, as listings tell of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSet {
    /// Name of the set, without `@`.
    pub set: String,
    /// The file, from the folder of the policy on.
    pub file: PathBuf,
    /// What of it: `country DE, FR`.
    pub wanted: String,
    /// What the database calls itself.
    pub kind: String,
    /// When it was built, in seconds since 1970.
    pub built: u64,
    /// Prefixes of IPv4.
    pub ipv4: usize,
    /// Prefixes of IPv6.
    pub ipv6: usize,
}

impl DatabaseSet {
    /// Of the set `name` that took `extract` out of `file`.
    #[must_use]
    pub fn new(name: &str, file: &Path, selector: &Selector, extract: &Extract) -> Self {
        let ipv4 = extract.networks.iter().filter(|net| net.is_ipv4()).count();
        Self {
            set: name.to_owned(),
            file: file.to_owned(),
            wanted: selector.to_string(),
            kind: extract.kind.clone(),
            built: extract.built,
            ipv4,
            ipv6: extract.networks.len() - ipv4,
        }
    }

    /// Day on which the database was built, as `2026-11-21`.
    #[must_use]
    pub fn built_on(&self) -> String {
        let seconds = i64::try_from(self.built).ok();
        let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        time.map_or_else(
            || "at no possible time".to_owned(),
            |time| time.strftime("%Y-%m-%d").to_string(),
        )
    }
}

/// One line: `@de: 812 IPv4 and 93 IPv6 prefixes: country DE of GeoLite2-Country.mmdb (GeoLite2-Country, built 2026-11-21)`.
impl fmt::Display for DatabaseSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "@{}: {} IPv4 and {} IPv6 prefixes: {} of {} ({}, built {})",
            self.set,
            self.ipv4,
            self.ipv6,
            self.wanted,
            self.file.display(),
            self.kind,
            self.built_on()
        )
    }
}

/// Why a set gets nothing out of a database.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// It has no bytes.
    #[error("is empty")]
    Empty,
    /// Another kind of file, or the beginning of a database.
    #[error("is no mmdb database, or is cut off: {0}")]
    NoDatabase(MaxMindDbError),
    /// A database with a mistake.
    #[error("is a broken database: {0}")]
    Broken(MaxMindDbError),
    /// Its tree has more ends than nodes could have.
    #[error("is a broken database: its tree of networks is no tree")]
    NoTree,
    /// No record has what the set asks for.
    #[error("is a database of type {kind}, and none of its records has {field}")]
    OtherKind {
        /// What it calls itself, in quotes.
        kind: String,
        /// What was looked for.
        field: &'static str,
    },
    /// No network has this value.
    #[error("has no network of {wanted}{guess}")]
    NoNetwork {
        /// `country "XX"`.
        wanted: String,
        /// `; did you mean "DE"`, or nothing.
        guess: String,
    },
}

impl DatabaseError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Empty | Self::NoDatabase(_) | Self::Broken(_) | Self::NoTree => {
                "fetch it again, write it beside the old file and rename it; the policy in force stays until then"
            }
            Self::OtherKind { .. } => KINDS,
            Self::NoNetwork { .. } => {
                "countries are two letters of ISO 3166 (\"DE\"), continents AF, AN, AS, EU, NA, OC and SA, and asn is the \
                 number of a network that the database knows; correct it or take it out of the set"
            }
        }
    }
}

/// What one record says about a set.
#[derive(Clone, Copy)]
enum Says {
    /// It has no such field.
    Nothing,
    Other,
    /// It is the value with this index.
    Wanted(usize),
}

/// Takes what `selector` asks for out of the bytes of a database.
///
/// # Errors
/// When the bytes are no database, when it has no such field, and when it has no network for one of the values.
pub fn extract(bytes: &[u8], selector: &Selector) -> Result<Extract, DatabaseError> {
    if bytes.is_empty() {
        return Err(DatabaseError::Empty);
    }
    let reader = Reader::from_source(bytes).map_err(DatabaseError::NoDatabase)?;
    let kind = printable(&reader.metadata().database_type);
    let built = reader.metadata().build_epoch;
    // A tree of n nodes has n + 1 ends; what points to the IPv4 part a second time is left out.
    let most_ends = (reader.metadata().node_count as usize).saturating_mul(3) + 2;
    let mut records = HashMap::<usize, Says>::new();
    let mut found = vec![false; selector.len()];
    let mut others = BTreeSet::new();
    let mut has_field = false;
    let mut networks = Vec::new();
    // With those that have no data: only what is given out can be counted here.
    let options = WithinOptions::default().include_networks_without_data();
    let all = reader.networks(options).map_err(DatabaseError::Broken)?;
    for (ends, end) in all.enumerate() {
        if ends > most_ends {
            return Err(DatabaseError::NoTree);
        }
        let end = end.map_err(DatabaseError::Broken)?;
        let Some(offset) = end.offset() else { continue };
        let says = match records.get(&offset) {
            Some(says) => *says,
            None => {
                let value = value(&end, selector).map_err(DatabaseError::Broken)?;
                let says = match value {
                    None => Says::Nothing,
                    Some(value) => match selector.position(&value) {
                        Some(index) => Says::Wanted(index),
                        None => {
                            // Countries are few; whatever else stands there is not worth a guess.
                            let is_code = value.len() == 2
                                && value.bytes().all(|byte| byte.is_ascii_uppercase());
                            if is_code {
                                others.insert(value);
                            }
                            Says::Other
                        }
                    },
                };
                records.insert(offset, says);
                says
            }
        };
        match says {
            Says::Nothing => {}
            Says::Other => has_field = true,
            Says::Wanted(index) => {
                has_field = true;
                let network = end.network().map_err(DatabaseError::Broken)?;
                if !is_alias(network) {
                    found[index] = true;
                    networks.push(network);
                }
            }
        }
    }
    if !has_field {
        return Err(DatabaseError::OtherKind {
            kind: quoted(&kind),
            field: selector.field(),
        });
    }
    if let Some(index) = found.iter().position(|found| !found) {
        return Err(DatabaseError::NoNetwork {
            wanted: selector.value(index),
            guess: selector.guess(index, &others),
        });
    }
    Ok(Extract {
        kind,
        built,
        networks: merge(networks).into(),
    })
}

/// What a record says in the field of the selector; `None` also when it has something else there.
fn value(
    record: &LookupResult<'_, &[u8]>,
    selector: &Selector,
) -> Result<Option<String>, MaxMindDbError> {
    let found = match selector {
        Selector::Countries(_) | Selector::Continents(_) => record.decode_path(selector.path()),
        Selector::Networks(_) => record
            .decode_path::<number::Number>(selector.path())
            .map(|found| found.map(|number::Number(number)| number.to_string())),
    };
    match found {
        // A database of another make, with other types of values.
        Err(MaxMindDbError::Decoding { .. }) => Ok(None),
        other => other,
    }
}

/// Is it IPv4 in the clothes of IPv6, as mapped, 6to4 and Teredo addresses are? Then the IPv4 part of the tree has it.
fn is_alias(network: IpNetwork) -> bool {
    let IpNetwork::V6(network) = network else {
        return false;
    };
    let segments = network.network().segments();
    let is_mapped = network.prefix() >= 96 && segments[..6] == [0, 0, 0, 0, 0, 0xffff];
    let is_6to4 = network.prefix() >= 16 && segments[0] == 0x2002;
    let is_teredo = network.prefix() >= 32 && segments[..2] == [0x2001, 0];
    is_mapped || is_6to4 || is_teredo
}

/// What a database calls itself goes to terminals and into files.
fn printable(kind: &str) -> String {
    let plain = kind
        .chars()
        .filter(|letter| letter.is_ascii_graphic() || *letter == ' ');
    let kind: String = plain.take(LONGEST_KIND).collect();
    kind.trim().to_owned()
}

impl Extract {
    /// As the copy of the last policy keeps it: a set file whose first line is a comment.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("# {} {}\n", self.built, self.kind);
        for network in self.networks.iter() {
            text.push_str(&format!("{network}\n"));
        }
        text
    }

    /// From such a text, whose prefixes are read already.
    #[must_use]
    pub fn from_text(text: &str, networks: Vec<IpNetwork>) -> Self {
        let first = text.lines().next().unwrap_or_default();
        let (built, kind) = first
            .strip_prefix("# ")
            .and_then(|line| line.split_once(' '))
            .unwrap_or_default();
        Self {
            kind: printable(kind),
            built: built.parse().unwrap_or_default(),
            networks: networks.into(),
        }
    }
}

/// The name under which the copy of a policy keeps an extract: no file is called so.
#[must_use]
pub fn extract_path(database: &Path, selector: &Selector) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(format!("#{}", selector.key()));
    name.into()
}
