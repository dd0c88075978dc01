//! The body of an answer that goes on: an event for each snapshot. Whoever does not read misses some, and is cut off
//! after a while.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::http::CutOff;

/// How soon a browser comes back when the stream has ended, in milliseconds.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// Snapshots as events.
pub(super) struct EventStream {
    events: mpsc::Receiver<Bytes>,
    deadline: CutOff,
    _seat: OwnedSemaphorePermit,
}

impl EventStream {
    pub(super) fn begin(
        snapshots: watch::Receiver<Option<Bytes>>,
        seat: OwnedSemaphorePermit,
        deadline: CutOff,
    ) -> Self {
        let (sender, events) = mpsc::channel(1);
        tokio::spawn(forward(snapshots, sender));
        Self {
            events,
            deadline,
            _seat: seat,
        }
    }
}

/// Hands the latest snapshot over whenever the one before was taken.
async fn forward(mut snapshots: watch::Receiver<Option<Bytes>>, events: mpsc::Sender<Bytes>) {
    if events.send(Bytes::from_static(RETRY)).await.is_err() {
        return;
    }
    loop {
        let latest = snapshots.borrow_and_update().clone();
        if let Some(event) = latest
            && events.send(event).await.is_err()
        {
            return;
        }
        let is_over = tokio::select! {
            changed = snapshots.changed() => changed.is_err(),
            () = events.closed() => true,
        };
        if is_over {
            return;
        }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = ready!(self.events.poll_recv(context));
        self.deadline.renew();
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }
}
