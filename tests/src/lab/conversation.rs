//! A conversation that goes on beside a test and knows how long it ever stood still.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{SshSession, within};

/// How long a question may stay without its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A datagram without an answer is sent again after this.
const RESEND: Duration = Duration::from_millis(100);
/// Longest conversation, whatever happens to the test.
const LONGEST: Duration = Duration::from_secs(300);

/// A thread that asks and is answered, over one connection, until it is stopped or fails.
#[derive(Debug)]
pub struct Conversation {
    name: String,
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    thread: Option<JoinHandle<Report>>,
}

/// How a conversation went.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who spoke with whom.
    pub name: String,
    /// Questions answered.
    pub answers: u64,
    /// Longest time that an answer took.
    pub longest: Duration,
    /// How it broke off.
    pub failure: Option<String>,
}

impl Conversation {
    /// Starts one. `ask` puts one question and returns with its answer; between two of them is
    /// `pause`.
    #[must_use]
    pub fn start(
        name: impl Into<String>,
        pause: Duration,
        mut ask: impl FnMut(u64) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let name = name.into();
        let stop = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&answers));
        let mut report = Report {
            name: name.clone(),
            answers: 0,
            longest: Duration::ZERO,
            failure: None,
        };
        let thread = thread::spawn(move || {
            let begin = Instant::now();
            while !stopped.load(Ordering::Relaxed) && begin.elapsed() < LONGEST {
                let asked = Instant::now();
                let outcome = ask(report.answers);
                report.longest = report.longest.max(asked.elapsed());
                if let Err(error) = outcome {
                    report.failure = Some(error.to_string());
                    break;
                }
                report.answers += 1;
                counted.store(report.answers, Ordering::Relaxed);
                thread::sleep(pause);
            }
            report
        });
        Self {
            name,
            stop,
            answers,
            thread: Some(thread),
        }
    }

    /// With an echo server over a connection, `bytes` at a time, as fast as it goes.
    ///
    /// # Panics
    /// When the socket takes no time limit.
    #[must_use]
    pub fn tcp(name: impl Into<String>, stream: TcpStream, bytes: usize) -> Self {
        Self::tcp_every(PAUSE, name, stream, bytes)
    }

    /// The same with a pause between two questions.
    ///
    /// # Panics
    /// When the socket takes no time limit.
    #[must_use]
    pub fn tcp_every(
        pause: Duration,
        name: impl Into<String>,
        mut stream: TcpStream,
        bytes: usize,
    ) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        let mut answer = vec![0; bytes];
        Self::start(name, pause, move |number| {
            let question = vec![number as u8; bytes];
            stream.write_all(&question)?;
            stream.read_exact(&mut answer)?;
            same(&question, &answer)
        })
    }

    /// With an echo server by datagrams: to `to` where it is given, over a connected socket else.
    ///
    /// # Panics
    /// When the socket takes no time limit.
    #[must_use]
    pub fn udp(name: impl Into<String>, socket: UdpSocket, to: Option<SocketAddr>) -> Self {
        Self::udp_every(PAUSE, name, socket, to)
    }

    /// The same with a pause between two questions.
    ///
    /// # Panics
    /// When the socket takes no time limit.
    #[must_use]
    pub fn udp_every(
        pause: Duration,
        name: impl Into<String>,
        socket: UdpSocket,
        to: Option<SocketAddr>,
    ) -> Self {
        socket.set_read_timeout(Some(RESEND)).expect("a socket");
        Self::start(name, pause, move |number| {
            let question = number.to_be_bytes();
            let asked = Instant::now();
            while asked.elapsed() < PATIENCE {
                match to {
                    Some(to) => socket.send_to(&question, to)?,
                    None => socket.send(&question)?,
                };
                let mut answer = [0; 8];
                // An answer to a question that was sent twice may come late.
                while socket.recv(&mut answer).is_ok() {
                    if answer == question {
                        return Ok(());
                    }
                }
            }
            Err(io::ErrorKind::TimedOut.into())
        })
    }

    /// Over a login, a block of text at a time: a copy in both directions.
    #[must_use]
    pub fn ssh(name: impl Into<String>, mut session: SshSession) -> Self {
        let block = format!("{}\n", "copy ".repeat(1600));
        Self::start(name, PAUSE, move |_| {
            if session.echoes(&block) {
                Ok(())
            } else {
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        })
    }

    /// Waits until each has had answers to questions that were put after this call.
    ///
    /// # Panics
    /// When one has none.
    #[track_caller]
    pub fn assert_go_on(conversations: &mut [Self]) {
        // The next answer may be that of a question from before.
        let enough: Vec<u64> = conversations.iter().map(|it| it.answers() + 2).collect();
        for (conversation, enough) in conversations.iter_mut().zip(enough) {
            let goes_on = within(PATIENCE, || {
                (conversation.answers() >= enough).then_some(())
            });
            if goes_on.is_none() {
                let end = conversation.end();
                panic!("{} stands still: {end:?}", conversation.name);
            }
        }
    }

    fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Ends it.
    ///
    /// # Panics
    /// When its thread did.
    #[must_use]
    pub fn stop(mut self) -> Report {
        self.end().expect("ended only here")
    }

    fn end(&mut self) -> Option<Report> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take()?;
        Some(thread.join().expect("a conversation does not panic"))
    }
}

/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(10);

fn same(question: &[u8], answer: &[u8]) -> io::Result<()> {
    if question == answer {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "another answer"))
    }
}

impl Report {
    /// It must have lasted, without any answer that took as long as `limit`.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn assert_steady(&self, limit: Duration) {
        assert!(
            self.failure.is_none() && self.answers > 0 && self.longest < limit,
            "stood still for {limit:?}, or broke off: {self:?}"
        );
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
