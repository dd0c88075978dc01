//! Serves the metrics where the policy says, to whoever may connect there. The daemon waits for nobody: connections
//! are few, short and cut off, and figures are read four times a second at most, whoever asks.

use std::{
    fs, io,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use thiserror::Error;
use tokio::{
    net::{TcpListener, UnixListener},
    task::{JoinHandle, spawn_blocking},
};

use super::keeper::{DaemonState, locked};
use crate::{
    control::server::listen_for_group,
    controller::{Controller, Notes},
    failure::{Exit, Failure},
    http::{CutOff, HttpClients, local_host},
    metrics::{DaemonFacts, Form, MetricFacts, MetricReader},
    ruleset::listen::Listen,
};

/// How old figures may be. Not as old as the shortest distance between two scrapes: their rate would be off by that.
const FRESH: Duration = Duration::from_millis(250);
/// Between two attempts at an address that cannot be had.
const RETRY: Duration = Duration::from_secs(5);

/// What is served, and where.
pub(super) struct MetricsServer {
    source: Arc<MetricSource>,
    wanted: Option<Listen>,
    serving: Option<Serving>,
    next: Instant,
}

/// An open address.
struct Serving {
    task: JoinHandle<()>,
    /// The socket, to be removed.
    path: Option<PathBuf>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(path) = &self.path {
            // Without it clients learn at once that nobody is there.
            fs::remove_file(path).unwrap_or_default();
        }
    }
}

impl MetricsServer {
    pub(super) fn new(controller: Controller, state: Arc<Mutex<DaemonState>>) -> Self {
        Self {
            source: Arc::new(MetricSource {
                reader: Arc::new(Mutex::new(MetricReader::new(controller, Notes::Write))),
                state,
                last: tokio::sync::Mutex::new(None),
            }),
            wanted: None,
            serving: None,
            next: Instant::now(),
        }
    }

    /// Serves at this address from now on, or nowhere. Why it cannot, if it cannot; tried again later.
    pub(super) fn follow(&mut self, wanted: Option<Listen>) -> Option<Result<(), Unserved>> {
        let is_known = self.wanted == wanted;
        let is_done = self.serving.is_some() == wanted.is_some();
        if is_known && (is_done || Instant::now() < self.next) {
            return None;
        }
        self.serving = None;
        self.wanted.clone_from(&wanted);
        self.next = Instant::now() + RETRY;
        let Some(listen) = wanted else {
            return Some(Ok(()));
        };
        match self.open(&listen) {
            Ok(serving) => {
                self.serving = Some(serving);
                Some(Ok(()))
            }
            Err(error) => Some(Err(Unserved { listen, error })),
        }
    }

    fn open(&self, listen: &Listen) -> io::Result<Serving> {
        let source = Arc::clone(&self.source);
        match listen {
            Listen::Socket(path) => {
                may_replace(path)?;
                let listener = listen_for_group(path)?;
                Ok(Serving {
                    task: tokio::spawn(serve_socket(listener, source)),
                    path: Some(path.clone()),
                })
            }
            Listen::Loopback(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                let listener = TcpListener::from_std(listener)?;
                Ok(Serving {
                    task: tokio::spawn(serve_port(listener, source)),
                    path: None,
                })
            }
        }
    }
}

/// A socket that nobody listens at may go; nothing else may.
fn may_replace(path: &Path) -> io::Result<()> {
    let metadata = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something that is no socket is there",
        ));
    }
    // Without O_NONBLOCK, a full queue would make us wait.
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&socket2::SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Ok(()) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// An address that cannot be had, and a way out.
#[derive(Debug, Error)]
#[error("metrics are not served at {listen}: {error} ({})", self.way_out())]
pub(super) struct Unserved {
    listen: Listen,
    error: io::Error,
}

impl Unserved {
    fn way_out(&self) -> &'static str {
        if self.error.raw_os_error() == Some(libc::EAFNOSUPPORT) {
            "guard.service has no way to the network; docs/guide/metrics.md says how to give it loopback, or use \
             unix:/run/guard/metrics"
        } else if self.error.kind() == io::ErrorKind::AddrInUse {
            "another program listens there: choose another address below [metrics]"
        } else if self.error.kind() == io::ErrorKind::AlreadyExists {
            "remove it, or choose another path below [metrics]"
        } else {
            "choose another address below [metrics]; guard.service can write to /run/guard"
        }
    }
}

async fn serve_socket(listener: UnixListener, source: Arc<MetricSource>) {
    let clients = HttpClients::new();
    loop {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        clients
            .serve(accepted, answered(&source, Via::Socket))
            .await;
    }
}

async fn serve_port(listener: TcpListener, source: Arc<MetricSource>) {
    let clients = HttpClients::new();
    loop {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        clients.serve(accepted, answered(&source, Via::Port)).await;
    }
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    Socket,
    /// Where a page in somebody's browser could send one, too.
    Port,
}

type Answered = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

fn answered(
    source: &Arc<MetricSource>,
    via: Via,
) -> impl Fn(Request<Incoming>, CutOff) -> Answered + Send + use<> {
    let source = Arc::clone(source);
    move |request, _| {
        let source = Arc::clone(&source);
        Box::pin(async move { answer(&request, via, &source).await })
    }
}

async fn answer(
    request: &Request<Incoming>,
    via: Via,
    source: &MetricSource,
) -> Response<Full<Bytes>> {
    if via == Via::Port && local_host(request.headers()).is_none() {
        return plain(StatusCode::FORBIDDEN, "this is for programs of this host\n");
    }
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "only /metrics is here\n");
    }
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is understood\n");
    }
    let form = form(request.headers());
    match source.facts().await {
        Ok(facts) => {
            let mut response = Response::new(Full::new(Bytes::from(facts.text(form))));
            let kind = HeaderValue::from_static(form.content_type());
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Err(failure) => plain(StatusCode::SERVICE_UNAVAILABLE, failure.in_brackets()),
    }
}

/// OpenMetrics for whoever asks for it.
fn form(headers: &HeaderMap) -> Form {
    let accepts = headers.get_all(ACCEPT).iter();
    let mut accepts = accepts.filter_map(|value| value.to_str().ok());
    if accepts.any(|value| value.contains("application/openmetrics-text")) {
        Form::OpenMetrics
    } else {
        Form::Prometheus
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}

/// Where the figures come from.
struct MetricSource {
    reader: Arc<Mutex<MetricReader>>,
    state: Arc<Mutex<DaemonState>>,
    last: tokio::sync::Mutex<Option<(Instant, MetricFacts)>>,
}

impl MetricSource {
    /// Figures that are fresh. Whoever comes while they are read waits for them.
    async fn facts(&self) -> Result<MetricFacts, Failure> {
        let mut last = self.last.lock().await;
        if let Some((at, facts)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(facts.clone());
        }
        let daemon = {
            let state = locked(&self.state);
            DaemonFacts {
                since: state.report.since,
                jails: state.jails.clone(),
                events_lost: state.report.events_lost,
                fleet: state.report.fleet.clone(),
            }
        };
        let reader = Arc::clone(&self.reader);
        let read = spawn_blocking(move || {
            let mut reader = reader
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            reader.read(Some(daemon))
        });
        let facts = read
            .await
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))??;
        *last = Some((Instant::now(), facts.clone()));
        Ok(facts)
    }
}

#[cfg(test)]
mod tests;
