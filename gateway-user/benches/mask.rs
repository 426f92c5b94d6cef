//! How fast request bodies are searched and masked: `cargo xtask bench mask`.
//!
//! In: nothing. Out: what 10 KB of a chat completion take on one core with every built-in detector, read as the document that it is and as
//! one text. Rounds of both alternate, so that what else the machine does meets both; the medians count.

#[path = "../../gateway-detect/benches/detect/inputs.rs"]
mod inputs;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway_user::mask::{Set, Shape, body};
use inputs::{Dice, requests};

fn main() {
    let bodies = requests(&mut Dice::new(0x00C0_FFEE_D00D_F00D), REQUESTS, REQUEST);
    let bodies: Vec<Bytes> = bodies.into_iter().map(Bytes::from).collect();
    let shapes = [("JSON", Shape::OpenAiChat), ("text", Shape::Text)];
    let (set, mut took) = (Set::all(), [const { Vec::new() }; 2]);
    for _ in 0..ROUNDS {
        for ((_, shape), took) in shapes.iter().zip(&mut took) {
            for bytes in &bodies {
                let begun = Instant::now();
                let masked = black_box(body(black_box(bytes), *shape, &set));
                let each = begun.elapsed().mul_f64(10_000.0 / bytes.len() as f64);
                assert!(masked.is_ok(), "a body that is not JSON");
                took.push(each);
            }
        }
    }
    for ((name, _), took) in shapes.iter().zip(&mut took) {
        println!(
            "{name:<6} {:>8.1} us of 10 KB",
            median(took).as_secs_f64() * 1e6
        );
    }
}

fn median(all: &mut [Duration]) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

const REQUESTS: usize = 60;
const REQUEST: usize = 10_000;
const ROUNDS: usize = 21;
