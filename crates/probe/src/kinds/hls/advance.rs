//! How it is known that a live stream goes on when there is no look before this one: by its own dates, by the age of its
//! file, or by asking again. Owns when to ask again; the asking is the caller's.

use std::time::Duration;

use net::http::{HeaderName, Response};
use tokio::time::Instant;
use wire::m3u8::{MediaPlaylist, parse_date};

use super::lint::newest_ms;

/// How far the dates of a stream may be ahead of our clock and still count as fresh.
const CLOCKS_DIFFER_MS: i64 = 10_000;
/// How often the playlist is asked for again while one waits.
const POLLS: u32 = 3;
/// Shortest time between two of these.
const SHORTEST_POLL: Duration = Duration::from_millis(300);
/// Part of the look's time that is kept for the last answer.
const KEPT_PART: u32 = 8;

const DATE: HeaderName = HeaderName::from_static("date");
const LAST_MODIFIED: HeaderName = HeaderName::from_static("last-modified");
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The server's clock when it answered, in milliseconds since 1970.
pub(in crate::kinds) fn server_date(reply: &Response) -> Option<i64> {
    reply.header(DATE).and_then(http_date)
}

/// Milliseconds between the writing of the file and the answer, by the server's clock alone.
pub(super) fn file_age(reply: &Response) -> Option<i64> {
    let time = |name| reply.header(name).and_then(http_date);
    Some(time(DATE)? - time(LAST_MODIFIED)?)
}

/// `Fri, 20 Nov 2026 10:46:36 GMT` in milliseconds since 1970; the two older forms are of the last century.
fn http_date(text: &str) -> Option<i64> {
    let mut words = text.split_whitespace().skip(1);
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    parse_date(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))
}

/// Why a playlist counts as one that advances although only one state of it is known; `None` when nothing says so.
/// `now_ms` is our clock, `limit` the time after which a playlist is stale.
pub(super) fn fresh(
    list: &MediaPlaylist,
    file_age_ms: Option<i64>,
    now_ms: i64,
    limit: Duration,
) -> Option<&'static str> {
    let limit = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
    if newest_ms(list).is_some_and(|newest| (-CLOCKS_DIFFER_MS..=limit).contains(&now_ms.saturating_sub(newest))) {
        return Some("fresh by its dates");
    }
    file_age_ms.filter(|age| (0..=limit).contains(age)).map(|_| "fresh by its file time")
}

/// When the playlist that came at `began` and is stale after `limit` is to be asked for again: `round` is 1 the first time.
/// `None` when the stale time is over or the look has no time left for it.
pub(in crate::kinds) fn next_poll(
    began: Instant,
    limit: Duration,
    round: u32,
    deadline: (Instant, Duration),
) -> Option<Instant> {
    let step = (limit / POLLS).max(SHORTEST_POLL);
    let before = began + step * (round - 1);
    let next = (began + step * round).min((began + limit).max(before + SHORTEST_POLL));
    let over = round > 1 && before >= began + limit;
    let last = deadline.0.checked_sub(deadline.1 / KEPT_PART)?;
    (!over && next <= last).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::super::lint::tests::{list, live};
    use super::*;

    #[test]
    fn dates_of_headers() {
        assert_eq!(http_date("Fri, 20 Nov 2026 10:46:36 GMT"), parse_date("2026-11-20T10:46:36Z"));
        assert_eq!(http_date("Friday, 20-Nov-26 10:46:36 GMT"), None);
        assert_eq!(http_date(""), None);
    }

    #[test]
    fn a_date_or_the_file_time_may_speak_for_it() {
        let dated = list(
            &live(1, 3).replace("#EXTINF:2.0,\ns1", "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:10Z\n#EXTINF:2.0,\ns1"),
        );
        let plain = list(&live(1, 3));
        let limit = Duration::from_secs(3);
        // The newest media ends at second 16.
        assert_eq!(fresh(&dated, None, 16_500, limit), Some("fresh by its dates"));
        assert_eq!(fresh(&dated, None, 10_000, limit), Some("fresh by its dates"));
        assert_eq!(fresh(&dated, None, 19_001, limit), None);
        assert_eq!(fresh(&dated, None, 5_000, limit), None);
        assert_eq!(fresh(&plain, Some(2_999), 0, limit), Some("fresh by its file time"));
        assert_eq!(fresh(&plain, Some(3_001), 0, limit), None);
        assert_eq!(fresh(&plain, Some(-1), 0, limit), None);
        assert_eq!(fresh(&plain, None, 0, limit), None);
    }

    #[test]
    fn asking_again_ends_with_the_stale_time_or_the_look() {
        let began = Instant::now();
        let polls = |limit_ms, deadline_ms| {
            let (limit, all) = (Duration::from_millis(limit_ms), Duration::from_millis(deadline_ms));
            (1..)
                .map_while(|round| next_poll(began, limit, round, (began + all, all)))
                .map(|at| at.duration_since(began).as_millis())
                .collect::<Vec<_>>()
        };
        assert_eq!(polls(3_000, 8_000), [1_000, 2_000, 3_000]);
        assert_eq!(polls(9_000, 8_000), [3_000, 6_000]);
        assert_eq!(polls(500, 8_000), [300, 600]);
        assert_eq!(polls(3_000, 800), [0; 0]);
    }
}
