//! How fast the detectors are: `cargo xtask bench detect`.
//!
//! In: nothing, or `--write DIR`, which writes the inputs there for other programs to be measured on. Out: throughput on one core of
//! requests in JSON and of prose, the time one request of 10 KB takes, all with every built-in detector, and how that compares with
//! copying the same bytes. Rounds of copying and scanning alternate, so that what else the machine does meets both; the medians count.

mod inputs;

use std::hint::black_box;
use std::time::{Duration, Instant};

use gateway_detect::{Detectors, Piece, Scanner, scan};
use inputs::{Dice, prose, requests};

fn main() -> std::io::Result<()> {
    let mut dice = Dice::new(0x00C0_FFEE_D00D_F00D);
    let inputs = [
        ("json", requests(&mut dice, REQUESTS, REQUEST)),
        (
            "prose",
            (0..REQUESTS).map(|_| prose(&mut dice, REQUEST)).collect(),
        ),
    ];
    let mut arguments = std::env::args().skip_while(|argument| argument != "--write");
    if let Some(folder) = arguments.nth(1) {
        for (name, texts) in &inputs {
            for (number, text) in texts.iter().enumerate() {
                std::fs::write(format!("{folder}/{name}-{number:03}.txt"), text)?;
            }
        }
        return Ok(());
    }
    let detectors = Detectors::default();
    let found: usize = inputs
        .iter()
        .flat_map(|(_, texts)| texts)
        .map(|text| scan(text, &detectors).len())
        .sum();
    println!(
        "{} requests of {} KB and as much prose; {found} findings, which are false",
        REQUESTS,
        REQUEST / 1000
    );
    println!(
        "{:<14} {:>12} {:>12} {:>16} {:>14}",
        "", "GB/s", "copying", "of copying", "10 KB"
    );
    let only = std::env::args()
        .nth(1)
        .filter(|name| !name.starts_with('-'));
    for (name, texts) in &inputs {
        if only.as_ref().is_none_or(|only| only == name) {
            measure(name, texts, |text| scan(text, &detectors).len());
        }
        if only.is_none() {
            measure(&format!("{name}, stream"), texts, |text| {
                streamed(text, &detectors)
            });
        }
    }
    Ok(())
}

/// As an answer comes: in deltas of some characters.
fn streamed(text: &str, detectors: &Detectors) -> usize {
    let (mut scanner, mut out) = (Scanner::new(), Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let (delta, after) = rest.split_at(rest.ceil_char_boundary(DELTA.min(rest.len())));
        scanner.push(delta, detectors, &mut out);
        rest = after;
    }
    scanner.finish(detectors, &mut out);
    out.iter()
        .filter(|piece| matches!(piece, Piece::Found(..)))
        .count()
}

fn measure(name: &str, texts: &[String], work: impl Fn(&str) -> usize) {
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut copy = String::with_capacity(texts.iter().map(String::len).max().unwrap_or(0));
    let (mut copied, mut scanned, mut each) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..COPIES {
            for text in texts {
                copy.clear();
                copy.push_str(black_box(text));
                black_box(&copy);
            }
        }
        copied.push(started.elapsed() / COPIES);
        let started = Instant::now();
        for text in texts {
            let begun = Instant::now();
            black_box(work(black_box(text)));
            each.push(begun.elapsed().mul_f64(10_000.0 / text.len() as f64));
        }
        scanned.push(started.elapsed());
    }
    let rate = |took: Duration| bytes as f64 / took.as_secs_f64() / 1e9;
    let (copied, scanned) = (rate(median(copied)), rate(median(scanned)));
    println!(
        "{name:<14} {scanned:>12.3} {copied:>12.1} {:>14.2} % {:>11.1} us",
        scanned / copied * 100.0,
        median(each).as_secs_f64() * 1e6
    );
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

const REQUESTS: usize = 60;
const REQUEST: usize = 10_000;
const ROUNDS: usize = 21;
const COPIES: u32 = 20;
/// A token or two.
const DELTA: usize = 6;
