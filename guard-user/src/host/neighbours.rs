//! Having the kernel ask a neighbour whether it is still there: the answer is a frame that an
//! interface surely receives. Needs CAP_NET_ADMIN, and no raw socket.

use std::{collections::BTreeMap, io, net::IpAddr};

use futures_util::TryStreamExt as _;
use netlink_packet_route::{
    AddressFamily,
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
    },
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteVia},
};
use rtnetlink::{Handle, RouteMessageBuilder};

use super::netlink;

/// Neighbours that are asked at once: one may be silent.
const MOST_ASKED: usize = 3;

/// Has the kernel ask neighbours on this interface, gateways first; how many it asks. 0 = it knows
/// none.
///
/// # Errors
/// When netlink does not answer.
pub fn ask(ifindex: u32) -> io::Result<usize> {
    netlink::ask(async |handle| ask_by(&handle, ifindex).await.map_err(io::Error::other))
}

async fn ask_by(handle: &Handle, ifindex: u32) -> Result<usize, rtnetlink::Error> {
    let mut known = BTreeMap::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut neighbours = handle
            .neighbours()
            .get()
            .set_address_family(family)
            .execute();
        while let Some(neighbour) = neighbours.try_next().await? {
            if neighbour.header.ifindex == ifindex
                && let Some(address) = address_of(&neighbour)
            {
                known.insert(address, neighbour.header.state);
            }
        }
    }
    let mut asked = 0;
    let gateways = gateways(handle, ifindex).await?;
    let others = known.keys().filter(|address| !gateways.contains(address));
    for address in gateways.iter().chain(others) {
        let is_asked = match known.get(address).map(|state| way_to_ask(*state)) {
            Some(AskBy::Again) => {
                let request = handle.neighbours().add(ifindex, *address);
                request.state(NeighbourState::Probe).replace().execute()
            }
            None | Some(AskBy::Afresh) if gateways.contains(address) => {
                let request = handle.neighbours().add(ifindex, *address);
                let request = request.state(NeighbourState::None);
                request.flags(NeighbourFlags::Use).replace().execute()
            }
            None | Some(AskBy::Afresh | AskBy::Never) => continue,
        };
        // One that has gone meanwhile is none.
        asked += usize::from(is_asked.await.is_ok());
        if asked == MOST_ASKED {
            break;
        }
    }
    Ok(asked)
}

/// How a neighbour in this state can be asked.
enum AskBy {
    /// It has a link address, which goes on being used meanwhile.
    Again,
    /// It has none.
    Afresh,
    /// The operator wrote it by hand, or it needs none: it is not ours to touch.
    Never,
}

fn way_to_ask(state: NeighbourState) -> AskBy {
    match state {
        NeighbourState::Reachable
        | NeighbourState::Stale
        | NeighbourState::Delay
        | NeighbourState::Probe => AskBy::Again,
        NeighbourState::Failed | NeighbourState::Incomplete | NeighbourState::None => AskBy::Afresh,
        NeighbourState::Permanent | NeighbourState::Noarp | NeighbourState::Other(_) | _ => {
            AskBy::Never
        }
    }
}

fn address_of(neighbour: &NeighbourMessage) -> Option<IpAddr> {
    neighbour.attributes.iter().find_map(|attribute| {
        if let NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) = attribute {
            Some(IpAddr::V4(*v4))
        } else if let NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) = attribute {
            (!v6.is_multicast()).then_some(IpAddr::V6(*v6))
        } else {
            None
        }
    })
}

/// Next hops that are reached by this interface.
async fn gateways(handle: &Handle, ifindex: u32) -> Result<Vec<IpAddr>, rtnetlink::Error> {
    let v4 = RouteMessageBuilder::<std::net::Ipv4Addr>::new().build();
    let v6 = RouteMessageBuilder::<std::net::Ipv6Addr>::new().build();
    let mut gateways = Vec::new();
    for query in [v4, v6] {
        let mut routes = handle.route().get(query).execute();
        while let Some(route) = routes.try_next().await? {
            if let Some(gateway) = gateway_on(&route, ifindex)
                && !gateways.contains(&gateway)
            {
                gateways.push(gateway);
            }
        }
    }
    Ok(gateways)
}

fn gateway_on(route: &RouteMessage, ifindex: u32) -> Option<IpAddr> {
    let leaves_by = |attribute: &RouteAttribute| {
        if let RouteAttribute::Oif(index) = attribute {
            *index == ifindex
        } else {
            false
        }
    };
    if !route.attributes.iter().any(leaves_by) {
        return None;
    }
    route.attributes.iter().find_map(|attribute| {
        if let RouteAttribute::Gateway(RouteAddress::Inet(v4))
        | RouteAttribute::Via(RouteVia::Inet(v4)) = attribute
        {
            Some(IpAddr::V4(*v4))
        } else if let RouteAttribute::Gateway(RouteAddress::Inet6(v6))
        | RouteAttribute::Via(RouteVia::Inet6(v6)) = attribute
        {
            Some(IpAddr::V6(*v6))
        } else {
            None
        }
    })
}
