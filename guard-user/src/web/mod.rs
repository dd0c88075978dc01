//! A page that shows what the filter does, to whoever runs a browser on this host and has the token. It changes
//! nothing: no request leads to anything but files of this program and figures.

mod access;
mod page;
mod request;
mod stream;
mod viewers;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION,
        REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
    },
};
use tokio::sync::Semaphore;

use crate::http::{CutOff, HttpClients};
use access::Access;
use request::{Refusal, WebAnswer, WebRequest};
use stream::EventStream;
use viewers::Viewers;
pub use viewers::{BeginSampler, Sampler};

/// Pages that are open at a time. They are few enough that others still get an answer.
pub(crate) const MOST_STREAMS: usize = 8;

/// Nothing but our own files, and nothing that a text could become.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Body = Either<Full<Bytes>, EventStream>;

/// A page that can be served.
pub struct WebPage {
    access: Access,
    listener: TcpListener,
    viewers: Arc<Viewers>,
    streams: Arc<Semaphore>,
}

impl WebPage {
    /// Takes the port, and makes a token. Nobody is answered yet, and nothing is sampled until somebody looks.
    ///
    /// # Errors
    /// When the port cannot be had, or the kernel has no random numbers.
    pub fn new(address: SocketAddr, begin: BeginSampler) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            access: Access::new(listener.local_addr()?.port())?,
            listener,
            viewers: Arc::new(Viewers::new(begin)),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
        })
    }

    /// What to type in a browser: whoever knows it sees the page.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn url(&self) -> io::Result<String> {
        let address = self.listener.local_addr()?;
        Ok(format!(
            "http://{address}/?token={}",
            self.access.token.text()
        ))
    }

    /// Answers until the future is dropped.
    ///
    /// # Errors
    /// When nothing can wait for the port.
    pub async fn serve(self: Arc<Self>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener.try_clone()?)?;
        let clients = HttpClients::new();
        loop {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            let page = Arc::clone(&self);
            let answer = move |request: hyper::Request<_>, deadline| {
                let response = page.answer(&WebRequest::of(&request), &deadline);
                std::future::ready(response)
            };
            clients.serve(accepted, answer).await;
        }
    }

    /// Waits until nothing is sampled any more, when nobody is connected any more.
    pub fn finish(&self) {
        self.viewers.finish();
    }

    fn answer(&self, request: &WebRequest<'_>, deadline: &CutOff) -> Response<Body> {
        let mut response = match request::answer(&self.access, request) {
            WebAnswer::Login => self.login(),
            WebAnswer::File(file) => whole(StatusCode::OK, file.kind, file.text),
            WebAnswer::Events => self.events(request.method, deadline),
            WebAnswer::Refused(refusal) => refused(refusal),
        };
        protect(response.headers_mut());
        response
    }

    /// Hands the token over as a cookie, and leads to an address without it.
    fn login(&self) -> Response<Body> {
        let mut response = whole(StatusCode::SEE_OTHER, page::TEXT, "");
        let headers = response.headers_mut();
        // Hexadecimal digits can stand in every header.
        let cookie = HeaderValue::try_from(self.access.cookie()).ok();
        headers.extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
        let folder = HeaderValue::try_from(self.access.folder()).ok();
        headers.extend(folder.map(|folder| (LOCATION, folder)));
        response
    }

    fn events(&self, method: &Method, deadline: &CutOff) -> Response<Body> {
        let Ok(seat) = Arc::clone(&self.streams).try_acquire_owned() else {
            return refused(Refusal::Full);
        };
        let body = if *method == Method::HEAD {
            Either::Left(Full::default())
        } else {
            let snapshots = self.viewers.join();
            Either::Right(EventStream::begin(snapshots, seat, deadline.clone()))
        };
        with_kind(Response::new(body), "text/event-stream; charset=utf-8")
    }
}

fn refused(refusal: Refusal) -> Response<Body> {
    let (status, text) = refusal.status_and_text();
    let mut response = whole(status, page::TEXT, text);
    let headers = response.headers_mut();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

fn whole(status: StatusCode, kind: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    with_kind(response, kind)
}

fn with_kind(mut response: Response<Body>, kind: &'static str) -> Response<Body> {
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// What every answer says to the browser.
fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages of others, also of other ports of this host, get nothing of an answer.
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
}

#[cfg(test)]
mod tests;
