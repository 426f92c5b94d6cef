//! Fuzz targets: what must hold for the parsers whatever the bytes are.
//!
//! In: any bytes. Out: nothing; a property that does not hold is a panic. The committed corpus is replayed by the proxy suite, and
//! `cargo xtask fuzz` searches for more with libFuzzer.

mod control;
mod dns;
mod guard;
mod head;
mod hello;
mod json;
mod mask;
mod sse;
mod websocket;

/// A property by its name, which is that of its corpus folder in `tests/fuzz/corpus`.
pub struct Target {
    /// As on the command line.
    pub name: &'static str,
    /// Panics where the property does not hold.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "sse",
        run: sse::run,
    },
    Target {
        name: "json",
        run: json::run,
    },
    Target {
        name: "mask-body",
        run: mask::body,
    },
    Target {
        name: "mask-stream",
        run: mask::stream,
    },
    Target {
        name: "http-head",
        run: head::run,
    },
    Target {
        name: "websocket",
        run: websocket::run,
    },
    Target {
        name: "hello",
        run: hello::run,
    },
    Target {
        name: "control",
        run: control::run,
    },
    Target {
        name: "dns",
        run: dns::run,
    },
    Target {
        name: "guard",
        run: guard::run,
    },
];

/// Runs to the end while the clock stands still; it jumps to the next deadline when nothing else moves, so that waiting costs nothing.
fn paused(property: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let Ok(runtime) = runtime else {
        panic!("no runtime");
    };
    runtime.block_on(property);
}

/// Cuts `bytes` into pieces whose lengths a number decides, so that a corpus file says how it arrives.
fn pieces(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut state = u32::from(seed) + 1;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // The step of a linear congruential generator (Numerical Recipes); its high bits are the good ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = 1 + (state >> 24) as usize % rest.len().min(40);
        let (piece, next) = rest.split_at(length);
        rest = next;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole() {
        for seed in 0..=u8::MAX {
            let text = b"data: one\n\ndata: two\n\n".repeat(9);
            let cut: Vec<&[u8]> = pieces(&text, seed).collect();
            assert_eq!(cut.concat(), text);
            assert!(cut.len() > 4);
        }
    }
}
