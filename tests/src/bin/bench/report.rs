//! Samples to tables: the median of the rounds, and the median of each round's ratio to no proxy.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use anyhow::Context;
use serde_json::Value;

use crate::world::{Contender, Used, libraries};

/// One round of one contender.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) requests: usize,
    /// A second.
    rate: f64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
    /// Processor time of the proxy for a request, in microseconds, and its resident memory, in bytes.
    proxy: Option<(f64, u64)>,
}

/// The rounds of one load.
#[derive(Default)]
pub(crate) struct Report(BTreeMap<usize, Vec<Sample>>);

impl Sample {
    /// From what the load generator printed and what the proxy used before and after.
    pub(crate) fn read(printed: &Value, used: Option<(Used, Used)>) -> anyhow::Result<Self> {
        let number = |field: &str| {
            let found = printed[field].as_f64();
            found.with_context(|| format!("no {field} in {printed}"))
        };
        let requests = number("requests")?;
        // The warm-up is in the proxy's time too, so the time per request is that of all it served.
        let proxy = used.map(|(before, after)| {
            let cpu = after.cpu.saturating_sub(before.cpu);
            let share = number("seconds").unwrap_or(1.0);
            let served = requests * (share + crate::load::WARM_UP.as_secs_f64()) / share;
            (cpu.as_secs_f64() * 1e6 / served, after.memory)
        });
        Ok(Self {
            requests: printed["requests"].as_u64().unwrap_or_default() as usize,
            rate: requests / number("seconds")?,
            p50: number("p50")?,
            p99: number("p99")?,
            proxy,
        })
    }
}

impl Report {
    pub(crate) fn add(&mut self, contender: Contender, sample: Sample) {
        self.0.entry(contender as usize).or_default().push(sample);
    }

    /// One row for each contender.
    pub(crate) fn table(&self, says: &str) -> String {
        let mut lines = vec![
            format!("{says}:"),
            String::new(),
            "| | requests/s | p50 ms | p99 ms | p50 to direct | CPU us/request | memory MiB |"
                .to_owned(),
            "|---|---:|---:|---:|---:|---:|---:|".to_owned(),
        ];
        for (which, samples) in &self.0 {
            let of = |value: &dyn Fn(&Sample) -> f64| median(samples.iter().map(value).collect());
            let ratio = self.0.get(&(Contender::Direct as usize)).map(|direct| {
                let pairs = samples.iter().zip(direct);
                median(pairs.map(|(own, direct)| own.p50 / direct.p50).collect())
            });
            let proxy = |value: &dyn Fn((f64, u64)) -> f64| match samples[0].proxy {
                Some(_) => format!(
                    "{:.0}",
                    median(
                        samples
                            .iter()
                            .filter_map(|sample| sample.proxy)
                            .map(value)
                            .collect()
                    )
                ),
                None => "-".to_owned(),
            };
            lines.push(format!(
                "| {} | {:.0} | {:.2} | {:.2} | {:.1} | {} | {} |",
                NAMES[*which],
                of(&|sample| sample.rate),
                of(&|sample| sample.p50),
                of(&|sample| sample.p99),
                ratio.unwrap_or(1.0),
                proxy(&|(cpu, _)| cpu),
                proxy(&|(_, memory)| memory as f64 / f64::from(1 << 20)),
            ));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// What was measured on, and how.
pub(crate) fn machine(tools: &Path, rounds: usize, length: Duration) -> anyhow::Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "{cores} cores of {model}, Linux {}; {}; {}; Tollgate {}\n\
         load generator, upstream and proxy share these cores; {rounds} alternating rounds of {} ms each; medians\n",
        kernel.trim(),
        version(tools, "nginx")?,
        version(tools, "haproxy")?,
        env!("CARGO_PKG_VERSION"),
        length.as_millis(),
    ))
}

fn version(tools: &Path, name: &str) -> anyhow::Result<String> {
    let output = Command::new(tools.join("usr/sbin").join(name))
        .arg("-v")
        .env("LD_LIBRARY_PATH", libraries(tools)?)
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    let line = line.trim_start_matches("nginx version: ");
    Ok(line.split(" 20").next().unwrap_or(line).to_owned())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

const NAMES: [&str; 3] = ["direct", "HAProxy", "Tollgate"];
