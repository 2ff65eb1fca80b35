//! A stream that goes on being played: every message is told of, until the stream or the connection ends. Owns the way from
//! messages to packets; acknowledgements and pings are the connection's.

use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Media, Reading};
use model::time::Mono;
use wire::rtmp::{Content, Seen};

use super::connection::{Connection, Incoming};
use super::media::Tally;
use super::place::Place;
use super::session::{self, Turn};
use crate::kind::HOLD_GATHER_BYTES;
use crate::live::{Live, Packet};

/// Where timestamps begin to count: they may go back from the first.
const FIRST_MS: u64 = 1 << 33;

/// Reads messages until the session ends; answers with why it did. Safe to drop.
pub(super) async fn hold(connection: &mut Connection, place: &Place, tally: &mut Tally, live: &Live) -> Fault {
    connection.hold();
    connection.gather(live.gather(), HOLD_GATHER_BYTES);
    let mut clock = Clock::default();
    loop {
        match connection.next(Phase::Media).await {
            Ok(Incoming::Message(Content::Command(command), _)) => match session::follow(&command, place) {
                Ok(Turn::Ended(code)) => return no_media(format!("{} ended ({code})", place.shown())),
                Ok(Turn::Started | Turn::None) => {}
                Err(fault) => return fault,
            },
            Ok(Incoming::Message(content, timestamp)) => {
                tell(&content, clock.time(timestamp), connection.age(), tally, live);
            }
            Ok(Incoming::End) => return no_media("the server closed the connection".to_owned()),
            Err(fault) => return fault,
        }
    }
}

fn no_media(detail: String) -> Fault {
    Fault::new(FaultKind::NoMedia, Phase::Media, detail)
}

fn tell(content: &Content, time: Duration, (age, timed): (Duration, bool), tally: &mut Tally, live: &Live) {
    let (media, bytes) = match content {
        Content::Video(body) => (Media::Video, body.len()),
        Content::Audio(body) => (Media::Audio, body.len()),
        _ => {
            tally.take(content);
            return;
        }
    };
    let seen = tally.take(content);
    if !tally.wants(media) {
        return;
    }
    let mut batch = live.begin();
    let place = |reading: &Reading| reading.tracks.iter().position(|track| track.media == media);
    if seen == Seen::Config || place(batch.reading()).is_none() {
        learn(tally, batch.reading());
    }
    // A message that is no frame is no media: it does not end a silence.
    if let (Seen::Frame { key }, Some(track)) = (seen, place(batch.reading())) {
        let key = key && media == Media::Video;
        let at = Mono(live.now().0.saturating_sub(age));
        batch.packet(Packet { track, bytes, at, timed, media_time: Some(time), frame: true, key, lost: None });
    }
}

/// Writes down what is known of the stream by now; a track keeps its place.
fn learn(tally: &Tally, reading: &mut Reading) {
    let mut now = reading.clone();
    tally.note(&mut now);
    for track in std::mem::replace(&mut now.tracks, std::mem::take(&mut reading.tracks)) {
        match now.tracks.iter_mut().find(|known| known.media == track.media) {
            Some(known) => *known = track,
            None => now.tracks.push(track),
        }
    }
    *reading = now;
}

/// Timestamps without wraps.
#[derive(Default)]
struct Clock {
    /// The last timestamp as it came and as it counts.
    last: Option<(u32, u64)>,
}

impl Clock {
    fn time(&mut self, timestamp: u32) -> Duration {
        let ms = match self.last {
            None => FIRST_MS,
            Some((last, ms)) => ms.saturating_add_signed(timestamp.wrapping_sub(last).cast_signed().into()),
        };
        self.last = Some((timestamp, ms));
        Duration::from_millis(ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_wrap_and_go_back() {
        let mut clock = Clock::default();
        let first = clock.time(u32::MAX - 9);
        for (timestamp, since) in [(u32::MAX, 9), (10, 20), (5, 15), (1005, 1015)] {
            assert_eq!(clock.time(timestamp), first + Duration::from_millis(since), "{timestamp}");
        }
        assert_eq!(clock.time(u32::MAX - 99), first - Duration::from_millis(90), "before the first");
    }
}
