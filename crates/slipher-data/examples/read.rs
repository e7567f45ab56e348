//! Files a second into memory, one thread: `cargo run --release -p slipher-data --example read --
//! REPETITIONS FILES…`. Prints the seconds of each repetition as a JSON list.
use std::path::PathBuf;
use std::time::Instant;

use slipher_data::formats::{ReadOptions, read};

fn main() {
    let mut args = std::env::args().skip(1);
    let reps: usize = args.next().and_then(|a| a.parse().ok()).unwrap_or(5);
    let files: Vec<PathBuf> = args.map(PathBuf::from).collect();
    let once = || {
        let t = Instant::now();
        let pixels: usize = files
            .iter()
            .filter_map(|f| read(f, &ReadOptions::default()).ok())
            .flat_map(|f| f.rows)
            .filter_map(|r| r.spectrum.ok())
            .map(|s| s.wave.len())
            .sum();
        assert!(pixels > 0, "no spectra");
        t.elapsed().as_secs_f64()
    };
    once();
    println!("{:?}", (0..reps).map(|_| once()).collect::<Vec<_>>());
}
