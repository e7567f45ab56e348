//! The published networks of the image systems beside PyTorch, in turns.

use std::fmt::Write;
use std::path::Path;

use super::networks::{Seconds, collect};
use super::{built, median, output, spread};

const PUBLISHED: [&str; 4] = ["Kim & Brunner", "Dieleman", "AlexNet", "Deep-HiTS"];
const OURS: [&str; 4] = [
    "ours, star-galaxy",
    "ours, morphology",
    "ours, radio",
    "ours, transients",
];

pub fn run(python: &Path, rounds: usize) -> Result<String, String> {
    let mut all = Seconds::new();
    for round in 0..rounds {
        eprintln!("image networks, round {} of {rounds}", round + 1);
        let args = ["2".to_owned(), "3".to_owned()];
        collect(
            &output(&built("examples/image_speed"), &args, &[])?,
            &mut all,
        );
        let script: Vec<String> = std::iter::once("scripts/peers_images.py".to_owned())
            .chain(args)
            .collect();
        collect(&output(python, &script, &[])?, &mut all);
    }
    let get = |network: &str, what: &str, peer: &str| {
        all.get(&(network.to_owned(), what.to_owned(), peer.to_owned()))
    };
    let mut page = format!(
        "## Image networks beside PyTorch\n\nPrediction of 64 images and of one, 2 threads, {rounds} round(s), each program once a round; ratios within the round, median and range. An image of Dieleman's network is 16 parts, of Deep-HiTS four turns.\nThe groups of AlexNet's filters are computed with the zeros between them.\n\n"
    );
    page += "| network | images a second, 64 at a time | PyTorch | PyTorch channels-last | ratio to the better | one image, ms | PyTorch, ms | own bf16, images a second |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for network in PUBLISHED {
        let (Some(ours), Some(one)) = (get(network, "f32 64", ""), get(network, "f32 1", ""))
        else {
            continue;
        };
        let none = Vec::new();
        let (a, b) = (
            get(network, "f32 64", "PyTorch").unwrap_or(&none),
            get(network, "f32 64", "PyTorch channels-last").unwrap_or(&none),
        );
        let ratios: Vec<f64> = a
            .iter()
            .zip(b)
            .zip(ours)
            .map(|((a, b), o)| a.min(*b) / o)
            .collect();
        let rate = |s: &[f64]| 64.0 / median(s);
        let half = get(network, "bf16 64", "").map_or(f64::NAN, |s| rate(s));
        let theirs = get(network, "f32 1", "PyTorch").map_or(f64::NAN, |s| 1e3 * median(s));
        let _ = writeln!(
            page,
            "| {network} | {:.0} | {:.0} | {:.0} | {} | {:.2} | {theirs:.2} | {half:.0} |",
            rate(ours),
            rate(a),
            rate(b),
            spread(&ratios),
            1e3 * median(one)
        );
    }
    for network in OURS {
        let (Some(ours), Some(one)) = (get(network, "f32 64", ""), get(network, "f32 1", ""))
        else {
            continue;
        };
        let half = get(network, "bf16 64", "").map_or(f64::NAN, |s| 64.0 / median(s));
        let _ = writeln!(
            page,
            "| {network} | {:.0} | | | | {:.2} | | {half:.0} |",
            64.0 / median(ours),
            1e3 * median(one)
        );
    }
    Ok(page + "\n")
}
