//! The section `score`: how the health score is weighted and what it is measured against.

use std::time::Duration;

use model::conf::{Field, Problem, Section, Type};
use model::score::{Part, Scoring};

use super::tree::Item;

/// Greatest weight: only the proportions count, so that a hundred is room for any.
const WEIGHT: Type = Type::Number { min: 0.0, max: 100.0 };

/// Keys of `score`.
pub(super) static SCORE: [Field; 3] = [
    Field::new(
        "weights",
        Type::Section(&WEIGHTS),
        "How much each part counts. What was not measured is left out of the mean and named.",
    ),
    Field::new(
        "full_bitrate_kbps",
        Type::Number { min: 1.0, max: 10_000_000.0 },
        "Measured bit rate that is as good as any higher one, in kbit/s.",
    )
    .default("5000"),
    Field::new(
        "full_latency",
        Type::Duration { min: Duration::from_millis(1), max: Duration::from_secs(3600) },
        "Latency that is as bad as any longer one: the round-trip time where it is measured, else the time until the peer has answered.",
    )
    .default("1s"),
];

/// Keys of `score.weights`, in the order of [`Part::ALL`].
pub(super) static WEIGHTS: [Field; 4] = [
    Field::new("status", WEIGHT, "Weight of the status: up is good, degraded is half good.").default("0.4"),
    Field::new("bitrate", WEIGHT, "Weight of the measured bit rate.").default("0.2"),
    Field::new("packet_loss", WEIGHT, "Weight of the packets or echoes that did not come.").default("0.2"),
    Field::new("latency", WEIGHT, "Weight of the latency.").default("0.2"),
];

/// Checks the section.
pub(super) fn score(item: &Item, problems: &mut Vec<Problem>) -> Scoring {
    let node = item.node_of(&SCORE);
    let section = Section::check(&node, &SCORE, "score", problems);
    let none = Item::empty_map();
    let weights_item = item.get("weights").filter(|w| w.is_map()).unwrap_or(&none);
    let weights_node = weights_item.node_of(&WEIGHTS);
    let given = Section::check(&weights_node, &WEIGHTS, "score.weights", problems);
    let mut weights = [0.0; model::score::PARTS];
    for (weight, part) in weights.iter_mut().zip(Part::ALL) {
        *weight = given.number(part.as_str()).unwrap_or_default();
    }
    if weights.iter().all(|w| *w <= 0.0) && given.place().is_some() {
        let problem = Problem::new(given.place(), "score.weights", "no part has a weight");
        problems.push(problem.with_remedy("give at least one of them a weight above 0"));
    }
    let standard = Scoring::default();
    Scoring {
        weights,
        full_bitrate_bps: section.number("full_bitrate_kbps").map_or(standard.full_bitrate_bps, |kbps| kbps * 1000.0),
        full_latency: section.duration("full_latency").unwrap_or(standard.full_latency),
    }
}
