//! `guard-fleet publish`: signs a policy for a group and releases it in waves, watching what the hosts say of it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::Client;
use clap::Args;
use nkeys::{KeyPair, KeyPairType};
use tokio::time::{Instant, sleep};

use super::{
    ServerArgs, block_on,
    nats::{
        hosts::{LiveHost, live_hosts},
        policy::{replace, stored_policy},
        stream::StreamFault,
    },
    waves::{Share, waves},
};
use crate::{
    control::fleet::PolicyStep,
    failure::{Exit, Failure, from_io},
    fleet::{
        Member,
        bundle::{self, Bundle, CONFIRM_S},
        member::{self, MOST_GROUP},
    },
    text::value::BadValue,
};

/// Between two looks at what the hosts say.
const LOOK: Duration = Duration::from_secs(1);
/// For what a host says to arrive, beyond its time to confirm.
const GRACE: Duration = Duration::from_secs(30);

/// Sign a policy for a group and release it in waves: the next hosts get it when those before have confirmed
#[derive(Clone, Debug, Args)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// File of the key to connect with: publisher.nk
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File of the key to sign with: policy.nk
    #[arg(long, value_name = "FILE")]
    sign: PathBuf,
    /// Whose policy it becomes
    #[arg(long)]
    group: String,
    /// Hosts of the first wave: a number or a share
    #[arg(long, value_name = "HOSTS", default_value = "1")]
    first: String,
    /// Hosts of each later wave
    #[arg(long, value_name = "HOSTS", default_value = "10%")]
    then: String,
    /// Seconds in which a host must prove that it still reaches the server, or go back
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(*CONFIRM_S.start() as i64..=*CONFIRM_S.end() as i64))]
    within: u32,
    /// Number of the policy [default: one more than the last]; where the streams were lost, one more than hosts have had
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    generation: Option<u64>,
    /// The policy, as a guard.toml
    file: PathBuf,
}

/// A group's policy on its way.
struct Release<'a> {
    client: &'a Client,
    signer: &'a KeyPair,
    bundle: Bundle,
    /// Place in the stream of what is stored.
    stored: u64,
    /// Who takes policies, in the order of this generation.
    order: Vec<Member>,
}

fn unanswered(fault: StreamFault) -> Failure {
    Failure::new(Exit::NoAnswer, fault.0)
}

fn usage(bad: BadValue) -> Failure {
    let failure = Failure::new(Exit::Usage, bad.message);
    match bad.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

fn share(option: &str, text: &str) -> Result<Share, Failure> {
    text.parse().map_err(|mut bad: BadValue| {
        bad.message = format!("{option}: {}", bad.message);
        usage(bad)
    })
}

pub(super) fn publish(args: &PublishArgs) -> Result<(), Failure> {
    let group = member::name(&args.group, "group", MOST_GROUP).map_err(usage)?;
    let first = share("--first", &args.first)?;
    let then = share("--then", &args.then)?;
    let policy =
        fs::read_to_string(&args.file).map_err(|error| from_io(args.file.display(), &error))?;
    let signer = signing_key(&args.sign)?;
    block_on(async {
        let client = args.server.connect(&args.key, "_INBOX_publisher").await?;
        let hosts = live_hosts(&client, Some(&group))
            .await
            .map_err(unanswered)?;
        let takers: Vec<LiveHost> = hosts
            .into_iter()
            .filter(|host| host.said.policy.is_some())
            .collect();
        if takers.is_empty() {
            return Err(Failure::new(
                Exit::NotFound,
                format!("no host of group {group} that is there takes policies"),
            )
            .help(format!(
                "on each: `guardctl fleet policy accept {}`",
                signer.public_key()
            )));
        }
        let found = stored_policy(&client, &group).await.map_err(unanswered)?;
        let (stored, generation) = newest(found, &signer, args.generation)?;
        let mut order: Vec<Member> = takers.into_iter().map(|host| host.member).collect();
        order.sort_by_key(|member| bundle::place(generation, member));
        let bundle = Bundle {
            group,
            generation,
            released: 0,
            confirm_s: args.within,
            policy,
        };
        // Before anybody is sent anything: does it fit?
        bundle.seal(&signer).map_err(usage)?;
        let mut release = Release {
            client: &client,
            signer: &signer,
            bundle,
            stored,
            order,
        };
        release.in_waves(first, then).await
    })
}

/// The place of what is stored, and the generation after it. What hosts say of themselves does not count: one could
/// claim the highest number there is.
fn newest(
    found: Option<(u64, bytes::Bytes)>,
    signer: &KeyPair,
    wanted: Option<u64>,
) -> Result<(u64, u64), Failure> {
    let public = bundle::signer(&signer.public_key()).map_err(usage)?;
    let (stored, before) = match found {
        None => (0, 0),
        Some((sequence, payload)) => {
            let text = String::from_utf8_lossy(&payload);
            // What another key signed counts for nobody who accepts this one.
            let generation = Bundle::open(&text, &public).map_or(0, |bundle| bundle.generation);
            (sequence, generation)
        }
    };
    match wanted {
        Some(wanted) if wanted <= before => Err(Failure::new(
            Exit::Usage,
            format!("--generation: {wanted} is no newer than {before}, which is published"),
        )),
        Some(wanted) => Ok((stored, wanted)),
        None => Ok((stored, before.saturating_add(1))),
    }
}

impl Release<'_> {
    async fn in_waves(&mut self, first: Share, then: Share) -> Result<(), Failure> {
        let counts = waves(self.order.len(), first, then);
        let all = counts.len();
        let mut before = 0;
        for (wave, count) in counts.into_iter().enumerate() {
            let last = wave + 1 == all;
            self.bundle.released = match self.order.get(count - 1) {
                // Also those that come later.
                _ if last => u64::MAX,
                Some(member) => bundle::place(self.bundle.generation, member),
                None => u64::MAX,
            };
            let sealed = self.bundle.seal(self.signer).map_err(usage)?;
            self.stored = replace(self.client, &self.bundle.group, sealed, self.stored)
                .await
                .map_err(unanswered)?;
            let names: Vec<String> = self.order[before..count]
                .iter()
                .map(|member| member.host().to_owned())
                .take(8)
                .collect();
            let more = if count - before > names.len() {
                ", …"
            } else {
                ""
            };
            println!(
                "policy {} of group {}, wave {} of {all}: {}{more}",
                self.bundle.generation,
                self.bundle.group,
                wave + 1,
                names.join(", ")
            );
            self.until_confirmed(count).await?;
            before = count;
        }
        println!(
            "policy {} is in force on {before} hosts of group {}",
            self.bundle.generation, self.bundle.group
        );
        Ok(())
    }

    /// Waits until the first so many have confirmed.
    async fn until_confirmed(&self, count: usize) -> Result<(), Failure> {
        let patience = Duration::from_secs(u64::from(self.bundle.confirm_s)) + GRACE;
        let deadline = Instant::now() + patience;
        let released = &self.order[..count];
        loop {
            let hosts = live_hosts(self.client, Some(&self.bundle.group)).await;
            let is_late = Instant::now() >= deadline;
            let hosts = match hosts {
                Ok(hosts) => hosts,
                Err(fault) if is_late => return Err(unanswered(fault)),
                Err(_) => {
                    sleep(LOOK).await;
                    continue;
                }
            };
            let mut missing = Vec::new();
            for member in released {
                match self.trouble(member, &hosts) {
                    Some(Trouble::Failed(why)) => return Err(self.stopped(count, &[(member, why)])),
                    Some(Trouble::NotYet(why)) => missing.push((member, why)),
                    None => {}
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
            if is_late {
                return Err(self.stopped(count, &missing));
            }
            sleep(LOOK).await;
        }
    }

    /// What is the matter with a host that was released to, if anything is.
    fn trouble(&self, member: &Member, hosts: &[LiveHost]) -> Option<Trouble> {
        let found = hosts.iter().find(|host| host.member == *member);
        let Some(host) = found else {
            return Some(Trouble::NotYet("gives no sign of life".to_owned()));
        };
        let Some(policy) = &host.said.policy else {
            return Some(Trouble::Failed("takes no policies any more".to_owned()));
        };
        if policy.generation > self.bundle.generation {
            return Some(Trouble::Failed(format!(
                "has had policy {}: publish with --generation {}",
                policy.generation,
                policy.generation.saturating_add(1)
            )));
        }
        if policy.generation < self.bundle.generation {
            return Some(Trouble::NotYet(match policy.why.as_str() {
                "" => "has not taken it".to_owned(),
                why => format!("has not taken it: {why}"),
            }));
        }
        match policy.step {
            PolicyStep::Confirmed => None,
            PolicyStep::Failed => Some(Trouble::Failed(policy.why.clone())),
            PolicyStep::Pending | PolicyStep::Waiting => Some(Trouble::NotYet(format!(
                "{}{}{}",
                policy.step,
                if policy.why.is_empty() { "" } else { ": " },
                policy.why
            ))),
        }
    }

    fn stopped(&self, count: usize, troubles: &[(&Member, String)]) -> Failure {
        let list: Vec<String> = troubles
            .iter()
            .take(8)
            .map(|(member, why)| format!("{member}: {why}"))
            .collect();
        Failure::new(
            Exit::Partial,
            format!(
                "policy {} is released to {count} of {} hosts, and goes no further:\n{}",
                self.bundle.generation,
                self.order.len(),
                list.join("\n")
            ),
        )
        .help("`guardctl fleet hosts` shows who has which; publish the policy from before to take it back")
    }
}

/// Why the next wave has to wait, or never comes.
enum Trouble {
    NotYet(String),
    Failed(String),
}

/// The key that signs: never one that somebody connects with, which signs what a server asks it to.
fn signing_key(path: &Path) -> Result<KeyPair, Failure> {
    let text = fs::read_to_string(path).map_err(|error| from_io(path.display(), &error))?;
    let key = KeyPair::from_seed(text.trim())
        .ok()
        .filter(|key| key.key_pair_type() == KeyPairType::Account);
    key.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("{}: is no key that signs policies", path.display()),
        )
        .help("policy.nk, as `guard-fleet setup` wrote it")
    })
}
