//! Which requests are answered. What pages of other sites can make a browser send is refused before the token is
//! looked at.

use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    header::{HeaderName, ORIGIN},
};

use super::{
    access::Access,
    page::{self, PageFile},
};
use crate::http::local_host;

/// By this header a browser says who makes it send a request.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What matters of a request.
pub(super) struct WebRequest<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> WebRequest<'a> {
    pub(super) fn of<B>(request: &'a hyper::Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
        }
    }
}

/// What becomes of a request.
pub(super) enum WebAnswer {
    /// The token was right: it becomes a cookie.
    Login,
    File(&'static PageFile),
    Events,
    Refused(Refusal),
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is for another host or port, or by a name that others can have, too.
    Misdirected,
    /// A page of somebody else made the browser send it.
    OtherSite,
    Method,
    Token,
    NotFound,
    /// Too many look already.
    Full,
}

impl Refusal {
    pub(super) fn status_and_text(self) -> (StatusCode, &'static str) {
        match self {
            Self::Misdirected => (
                StatusCode::MISDIRECTED_REQUEST,
                "guardctl web answers to 127.0.0.1, localhost and [::1] only, with the port at which it listens.\n\
                 A tunnel needs the same port at both ends: ssh -L 9978:127.0.0.1:9978 SERVER\n",
            ),
            Self::OtherSite => (
                StatusCode::FORBIDDEN,
                "This request came from a page of another site.\n\
                 Type the address that guardctl web printed, or copy it into the address bar.\n",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD are understood\n",
            ),
            Self::Token => (
                StatusCode::FORBIDDEN,
                "The token is missing or wrong; each run of guardctl web has another one.\n\
                 Open the whole address that guardctl web printed, with ?token=\n",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "there is no such page\n"),
            Self::Full => (
                StatusCode::SERVICE_UNAVAILABLE,
                "as many pages as can be are open already; close one\n",
            ),
        }
    }
}

/// Decides.
pub(super) fn answer(access: &Access, request: &WebRequest<'_>) -> WebAnswer {
    match decide(access, request) {
        Ok(answer) => answer,
        Err(refusal) => WebAnswer::Refused(refusal),
    }
}

fn decide(access: &Access, request: &WebRequest<'_>) -> Result<WebAnswer, Refusal> {
    let host = local_host(request.headers).ok_or(Refusal::Misdirected)?;
    // Who speaks to a proxy names a host in the first line, too.
    if host.port.unwrap_or(80) != access.port || request.uri.authority().is_some() {
        return Err(Refusal::Misdirected);
    }
    if !is_of_own_site(request.headers, host.text) {
        return Err(Refusal::OtherSite);
    }
    if *request.method != Method::GET && *request.method != Method::HEAD {
        return Err(Refusal::Method);
    }
    let path = request.uri.path();
    if path == "/" {
        let is_known = token(request.uri).is_some_and(|token| access.token.is(token));
        return is_known.then_some(WebAnswer::Login).ok_or(Refusal::Token);
    }
    if !access.knows(request.headers) {
        return Err(Refusal::Token);
    }
    let name = path
        .strip_prefix(access.folder())
        .ok_or(Refusal::NotFound)?;
    if name == page::EVENTS {
        return Ok(WebAnswer::Events);
    }
    let file = page::file(name).ok_or(Refusal::NotFound)?;
    Ok(WebAnswer::File(file))
}

/// Did an operator type it, or did our own page send it? Programs that are no browser say nothing about it.
fn is_of_own_site(headers: &HeaderMap, host: &str) -> bool {
    let is_one_of = |name: HeaderName, wanted: &[&str]| {
        headers
            .get_all(name)
            .iter()
            .all(|value| wanted.iter().any(|wanted| value == wanted))
    };
    is_one_of(SITE, &["same-origin", "none"]) && is_one_of(ORIGIN, &[&format!("http://{host}")])
}

fn token(uri: &Uri) -> Option<&str> {
    let mut parts = uri.query()?.split('&');
    parts.find_map(|part| part.strip_prefix("token="))
}

#[cfg(test)]
mod tests;
