//! What this host bans itself, on its way to the others: told to the server until it acknowledges, and never anything that
//! was heard of others.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;

use super::{record::Record, stream::StreamFault};
use crate::{
    control::fleet::{MOST_SECONDS, OwnBan},
    fleet::agent::daemon::OwnNews,
};

/// Widest networks that others take.
const WIDEST_V4: u8 = 24;
const WIDEST_V6: u8 = 48;
/// Bans that others take of one member at a time.
const MOST: usize = 10_000;
/// What is permanent is said again when half of the longest time is over.
const REFRESH_MS: u64 = MOST_SECONDS as u64 * 1000 / 2;
/// That somebody was let go is kept so long, for hosts that are cut off meanwhile.
const LIFTED_S: u32 = 24 * 3600;

#[derive(Clone, Debug)]
struct OwnState {
    id: u64,
    reason: String,
    /// By the boot clock; `None`: permanent.
    end_ms: Option<u64>,
    is_lifted: bool,
    /// When the server acknowledged it.
    stored_ms: Option<u64>,
    is_on_its_way: bool,
    /// While it was: was another record the last that was heard to be stored in its place?
    is_written_over: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct OwnBans {
    bans: BTreeMap<IpNetwork, OwnState>,
    /// Too wide, or too many.
    pub(super) withheld: u64,
}

/// What became of a message.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) network: IpNetwork,
    pub(super) id: u64,
    pub(super) is_lift: bool,
    pub(super) refused: Option<StreamFault>,
}

impl OwnBans {
    /// Takes in what the daemon says.
    pub(super) fn take(&mut self, news: OwnNews, now_ms: u64) {
        if news.is_whole {
            self.withheld = 0;
            let named: BTreeSet<IpNetwork> = news.bans.iter().filter_map(network).collect();
            for (network, state) in &mut self.bans {
                if !named.contains(network) && !state.is_lifted {
                    state.lift();
                }
            }
        }
        self.sweep(now_ms);
        for ban in &news.bans {
            self.take_one(ban, now_ms);
        }
    }

    fn take_one(&mut self, ban: &OwnBan, now_ms: u64) {
        let Some(network) = network(ban) else {
            return;
        };
        if ban.left == Some(0) {
            if let Some(state) = self.bans.get_mut(&network) {
                state.lift();
            }
            return;
        }
        let widest = if network.is_ipv4() {
            WIDEST_V4
        } else {
            WIDEST_V6
        };
        let is_new = !self.bans.contains_key(&network);
        if network.prefix() < widest || is_new && self.bans.len() >= MOST {
            self.withheld += 1;
            return;
        }
        let end_ms = ban.left.map(|left| now_ms + u64::from(left) * 1000);
        if let Some(state) = self.bans.get(&network)
            && state.id == ban.id
            && !state.is_lifted
            && (state.end_ms.is_none() == end_ms.is_none())
        {
            return;
        }
        let state = OwnState {
            id: ban.id,
            reason: ban.reason.clone(),
            end_ms,
            is_lifted: false,
            stored_ms: None,
            is_on_its_way: false,
            is_written_over: false,
        };
        self.bans.insert(network, state);
    }

    /// Compares with what the stream has, over a new connection: what it lacks is published again, and what it has too
    /// much is lifted. What was on its way over the connection before may be lost.
    pub(super) fn reconcile(&mut self, stored: &[(IpNetwork, u64, u64)], now_ms: u64) {
        let has: BTreeSet<(IpNetwork, u64)> = stored
            .iter()
            .map(|(network, id, _)| (*network, *id))
            .collect();
        for (network, state) in &mut self.bans {
            state.is_on_its_way = false;
            let is_stored = has.contains(&(*network, state.id));
            if !state.is_lifted {
                state.stored_ms = is_stored.then(|| state.stored_ms.unwrap_or(now_ms));
            }
        }
        for (network, id, end_ms) in stored {
            self.bans.entry(*network).or_insert_with(|| OwnState {
                id: *id,
                reason: String::new(),
                end_ms: Some(*end_ms),
                is_lifted: true,
                stored_ms: None,
                is_on_its_way: false,
                is_written_over: false,
            });
        }
    }

    /// The next that is to be published, if any is.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<(IpNetwork, Record, u32)> {
        let is_due = |state: &OwnState| {
            let is_old = |at: u64| state.end_ms.is_none() && now_ms >= at + REFRESH_MS;
            !state.is_on_its_way && state.stored_ms.is_none_or(is_old)
        };
        let (network, state) = self.bans.iter_mut().find(|(_, state)| is_due(state))?;
        state.is_on_its_way = true;
        let left = match state.end_ms {
            None => MOST_SECONDS,
            Some(end) => {
                let left = end.saturating_sub(now_ms).div_ceil(1000);
                u32::try_from(left)
                    .unwrap_or(MOST_SECONDS)
                    .clamp(1, MOST_SECONDS)
            }
        };
        let (record, kept_s) = if state.is_lifted {
            (Record::lifted(state.id), LIFTED_S)
        } else {
            let ban = OwnBan {
                prefix: String::new(),
                id: state.id,
                left: Some(left),
                reason: state.reason.clone(),
            };
            (Record::of(&ban), left)
        };
        Some((*network, record, kept_s))
    }

    /// What became of it.
    pub(super) fn settle(&mut self, published: &Published, now_ms: u64) {
        let Some(state) = self.bans.get_mut(&published.network) else {
            return;
        };
        // It may be another ban by now.
        if state.id != published.id || state.is_lifted != published.is_lift {
            return;
        }
        state.is_on_its_way = false;
        // What was stored may have been written over before its acknowledgement was read.
        if std::mem::take(&mut state.is_written_over) || published.refused.is_some() {
            return;
        }
        if state.is_lifted {
            self.bans.remove(&published.network);
        } else {
            state.stored_ms = Some(now_ms);
        }
    }

    /// What the stream has of this network. Others cannot speak in this host's name, but some ways lead to its place in
    /// the stream: what was written over is published again.
    pub(super) fn is_stored_as(&mut self, network: IpNetwork, record: Option<&Record>) {
        let Some(state) = self.bans.get_mut(&network) else {
            return;
        };
        let is_ours = record
            .is_some_and(|record| record.id == state.id && (record.left == 0) == state.is_lifted);
        state.is_written_over = !is_ours && state.is_on_its_way;
        if !is_ours {
            state.stored_ms = None;
        }
    }

    fn sweep(&mut self, now_ms: u64) {
        self.bans
            .retain(|_, state| state.is_lifted || state.end_ms.is_none_or(|end| end > now_ms));
    }

    /// Those that the server has acknowledged, and those that it has not.
    pub(super) fn counts(&self, now_ms: u64) -> (u64, u64) {
        let live = self
            .bans
            .values()
            .filter(|state| state.is_lifted || state.end_ms.is_none_or(|end| end > now_ms));
        live.fold((0, 0), |(stored, not), state| match state.stored_ms {
            Some(_) => (stored + 1, not),
            None => (stored, not + 1),
        })
    }
}

impl OwnState {
    fn lift(&mut self) {
        self.is_lifted = true;
        self.stored_ms = None;
        self.is_on_its_way = false;
    }
}

fn network(ban: &OwnBan) -> Option<IpNetwork> {
    let network: IpNetwork = ban.prefix.parse().ok()?;
    IpNetwork::new(network.network(), network.prefix()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(prefix: &str, id: u64, left: Option<u32>) -> OwnBan {
        OwnBan {
            prefix: prefix.to_owned(),
            id,
            left,
            reason: "jail sshd: 5 failures".to_owned(),
        }
    }

    fn news(is_whole: bool, bans: Vec<OwnBan>) -> OwnNews {
        OwnNews { is_whole, bans }
    }

    /// Publishes everything that is due, and says what it was.
    fn sent(bans: &mut OwnBans, now_ms: u64) -> Vec<(String, u32)> {
        let mut sent = Vec::new();
        while let Some((network, record, _)) = bans.next(now_ms) {
            sent.push((network.to_string(), record.left));
            let published = Published {
                network,
                id: record.id,
                is_lift: record.left == 0,
                refused: None,
            };
            bans.settle(&published, now_ms);
        }
        sent
    }

    fn of(network: &str, left: u32) -> (String, u32) {
        (network.to_owned(), left)
    }

    #[test]
    fn each_ban_is_published_once_until_it_changes() {
        let mut bans = OwnBans::default();
        let all = vec![own("11.0.0.1", 1, Some(60)), own("2001:db8::/64", 1, None)];
        bans.take(news(true, all), 0);
        assert_eq!(
            sent(&mut bans, 0),
            [of("11.0.0.1/32", 60), of("2001:db8::/64", MOST_SECONDS)]
        );
        assert!(sent(&mut bans, 1_000).is_empty());
        bans.take(news(false, vec![own("11.0.0.1", 2, Some(60))]), 1_000);
        assert_eq!(sent(&mut bans, 2_000), [of("11.0.0.1/32", 59)]);
        bans.take(news(false, vec![own("11.0.0.1", 2, Some(0))]), 3_000);
        assert_eq!(sent(&mut bans, 3_000), [of("11.0.0.1/32", 0)]);
        assert!(sent(&mut bans, 4_000).is_empty());
        // What is permanent is said again in time.
        assert_eq!(
            sent(&mut bans, REFRESH_MS),
            [of("2001:db8::/64", MOST_SECONDS)]
        );
    }

    #[test]
    fn what_others_would_not_take_is_not_published() {
        let mut bans = OwnBans::default();
        let wide = vec![own("11.0.0.0/23", 1, None), own("2001:db8::/47", 1, None)];
        bans.take(news(true, wide), 0);
        assert!(sent(&mut bans, 0).is_empty());
        assert_eq!(bans.withheld, 2);
        let many = (0..MOST as u32 + 5).map(|n| {
            let address = std::net::Ipv4Addr::from(0x0b00_0000 + n);
            own(&address.to_string(), 1, None)
        });
        bans.take(news(true, many.collect()), 0);
        assert_eq!(bans.withheld, 5);
        assert_eq!(bans.counts(0), (0, MOST as u64));
    }

    #[test]
    fn what_the_stream_lacks_is_published_again_and_what_it_has_too_much_is_lifted() {
        let mut bans = OwnBans::default();
        let all = vec![own("11.0.0.1", 1, Some(60)), own("11.0.0.2", 1, Some(60))];
        bans.take(news(true, all), 0);
        sent(&mut bans, 0);
        let network = |text: &str| text.parse::<IpNetwork>().expect("a network");
        let stored = [
            (network("11.0.0.2/32"), 1, 60_000),
            (network("11.0.0.9/32"), 1, 60_000),
        ];
        bans.reconcile(&stored, 0);
        assert_eq!(
            sent(&mut bans, 0),
            [of("11.0.0.1/32", 60), of("11.0.0.9/32", 0)]
        );
        // All of them anew: what is not among them is lifted.
        bans.take(news(true, vec![own("11.0.0.1", 1, Some(60))]), 0);
        assert_eq!(sent(&mut bans, 0), [of("11.0.0.2/32", 0)]);
    }

    #[test]
    fn what_was_refused_is_tried_again_and_a_lift_overtakes_its_ban() {
        let mut bans = OwnBans::default();
        bans.take(news(true, vec![own("11.0.0.1", 1, Some(60))]), 0);
        let (network, record, _) = bans.next(0).expect("one");
        assert!(bans.next(0).is_none(), "it is on its way");
        bans.take(news(false, vec![own("11.0.0.1", 1, Some(0))]), 0);
        let (_, lift, kept_s) = bans.next(0).expect("the lift");
        assert_eq!((lift.left, kept_s), (0, LIFTED_S));
        let late = Published {
            network,
            id: record.id,
            is_lift: false,
            refused: None,
        };
        bans.settle(&late, 0);
        let refused = Published {
            refused: Some(StreamFault("full".to_owned())),
            is_lift: true,
            ..late
        };
        bans.settle(&refused, 0);
        assert_eq!(sent(&mut bans, 0), [of("11.0.0.1/32", 0)]);
    }

    #[test]
    fn what_somebody_wrote_over_is_published_again() {
        let mut bans = OwnBans::default();
        bans.take(news(true, vec![own("11.0.0.1", 1, Some(60))]), 0);
        let network: IpNetwork = "11.0.0.1/32".parse().expect("a network");
        let (_, ours, _) = bans.next(0).expect("one");
        bans.reconcile(&[(network, 1, 60_000)], 0);
        bans.is_stored_as(network, Some(&ours));
        assert!(sent(&mut bans, 0).is_empty());
        bans.is_stored_as(network, None);
        assert_eq!(sent(&mut bans, 0), [of("11.0.0.1/32", 60)]);
        bans.is_stored_as(network, Some(&Record::lifted(1)));
        assert_eq!(sent(&mut bans, 0), [of("11.0.0.1/32", 60)]);
    }

    #[test]
    fn what_was_written_over_before_its_acknowledgement_came_is_published_again() {
        let mut bans = OwnBans::default();
        bans.take(news(true, vec![own("11.0.0.1", 1, Some(60))]), 0);
        let (network, ours, _) = bans.next(0).expect("one");
        bans.is_stored_as(network, Some(&ours));
        bans.is_stored_as(network, Some(&Record::lifted(9)));
        let published = Published {
            network,
            id: ours.id,
            is_lift: false,
            refused: None,
        };
        bans.settle(&published, 0);
        assert!(bans.next(0).is_some());
        // Now it stands there.
        bans.is_stored_as(network, Some(&ours));
        bans.settle(&published, 0);
        assert!(bans.next(0).is_none());
    }

    #[test]
    fn what_was_on_its_way_when_the_connection_ended_is_published_over_the_next() {
        let mut bans = OwnBans::default();
        bans.take(news(true, vec![own("11.0.0.1", 1, Some(60))]), 0);
        assert!(bans.next(0).is_some());
        assert!(bans.next(0).is_none());
        bans.reconcile(&[], 1_000);
        assert_eq!(sent(&mut bans, 1_000), [of("11.0.0.1/32", 59)]);
    }
}
