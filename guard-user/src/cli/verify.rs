//! `verify`: is reachable what the policy lets in, and nothing else?

mod remote;

use std::{
    ffi::OsStr,
    io::{self, Write},
    net::IpAddr,
};

use serde_json::json;

use super::context::Context;
use crate::{
    controller::Target,
    failure::{Exit, Failure},
    host::{exposure::is_public, listeners::PortProtocol},
};
use remote::{Came, Seen};

/// What the operator said.
pub(super) struct VerifyArgs<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) to: &'a [IpAddr],
    pub(super) known_as: &'a [IpAddr],
    pub(super) ssh: &'a OsStr,
}

/// How what was seen compares with the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AsItShould,
    /// Closed by the policy, and something came back.
    Reachable,
    /// Open by the policy, and nothing came back.
    NotReachable,
    /// Nothing can be said: UDP without an answer, or no way there.
    Unclear,
}

impl Comparison {
    const fn of(is_let_in: bool, protocol: PortProtocol, came: Came) -> Self {
        match (is_let_in, came) {
            (true, Came::Open | Came::Answered | Came::Refused) | (false, Came::Silence) => {
                Self::AsItShould
            }
            (false, Came::Open | Came::Answered | Came::Refused) => Self::Reachable,
            // A service need not answer a datagram that it does not understand.
            (true, Came::Silence) => match protocol {
                PortProtocol::Tcp => Self::NotReachable,
                PortProtocol::Udp => Self::Unclear,
            },
            (_, Came::Unreachable | Came::Unknown) => Self::Unclear,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::AsItShould => "ok",
            Self::Reachable => "reachable",
            Self::NotReachable => "not-reachable",
            Self::Unclear => "unclear",
        }
    }
}

/// A target, and what is so of it.
struct Verified {
    target: Target,
    source: Option<IpAddr>,
    is_let_in: bool,
    came: Came,
    outcome: Comparison,
}

pub(super) fn verify(context: &mut Context<'_>, args: &VerifyArgs<'_>) -> Result<Exit, Failure> {
    let targets = context.controller.targets(args.to)?;
    let Some(host) = args.host else {
        return by_hand(context, targets);
    };
    let seen = remote::probe(args.ssh, host, &targets)?;
    let verified = compare(context, targets, &seen, args.known_as)?;
    let warnings = behind_nat(&verified, args.known_as);
    context.output.warnings(&warnings);
    let wrong = |verified: &&Verified| match verified.outcome {
        Comparison::Reachable | Comparison::NotReachable => true,
        Comparison::AsItShould | Comparison::Unclear => false,
    };
    let count = verified.iter().filter(wrong).count();
    context.output.show(
        |out| table(out, &verified, count),
        || {
            let rows: Vec<_> = verified.iter().map(row_json).collect();
            json!({"as_it_should": count == 0, "ports": rows, "warnings": warnings})
        },
    );
    Ok(if count == 0 { Exit::Ok } else { Exit::Partial })
}

/// Strangers of each family stand for whoever asks.
const STRANGERS: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 1)),
    IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1)),
];

fn stranger_to(target: &Target) -> IpAddr {
    let [v4, v6] = STRANGERS;
    if target.address.is_ipv4() { v4 } else { v6 }
}

fn by_hand(context: &mut Context<'_>, targets: Vec<Target>) -> Result<Exit, Failure> {
    let asked: Vec<_> = targets
        .into_iter()
        .map(|target| (target.clone(), stranger_to(&target)))
        .collect();
    let open = context.controller.lets_in(&asked)?;
    let rows: Vec<(Target, bool)> = asked
        .into_iter()
        .map(|(target, _)| target)
        .zip(open)
        .collect();
    context.output.show(
        |out| {
            writeln!(out, "Run these on a machine that no rule names, not on this one:\n")?;
            for (target, is_open) in &rows {
                let expected = if *is_open { "connects, or is refused" } else { "times out" };
                let owner = target.owner.as_deref().unwrap_or("nobody listens");
                writeln!(out, "  {:<42} # {expected} ({owner})", target.command())?;
            }
            writeln!(
                out,
                "\nA UDP port that does not answer looks like a closed one. `guardctl verify --from USER@HOST` does it all."
            )
        },
        || {
            let rows = rows.iter().map(|(target, is_open)| {
                json!({"command": target.command(), "open": is_open, "owner": target.owner})
            });
            json!({"commands": rows.collect::<Vec<_>>()})
        },
    );
    Ok(Exit::Ok)
}

fn compare(
    context: &Context<'_>,
    targets: Vec<Target>,
    seen: &Seen,
    known_as: &[IpAddr],
) -> Result<Vec<Verified>, Failure> {
    let source_of = |target: &Target, said: Option<IpAddr>| {
        let of_family = |ip: &&IpAddr| ip.is_ipv4() == target.address.is_ipv4();
        known_as.iter().find(of_family).copied().or(said)
    };
    let asked: Vec<_> = targets
        .into_iter()
        .map(|target| {
            let (came, said) = seen.get(&target).copied().unwrap_or((Came::Unknown, None));
            let source = source_of(&target, said);
            (target, source, came)
        })
        .collect();
    let questions: Vec<_> = asked
        .iter()
        .map(|(target, source, _)| {
            (
                target.clone(),
                source.unwrap_or_else(|| stranger_to(target)),
            )
        })
        .collect();
    let open = context.controller.lets_in(&questions)?;
    Ok(asked
        .into_iter()
        .zip(open)
        .map(|((target, source, came), is_let_in)| {
            let outcome = Comparison::of(is_let_in, target.protocol, came);
            Verified {
                target,
                source,
                is_let_in,
                came,
                outcome,
            }
        })
        .collect())
}

/// A private source that reaches a public address has been translated on the way.
fn behind_nat(verified: &[Verified], known_as: &[IpAddr]) -> Vec<String> {
    let translated = verified.iter().find_map(|verified| {
        let source = verified
            .source
            .filter(|source| !known_as.contains(source))?;
        (!is_public(source) && is_public(verified.target.address)).then_some(source)
    });
    let text = |source| {
        format!(
            "the other machine sends from {source} and is behind NAT: if rules name its public address, say it by --as"
        )
    };
    translated.map(text).into_iter().collect()
}

fn table(out: &mut dyn Write, verified: &[Verified], wrong: usize) -> io::Result<()> {
    for row in verified {
        let word = match row.outcome {
            Comparison::AsItShould => "ok",
            Comparison::Unclear => "?",
            Comparison::Reachable | Comparison::NotReachable => "WRONG",
        };
        let policy = if row.is_let_in { "open" } else { "closed" };
        let owner = row.target.owner.as_deref().unwrap_or("nobody listens");
        writeln!(
            out,
            "{word:<6} {:<40} {:<11} policy: {policy:<7} seen: {:<12} {owner}",
            row.target.address.to_string(),
            row.target.port_word(),
            came(row.came),
        )?;
    }
    match wrong {
        0 => writeln!(out, "What is reachable is what the policy lets in."),
        1 => writeln!(
            out,
            "1 port is not as the policy says: is something between here and there?"
        ),
        count => writeln!(
            out,
            "{count} ports are not as the policy says: is something between here and there?"
        ),
    }
}

const fn came(came: Came) -> &'static str {
    match came {
        Came::Open => "open",
        Came::Answered => "answered",
        Came::Refused => "refused",
        Came::Silence => "silence",
        Came::Unreachable => "unreachable",
        Came::Unknown => "unknown",
    }
}

fn row_json(row: &Verified) -> serde_json::Value {
    json!({
        "protocol": row.target.protocol.label(),
        "address": row.target.address,
        "port": row.target.port,
        "owner": row.target.owner,
        "from": row.source,
        "policy": if row.is_let_in { "open" } else { "closed" },
        "seen": came(row.came),
        "outcome": row.outcome.label(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_a_closed_port_and_silence_from_an_open_one_are_wrong() {
        for (is_let_in, came, expected) in [
            (true, Came::Open, Comparison::AsItShould),
            (true, Came::Refused, Comparison::AsItShould),
            (true, Came::Silence, Comparison::NotReachable),
            (false, Came::Silence, Comparison::AsItShould),
            (false, Came::Open, Comparison::Reachable),
            (false, Came::Refused, Comparison::Reachable),
            (false, Came::Answered, Comparison::Reachable),
            (false, Came::Unreachable, Comparison::Unclear),
            (true, Came::Unknown, Comparison::Unclear),
        ] {
            assert_eq!(
                Comparison::of(is_let_in, PortProtocol::Tcp, came),
                expected,
                "{is_let_in} {came:?}"
            );
        }
        let unanswered = Comparison::of(true, PortProtocol::Udp, Came::Silence);
        assert_eq!(unanswered, Comparison::Unclear);
    }
}
