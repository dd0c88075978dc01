//! One request to a LAPI on a connection of its own: over TCP, TLS or a UNIX socket, each step with an end. Bodies are
//! handed on piece by piece, and never more than their bound.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request,
    body::Incoming,
    client::conn::http1,
    header::{
        ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, DATE, HOST, HeaderValue, USER_AGENT,
    },
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{
    secret, tls,
    trouble::{Trouble, shown},
};
use crate::{
    failure::{Exit, Failure},
    fleet::{
        lapi_url::{HostPort, LapiUrl},
        settings::CrowdsecSettings,
    },
};

/// Name and version, as `cscli bouncers list` shows them.
const AGENT: &str = concat!("guard/", env!("CARGO_PKG_VERSION"));
/// Longest head of an answer, and most lines of it.
const MOST_HEAD: usize = 16 << 10;
const MOST_LINES: usize = 64;
/// Longest answer to anything but a pull.
const MOST_SHORT: u64 = 64 << 10;

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// To connect, also by TLS.
    pub(super) connect: Duration,
    /// For the head of the answer: a LAPI with a slow disk collects 100 000 decisions before it begins.
    pub(super) head: Duration,
    /// Between two pieces of a body.
    pub(super) piece: Duration,
    /// For all of it.
    pub(super) whole: Duration,
    /// Longest body, in bytes.
    pub(super) most: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(60),
            piece: Duration::from_secs(15),
            whole: Duration::from_secs(180),
            most: 64 << 20,
        }
    }
}

/// As whom a request comes.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// The bouncer: its key, or the certificate of the connection.
    Bouncer,
    /// Nobody yet: to log in.
    Nobody,
    /// A machine that has logged in: its token.
    Machine(String),
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) identity: Identity,
    pub(super) body: Option<serde_json::Value>,
}

/// Who asks a LAPI.
#[derive(Clone, Debug)]
pub(super) struct Client {
    url: LapiUrl,
    settings: CrowdsecSettings,
    patience: Patience,
}

/// The answer, of which the body is not read yet.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The LAPI's clock.
    pub(super) date: Option<String>,
    /// When the head was there.
    pub(super) at: std::time::Instant,
    pub(super) body: Body,
}

/// What comes after the head.
pub(super) struct Body {
    incoming: Incoming,
    piece: Duration,
    end: Instant,
    most: u64,
    left: u64,
    _connection: Driver,
}

/// Moves the bytes of a connection, as long as somebody wants them.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

impl Client {
    /// # Errors
    /// What is wrong with the settings.
    pub(super) fn new(settings: &CrowdsecSettings, patience: Patience) -> Result<Self, Failure> {
        let bad = |what: crate::text::value::BadValue| {
            Failure::new(Exit::BadConfiguration, format!("[crowdsec] {what}"))
        };
        settings.check().map_err(bad)?;
        Ok(Self {
            url: settings.url.parse().map_err(bad)?,
            settings: settings.clone(),
            patience,
        })
    }

    pub(super) fn settings(&self) -> &CrowdsecSettings {
        &self.settings
    }

    /// Asks, and waits for the head of the answer.
    pub(super) async fn ask(&self, asking: Asking) -> Result<Answer, Trouble> {
        let end = Instant::now() + self.patience.whole;
        let request = self.request(asking)?;
        let connecting = timeout(self.patience.connect, self.connect());
        let stream = connecting
            .await
            .map_err(|_| Trouble::Away("it does not take the connection".to_owned()))??;
        let connected = http1::Builder::new()
            .max_buf_size(MOST_HEAD)
            .max_headers(MOST_LINES)
            .handshake(TokioIo::new(stream))
            .await;
        let (mut sender, connection) = connected.map_err(away)?;
        let driver = Driver(tokio::spawn(async move {
            // What goes wrong shows at the request.
            let _ = connection.await;
        }));
        let answering = timeout(self.patience.head, sender.send_request(request));
        let answer = answering
            .await
            .map_err(|_| Trouble::Away("it takes the request and says nothing".to_owned()))?
            .map_err(away)?;
        let date = answer.headers().get(DATE);
        Ok(Answer {
            status: answer.status().as_u16(),
            date: date.and_then(|date| date.to_str().ok()).map(str::to_owned),
            at: std::time::Instant::now(),
            body: Body {
                incoming: answer.into_body(),
                piece: self.patience.piece,
                end,
                most: self.patience.most,
                left: self.patience.most,
                _connection: driver,
            },
        })
    }

    /// The same, of an answer that must be a success; other ones are read as far as they say why.
    pub(super) async fn ask_for(&self, asking: Asking) -> Result<Answer, Trouble> {
        let answer = self.ask(asking).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let status = answer.status;
        let said = answer.body.short().await.unwrap_or_default();
        let said: Option<serde_json::Value> = serde_json::from_slice(&said).ok();
        let message = said.as_ref().and_then(|said| said.get("message")?.as_str());
        Err(Trouble::Refused(
            status,
            message.map(shown).unwrap_or_default(),
        ))
    }

    fn request(&self, asking: Asking) -> Result<Request<Full<Bytes>>, Trouble> {
        let host = match &self.url {
            LapiUrl::Http(at) | LapiUrl::Https(at) => at.authority(),
            LapiUrl::Unix(_) => "localhost".to_owned(),
        };
        let mut request = Request::builder()
            .method(asking.method)
            .uri(asking.path)
            .header(HOST, host)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json")
            .header(CONNECTION, "close");
        match asking.identity {
            Identity::Nobody => {}
            Identity::Machine(token) => {
                request = request.header(AUTHORIZATION, secret_value(&format!("Bearer {token}"))?);
            }
            Identity::Bouncer => {
                if let Some(key) = &self.settings.key {
                    request = request.header("x-api-key", secret_value(&secret::text(key)?)?);
                }
            }
        }
        let body = match asking.body {
            None => Bytes::new(),
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
        };
        request
            .body(Full::new(body))
            .map_err(|error| Trouble::Nonsense(shown(error)))
    }

    async fn connect(&self) -> Result<Box<dyn Io>, Trouble> {
        match &self.url {
            LapiUrl::Unix(path) => Ok(Box::new(UnixStream::connect(path).await.map_err(away)?)),
            LapiUrl::Http(at) => Ok(Box::new(tcp(at).await?)),
            LapiUrl::Https(at) => {
                let config = tls::config(&self.settings)?;
                let name = ServerName::try_from(at.host.clone()).map_err(away)?;
                let stream = tcp(at).await?;
                let connector = TlsConnector::from(Arc::clone(&config));
                let stream = connector.connect(name, stream).await;
                Ok(Box::new(stream.map_err(away)?))
            }
        }
    }
}

async fn tcp(at: &HostPort) -> Result<TcpStream, Trouble> {
    TcpStream::connect((at.host.as_str(), at.port))
        .await
        .map_err(away)
}

fn away(error: impl std::fmt::Display) -> Trouble {
    Trouble::Away(shown(error))
}

fn secret_value(text: &str) -> Result<HeaderValue, Trouble> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Trouble::Nonsense("a token that no header can carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Body {
    /// The next piece; `None` is the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            let end = self.end.min(Instant::now() + self.piece);
            let frame = match timeout_at(end, self.incoming.frame()).await {
                Err(_) => return Err(Trouble::Nonsense("it stops in the middle".to_owned())),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(Trouble::Nonsense(format!("it is cut: {}", shown(error))));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                return Err(Trouble::Nonsense(format!("more than {} bytes", self.most)));
            };
            self.left = left;
            return Ok(Some(data));
        }
    }

    /// All of it, if it is short.
    pub(super) async fn short(mut self) -> Result<Vec<u8>, Trouble> {
        self.most = self.most.min(MOST_SHORT);
        self.left = self.left.min(MOST_SHORT);
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}
