//! The fuzz bodies with bytes from fixed seeds, and with the recorded replies damaged in ways chosen by a seed.

use std::fs;
use std::path::Path;

use wire::fuzz_bodies::BODIES;

/// Inputs per body and kind; all bodies together take about a second.
const ROUNDS: u64 = 400;
/// Longest random input.
const MAX_RANDOM_BYTES: u64 = 600;
/// Recordings are cut here, so that a round stays short.
const MAX_RECORDED_BYTES: usize = 2_000;

/// A small generator (xorshift), so that a failing seed can be tried again anywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.next() % bound.max(1)).expect("the bound is small")
    }
}

fn recordings() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut all = Vec::new();
    for folder in
        ["rtsp", "interleaved", "sdp", "auth", "multipart", "m3u8", "mpd", "ts", "mp4", "rtmp", "icy", "blocks", "srt"]
    {
        let entries = fs::read_dir(root.join(folder)).expect("the folder is there");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("the entry is readable").path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension != "expected"));
        files.sort();
        all.extend(files.iter().map(|file| fs::read(file).expect("the file is readable")));
    }
    let read = |name| fs::read_to_string(root.join("sps").join(name)).expect("the table is there");
    let table = read("ffmpeg_x264_x265.txt") + &read("handwritten.txt");
    let column = table.lines().filter_map(|line| line.split('|').nth(1));
    all.extend(column.filter_map(|hex| wire::text::from_hex(hex, 4_096)));
    all
}

/// Changes, removes, repeats or inserts a few bytes.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64);
        match (random.below(5), bytes.is_empty()) {
            (_, true) => bytes.push(random.next() as u8),
            (0, _) => bytes[at] = random.next() as u8,
            (1, _) => bytes[at] ^= 1 << random.below(8),
            (2, _) => bytes.truncate(at),
            (3, _) => {
                let end = (at + random.below(64)).min(bytes.len());
                bytes.extend_from_within(at..end);
            }
            _ => bytes.insert(at, *b"\r\n\0\xff$=;,\":-".get(random.below(12)).unwrap_or(&0)),
        }
    }
}

#[test]
fn random_bytes() {
    for (name, body) in BODIES {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let length = random.below(MAX_RANDOM_BYTES);
            let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            run(name, body, &bytes, seed);
        }
    }
}

#[test]
fn recordings_as_they_are_and_damaged() {
    let recordings = recordings();
    for (name, body) in BODIES {
        for recording in &recordings {
            run(name, body, recording, 0);
        }
        for seed in 1..=ROUNDS {
            let mut random = Random::new(seed);
            let recording = &recordings[random.below(recordings.len() as u64)];
            let start = random.below(recording.len() as u64) * random.below(2);
            let end = (start + MAX_RECORDED_BYTES).min(recording.len());
            let mut bytes = recording[start..end].to_vec();
            damage(&mut bytes, &mut random);
            run(name, body, &bytes, seed);
        }
    }
}

fn run(name: &str, body: fn(&[u8]), bytes: &[u8], seed: u64) {
    let outcome = std::panic::catch_unwind(|| body(bytes));
    assert!(outcome.is_ok(), "{name} failed with seed {seed} on {}", wire::text::to_hex(bytes));
}
