//! HTTP for programs of this host: connections are few, and whoever is slow is cut off, so that nobody who connects
//! keeps others out for long.

use std::{
    convert::Infallible,
    error::Error,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    header::{HOST, HeaderMap},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    time::{Instant, timeout_at},
};

/// Connections at a time; more are closed at once.
pub(crate) const MOST_CLIENTS: usize = 16;
/// For a request to arrive.
pub(crate) const HEAD: Duration = Duration::from_secs(3);
/// For all of a connection; of a stream, for a piece of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Longest head of a request, and most lines of it.
const MOST_BYTES: usize = 8192;
const MOST_LINES: usize = 50;

/// Who is served at the moment.
#[derive(Clone, Debug)]
pub(crate) struct HttpClients {
    seats: Arc<Semaphore>,
}

/// When a connection is cut off.
#[derive(Clone, Debug)]
pub(crate) struct CutOff(Arc<Mutex<Instant>>);

impl CutOff {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + PATIENCE)))
    }

    /// A piece of a stream was taken: there is time for the next.
    pub(crate) fn renew(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + PATIENCE;
    }

    fn get(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClients {
    pub(crate) fn new() -> Self {
        Self {
            seats: Arc::new(Semaphore::new(MOST_CLIENTS)),
        }
    }

    /// Serves one request of whoever has connected, beside others.
    pub(crate) async fn serve<S, A, F, B>(&self, accepted: io::Result<S>, answer: A)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Fn(Request<Incoming>, CutOff) -> F + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Ok(stream) = accepted else {
            // Out of descriptors, most likely: connections end within seconds.
            tokio::time::sleep(Duration::from_millis(100)).await;
            return;
        };
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            let deadline = CutOff::new();
            let renewed = deadline.clone();
            let service = service_fn(move |request| {
                let answered = answer(request, renewed.clone());
                async move { Ok::<_, Infallible>(answered.await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_buf_size(MOST_BYTES)
                .max_headers(MOST_LINES)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            // Whoever is slower, or speaks no HTTP, has been told or will not listen.
            while timeout_at(deadline.get(), &mut connection).await.is_err()
                && Instant::now() < deadline.get()
            {}
            drop(seat);
        });
    }
}

/// By which name and port a client calls us, if it is a name that only this host can have: a page in a browser has
/// another one, whatever address it has made that name lead to.
pub(crate) fn local_host(headers: &HeaderMap) -> Option<LocalHost<'_>> {
    let mut hosts = headers.get_all(HOST).iter();
    let (host, None) = (hosts.next()?.to_str().ok()?, hosts.next()) else {
        return None;
    };
    if let Ok(address) = host.parse::<SocketAddr>() {
        let port = Some(address.port());
        return address
            .ip()
            .is_loopback()
            .then_some(LocalHost { text: host, port });
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => match port.parse::<u16>() {
            Ok(port) => (name, Some(port)),
            Err(_) => (host, None),
        },
        None => (host, None),
    };
    let is_local = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_local.then_some(LocalHost { text: host, port })
}

/// A name of this host in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalHost<'a> {
    /// As the client wrote it.
    pub(crate) text: &'a str,
    /// The port, if it named one.
    pub(crate) port: Option<u16>,
}
