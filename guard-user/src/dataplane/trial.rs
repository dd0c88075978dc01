//! Whether this kernel takes the programs: they are loaded into it, asked about a packet, and let go. Nothing is
//! attached or pinned.

use aya::programs::{TestRun as _, TestRunOptions};
use guard_common::abi::{ban::Sizes, flow};

use super::{
    object::{
        Object,
        load_error::load_failure,
        parameters::{Parameters, Purpose},
    },
    preflight,
};
use crate::failure::{Exit, Failure};

/// `XDP_DROP`: an empty policy lets no frame of an unknown protocol in.
const DROP: u32 = 1;

/// What the kernel made of the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Why it has no way to answer SYNs with cookies; `None` = it has.
    pub no_cookies: Option<String>,
    /// Why frames of IPv6, and those with tags, have no program of their own; `None` = they have.
    pub no_others: Option<String>,
}

/// Loads the programs and lets one of them decide.
///
/// # Errors
/// Exit 4 without capabilities, exit 9 when the kernel refuses.
pub fn load() -> Result<Trial, Failure> {
    preflight::may_load()?;
    let parameters = Parameters {
        bans: Sizes::SMALLEST,
        slot_words: 1 << 16,
        flow_buckets: flow::MIN_BUCKETS,
        shards: 1,
        own_shard: false,
        seed: 0,
        purpose: Purpose::Filter,
        fixed_clock: false,
    };
    let mut object = Object::load(parameters, None).map_err(load_failure)?;
    let no_cookies = object.answering().err().map(ToString::to_string);
    let no_others = object.others().err().map(ToString::to_string);
    let run = object
        .ingress()
        .map_err(load_failure)?
        .test_run(TestRunOptions {
            data_in: Some(&[0; 64]),
            ..TestRunOptions::default()
        })
        .map_err(|error| {
            Failure::new(Exit::Unsupported, format!("the test run failed: {error}"))
        })?;
    if run.return_value != DROP {
        return Err(Failure::new(
            Exit::Unsupported,
            format!(
                "the program answered {} to a frame that it should drop",
                run.return_value
            ),
        ));
    }
    Ok(Trial {
        no_cookies,
        no_others,
    })
}
