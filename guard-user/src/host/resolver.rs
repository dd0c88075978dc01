//! The way to the resolver for a process that may not use the network: a socket, behind which another guardctl asks
//! (`guardctl resolver`, of guard-names.service). A question is a name and a line break; the answer is `ok` and an
//! address in each further line, or `no` and why, until the end.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, Shutdown},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    thread,
    time::Duration,
};

use super::lookup::{self, Answer, ResolveError};
use crate::text::hostname;

/// Ten thousand addresses fit.
const MOST_BYTES: u64 = 1 << 20;
/// A resolver gives up before.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most questions at once: as many as a policy has names.
const MOST_QUESTIONS: usize = 128;

/// Asks whoever listens at the socket; `None` when nobody does.
pub(super) fn ask_service(socket: &Path, name: &str) -> Option<Answer> {
    let stream = UnixStream::connect(socket).ok()?;
    Some(ask_over(&stream, name).unwrap_or_else(|error| Err(ResolveError::Busy(error.to_string()))))
}

fn ask_over(mut stream: &UnixStream, name: &str) -> io::Result<Answer> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    writeln!(stream, "{name}")?;
    stream.shutdown(Shutdown::Write)?;
    let mut text = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(read_answer(&text))
}

fn read_answer(text: &str) -> Answer {
    let mut lines = text.lines();
    match lines.next() {
        Some("ok") => {
            let addresses: Result<Vec<IpAddr>, _> = lines.map(str::parse).collect();
            match addresses {
                // What the other process says is looked at like any answer.
                Ok(addresses) => lookup::checked(addresses.into_iter()),
                Err(_) => Err(ResolveError::Busy("its answer makes no sense".to_owned())),
            }
        }
        Some("no") => Err(ResolveError::Refused(lines.collect::<Vec<_>>().join(" "))),
        Some(_) | None => Err(ResolveError::Busy("there was no answer".to_owned())),
    }
}

/// Answers everybody who connects to the socket that standard input is, until it is gone.
///
/// # Errors
/// When standard input is no socket that listens.
pub fn serve() -> io::Result<()> {
    let socket: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    let listener = UnixListener::from(socket);
    // Fails here, and with its name, where it is none.
    listener.local_addr()?;
    let open = std::sync::Arc::new(());
    loop {
        let (stream, _) = listener.accept()?;
        if std::sync::Arc::strong_count(&open) > MOST_QUESTIONS {
            continue;
        }
        let question = open.clone();
        let answering = thread::Builder::new()
            .name("resolve".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                // Whoever asked may be gone.
                answer(&stream).unwrap_or_default();
                drop(question);
            });
        // Who is not answered asks again.
        drop(answering);
    }
}

fn answer(mut stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(1024)).read_line(&mut line)?;
    let text = match hostname::parse(&line) {
        Ok(name) => match lookup::addresses(&name) {
            Ok(addresses) => addresses.iter().fold("ok\n".to_owned(), |text, address| {
                text + &address.to_string() + "\n"
            }),
            Err(ResolveError::Refused(why)) => format!("no\n{}\n", why.replace('\n', " ")),
            Err(error) => format!("no\n{error}\n"),
        },
        Err(_) => "no\nit is not the name of a host\n".to_owned(),
    };
    stream.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_checked() {
        let one: IpAddr = "192.0.2.1".parse().expect("one");
        assert_eq!(read_answer("ok\n192.0.2.1\n192.0.2.1\n"), Ok(vec![one]));
        assert_eq!(
            read_answer("no\nName or service not known\n"),
            Err(ResolveError::Refused(
                "Name or service not known".to_owned()
            ))
        );
        for text in ["", "yes\n", "ok\nhome\n", "ok"] {
            let answer = read_answer(text);
            assert!(answer.is_err(), "{text}: {answer:?}");
        }
        assert!(matches!(
            read_answer("ok\n127.0.0.1\n"),
            Err(ResolveError::Unusable(_))
        ));
    }

    #[test]
    fn nobody_at_the_socket_is_no_answer_and_a_question_is_answered_over_it() {
        let folder = crate::ruleset::testing::Folder::new();
        let socket = folder.path().join("names.sock");
        assert_eq!(ask_service(&socket, "a.example"), None);
        let listener = UnixListener::bind(&socket).expect("a socket");
        let server = thread::spawn(move || {
            for _ in 0..2 {
                let (stream, _) = listener.accept().expect("a question");
                answer(&stream).expect("answered");
            }
        });
        let asked = |name: &str| ask_service(&socket, name).expect("an answer");
        assert!(
            matches!(asked("no name"), Err(ResolveError::Refused(why)) if why.contains("not the name"))
        );
        // RFC 6761: no resolver knows it.
        assert!(matches!(
            asked("home.invalid"),
            Err(ResolveError::Refused(_))
        ));
        server.join().expect("it ends");
    }
}
