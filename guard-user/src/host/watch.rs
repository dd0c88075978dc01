//! Being told when interfaces and addresses of this network namespace change.

use std::io;

use futures_util::{FutureExt as _, StreamExt as _, stream::BoxStream};
use rtnetlink::{MulticastGroup, new_multicast_connection};

/// A subscription, which ends with the value.
pub struct Watch {
    changes: BoxStream<'static, ()>,
}

impl Watch {
    /// Subscribes. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When netlink refuses.
    pub fn start() -> io::Result<Self> {
        let (connection, handle, messages) = new_multicast_connection(&[
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
        ])?;
        tokio::spawn(connection);
        // The connection ends with its last handle.
        let changes = messages.map(move |_| {
            let _ = &handle;
        });
        Ok(Self {
            changes: changes.boxed(),
        })
    }

    /// Waits for a change, or for several that come together. Messages may be lost when very many
    /// come at once: whoever waits must also look from time to time.
    pub async fn changed(&mut self) {
        if self.changes.next().await.is_none() {
            // The subscription is broken; looking from time to time is what is left.
            std::future::pending::<()>().await;
        }
        while let Some(Some(())) = self.changes.next().now_or_never() {}
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
