//! The daemon's end: every connection is limited in time and size, and their number is limited.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};

use super::{MOST_CLIENTS, PATIENCE, Request, Response, frame, peer};
use crate::failure::Exit;

/// Who answers.
pub trait RequestHandler: Clone + Send + Sync + 'static {
    /// Answers a request of somebody who may make it.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// The socket, which is removed with the value.
#[derive(Debug)]
pub struct ControlServer {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlServer {
    /// Opens the socket for root and the group, in the place of one that a dead daemon left.
    ///
    /// # Errors
    /// When the folder is not writable.
    pub fn open(path: &Path) -> io::Result<Self> {
        let listener = listen_for_group(path)?;
        Ok(Self {
            listener,
            path: path.to_path_buf(),
        })
    }

    /// Answers until the future is dropped.
    pub async fn serve(&self, handler: impl RequestHandler) {
        let seats = Arc::new(Semaphore::new(MOST_CLIENTS));
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of descriptors, most likely: connections end within seconds.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            };
            let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
                let busy = Response::failed(
                    Exit::Failed,
                    format!("{MOST_CLIENTS} others are being served; try again"),
                );
                send_now(&stream, &busy);
                continue;
            };
            let handler = handler.clone();
            tokio::spawn(async move {
                // Whoever is slower has been told, or will not listen.
                timeout(PATIENCE, converse(stream, handler)).await.ok();
                drop(seat);
            });
        }
    }
}

/// A socket for root and the group, in the place of whatever is there.
///
/// # Errors
/// When the folder is not writable.
pub fn listen_for_group(path: &Path) -> io::Result<UnixListener> {
    // In place only when its owner and mode are right.
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&temporary)?;
    let prepared = fs::set_permissions(&temporary, fs::Permissions::from_mode(0o660))
        .and_then(|()| match peer::group() {
            Some(group) => std::os::unix::fs::chown(&temporary, None, Some(group.as_raw())),
            None => Ok(()),
        })
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = prepared {
        // What it stands for is reported; a left-over socket hurts nobody.
        fs::remove_file(&temporary).unwrap_or_default();
        return Err(error);
    }
    Ok(listener)
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        // Without it commands learn at once that nobody is there.
        fs::remove_file(&self.path).unwrap_or_default();
    }
}

/// One request, one answer.
async fn converse(mut stream: UnixStream, handler: impl RequestHandler) {
    let response = match frame::read::<Request>(&mut stream).await {
        Ok(request) => match peer::may(&stream, &request) {
            Ok(true) => handler.answer(request).await,
            Ok(false) => Response::failed(Exit::NotPermitted, "only root may ask this"),
            Err(error) => Response::failed(
                Exit::NotPermitted,
                format!("cannot tell who is asking: {error}"),
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return,
        Err(error) => Response::failed(Exit::Usage, error.to_string()),
    };
    let encoded = frame::encode(&response)
        .or_else(|error| frame::encode(&Response::failed(Exit::Failed, error.to_string())));
    if let Ok(bytes) = encoded {
        // Gone already: nobody to tell.
        stream.write_all(&bytes).await.unwrap_or_default();
    }
}

/// A short answer that the socket's buffer takes at once.
fn send_now(stream: &UnixStream, response: &Response) {
    if let Ok(bytes) = frame::encode(response) {
        stream.try_write(&bytes).unwrap_or_default();
    }
}
