//! A source that asks all the time: when was the first datagram sent that got no answer?

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

/// Between two datagrams.
const PACE: Duration = Duration::from_micros(200);
/// Between two looks for an answer.
const LOOK: Duration = Duration::from_micros(20);
/// Datagrams that must be answered before anything happens.
const BEFORE: usize = 20;
/// So long without an answer, and it is banned.
const SILENCE: Duration = Duration::from_millis(40);
/// Nobody takes longer.
const MOST: Duration = Duration::from_secs(10);

/// Asks an echo, has itself banned once it is answered, and says how long after that its answers stopped. `ban` must not
/// take long: nothing is sent meanwhile.
///
/// # Errors
/// When it is not answered, or not banned within ten seconds.
pub fn until_dropped(
    source: Ipv4Addr,
    to: SocketAddr,
    mut ban: impl FnMut() -> Result<()>,
) -> Result<Duration> {
    let socket = UdpSocket::bind((source, 0))?;
    socket.connect(to)?;
    // A time-out would be as long as a tick.
    socket.set_nonblocking(true)?;
    let mut sent: Vec<Instant> = Vec::new();
    let mut banned = None;
    let mut last_answer = 0_usize;
    let begun = Instant::now();
    loop {
        let number = u32::try_from(sent.len())?;
        sent.push(Instant::now());
        socket.send(&number.to_be_bytes())?;
        let next = sent[sent.len() - 1] + PACE;
        while Instant::now() < next {
            let mut answer = [0; 4];
            match socket.recv(&mut answer) {
                Ok(_) => last_answer = last_answer.max(u32::from_be_bytes(answer) as usize),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(LOOK),
                Err(error) => return Err(error.into()),
            }
        }
        if banned.is_none() && last_answer >= BEFORE {
            banned = Some(Instant::now());
            ban()?;
        }
        if let Some(banned) = banned
            && let Some(first_lost) = sent.get(last_answer + 1)
            && first_lost.elapsed() > SILENCE
        {
            return Ok(first_lost.saturating_duration_since(banned));
        }
        ensure!(begun.elapsed() < MOST, "not banned within {MOST:?}");
    }
}
