//! The two reference networks beside PyTorch and onnxruntime, in turns.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::{built, median, output, spread};

/// Seconds by (network, what, peer) and round, the median of each round.
pub type Seconds = BTreeMap<(String, String, String), Vec<f64>>;

/// MFLOP of a forward pass of one example.
const FLOP: [(&str, f64); 2] = [("W1", 60.6e6), ("W2", 211.3e6)];

pub fn run(python: &Path, rounds: usize) -> Result<String, String> {
    let mut page = String::from("## Networks beside PyTorch and onnxruntime\n\n");
    page += "W1 = 3 × conv1d(16 filters of size 8) on 1800 bins + dense 28,464 → 800. W2 = the star/galaxy network of Kim & Brunner (2017), 5 × 44 × 44. Training is forward, cross-entropy,\n\
             backward and Adam on a batch of 128. Peers: PyTorch eager, fused Adam, channels-last, torch.compile where a compiler is found; onnxruntime. In each round every program runs once,\n\
             and a ratio is taken within the round; given is the median over rounds and the range. \"Best peer\" is the fastest of them in that round.\n\n";
    for (threads, rounds) in [(2, rounds), (1, 1)] {
        let mut all = Seconds::new();
        for round in 0..rounds {
            eprintln!(
                "networks, {threads} threads, round {} of {rounds}",
                round + 1
            );
            let args = [threads.to_string(), "3".to_owned()];
            collect(&output(&built("examples/reference"), &args, &[])?, &mut all);
            let script: Vec<String> = std::iter::once("scripts/peers.py".to_owned())
                .chain(args)
                .collect();
            collect(&output(python, &script, &[])?, &mut all);
        }
        page += &table(&all, threads, rounds);
    }
    Ok(page)
}

/// Reads lines of `{"what":…,"network":…,"peer":…,"seconds":[…]}`; ours have no peer.
pub fn collect(text: &str, all: &mut Seconds) {
    for line in text.lines() {
        let Ok(v) = serde_json::from_str::<serde_json::Value>(line) else {
            continue;
        };
        let text = |key: &str| v[key].as_str().unwrap_or_default().to_owned();
        let seconds: Vec<f64> = v["seconds"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_f64)
            .collect();
        all.entry((text("network"), text("what"), text("peer")))
            .or_default()
            .push(median(&seconds));
    }
}

fn table(all: &Seconds, threads: usize, rounds: usize) -> String {
    let get = |network: &str, what: &str, peer: &str| {
        all.get(&(network.to_owned(), what.to_owned(), peer.to_owned()))
    };
    let peak: Vec<f64> = get("sgemm", "2048", "PyTorch")
        .into_iter()
        .flatten()
        .map(|s| 2.0 * 2048f64.powi(3) / s)
        .collect();
    let mut page = format!(
        "{threads} thread{}, {rounds} round(s); sgemm 2048³ of PyTorch (MKL) in the same rounds: {:.0} GFLOP/s\n\n",
        if threads == 1 { "" } else { "s" },
        median(&peak) * 1e-9
    );
    page += "| work | ours, ms | PyTorch eager, ms | best peer, ms | ratio to PyTorch eager | ratio to the best peer | ours, share of sgemm |\n| --- | --- | --- | --- | --- | --- | --- |\n";
    for network in ["W1", "W2"] {
        for (what, base, passes) in [
            ("train", "train", 3.0 * 128.0),
            ("infer f32 128", "infer f32 128", 128.0),
            ("infer f32 1", "infer f32 1", 1.0),
            ("infer bf16 128", "infer bf16 128", 128.0),
            ("infer bf16 1", "infer bf16 1", 1.0),
        ] {
            let Some(ours) = get(network, what, "") else {
                continue;
            };
            let rivals: Vec<(&String, &Vec<f64>)> = all
                .iter()
                .filter(|((n, w, p), _)| n == network && w == base && !p.is_empty())
                .map(|((_, _, p), s)| (p, s))
                .collect();
            let best: Vec<f64> = (0..ours.len())
                .map(|r| {
                    rivals
                        .iter()
                        .filter_map(|(_, s)| s.get(r))
                        .copied()
                        .fold(f64::INFINITY, f64::min)
                })
                .collect();
            let winner = rivals
                .iter()
                .min_by(|a, b| median(a.1).total_cmp(&median(b.1)))
                .map_or("", |w| w.0.as_str());
            let eager: Vec<f64> = rivals
                .iter()
                .find(|(p, _)| *p == "PyTorch" || *p == "PyTorch bf16")
                .map(|(_, s)| (*s).clone())
                .unwrap_or_default();
            let ratio = |theirs: &[f64]| {
                spread(
                    &theirs
                        .iter()
                        .zip(ours)
                        .map(|(t, o)| t / o)
                        .collect::<Vec<_>>(),
                )
            };
            let flop = FLOP
                .iter()
                .find(|f| f.0 == network)
                .map_or(f64::NAN, |f| f.1)
                * passes;
            let share: Vec<f64> = ours
                .iter()
                .zip(&peak)
                .map(|(o, p)| 100.0 * flop / o / p)
                .collect();
            let _ = writeln!(
                page,
                "| {network} {what} | {:.2} | {:.2} | {:.2} ({winner}) | {} | {} | {:.0} % |",
                1e3 * median(ours),
                1e3 * median(&eager),
                1e3 * median(&best),
                ratio(&eager),
                ratio(&best),
                median(&share)
            );
        }
        for (what, f32_, bf16) in [
            ("128", "infer f32 128", "infer bf16 128"),
            ("1", "infer f32 1", "infer bf16 1"),
        ] {
            if let (Some(a), Some(b)) = (get(network, f32_, ""), get(network, bf16, "")) {
                let _ = writeln!(
                    page,
                    "| {network} own bf16 against own f32, batch {what} | | | | {} | | |",
                    spread(&a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<_>>())
                );
            }
        }
    }
    page + "\n"
}
