//! What is wrong with a line of a list.

use thiserror::Error;

use super::LONGEST_REASON;
use crate::text::value::quoted;

/// Networks that one range may need; more is no range that anybody wrote.
pub(super) const MOST_NETWORKS: usize = 256;

/// Why a line bans nobody.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum LineError {
    #[error("`add` names no set")]
    NoSet,
    #[error("`add` names no address")]
    NoAddress,
    /// In the words of the address reader.
    #[error("{0}")]
    Target(String),
    #[error("`{0}`: exceptions belong on the never list (`guardctl never add`)")]
    IsException(&'static str),
    #[error("unexpected {} after the network", quoted(.0))]
    Behind(String),
    #[error("timeout {} is not a number of seconds", quoted(.0))]
    Timeout(String),
    #[error("`comment` takes a text in quotes")]
    CommentUnquoted,
    #[error("the comment is longer than {LONGEST_REASON} bytes")]
    CommentTooLong,
    #[error("no JSON: {0}")]
    NoJson(String),
    #[error("a line of JSON without any of {0}")]
    JsonWithoutAddress(String),
    #[error("`deny` for everybody names no source")]
    DenyAll,
    #[error("{} names nobody", quoted(.0))]
    Nobody(String),
    #[error("{0}-{1} is not a range: its end does not follow its beginning")]
    NoRange(std::net::IpAddr, std::net::IpAddr),
    #[error("{0}-{1} is more than {MOST_NETWORKS} networks")]
    RangeTooLarge(std::net::IpAddr, std::net::IpAddr),
    #[error("no field of {} is an address", quoted(.0))]
    NoField(String),
}
