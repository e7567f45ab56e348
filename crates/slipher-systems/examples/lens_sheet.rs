//! A sheet of simulated stamps, a row of lenses and a row for each family of what is none, in the
//! colours of Lupton et al. (2004), and how long one takes:
//! `cargo run --release -p slipher-systems --example lens_sheet -- sheet.png`.
use std::time::Instant;

use slipher_data::cutouts::picture;
use slipher_sim::random::Stream;
use slipher_systems::example::Observation;
use slipher_systems::lens_finding::simulate::{FAMILIES, Wanted};
use slipher_systems::lens_finding::{LENS_FINDING, sky};
use slipher_systems::system::System;

const COLUMNS: usize = 14;
const SIDE: usize = 64;

fn main() -> Result<(), String> {
    let out = std::env::args().nth(1).unwrap_or("sheet.png".into());
    let rows = FAMILIES.len() + 3;
    let mut sheet = vec![0u8; rows * SIDE * COLUMNS * SIDE * 3];
    let _ = sky();
    for row in 0..rows {
        let wanted = row.checked_sub(3).map_or(Wanted::Lens, Wanted::Other);
        let start = Instant::now();
        for column in 0..COLUMNS {
            let mut rng = Stream::new(9, row as u64, column as u64);
            let e = sky().draw(wanted, &mut rng);
            if let (Observation::Cutout(c), true) = (&e.input, row < 3) {
                println!("{:?} {:.1} {:?}", c.survey, e.depth, c.bands);
            }
            let x = LENS_FINDING.encode(&e.input)?;
            let colours = LENS_FINDING.colours(&x).unwrap_or_default();
            for (y, line) in colours.chunks(3 * SIDE).enumerate() {
                let at = 3 * ((row * SIDE + y) * COLUMNS * SIDE + column * SIDE);
                sheet[at..at + 3 * SIDE].copy_from_slice(line);
            }
        }
        let ms = 1000.0 * start.elapsed().as_secs_f64() / COLUMNS as f64;
        println!("{wanted:?}: {ms:.1} ms");
    }
    let png = picture::encode(&sheet, rows * SIDE, COLUMNS * SIDE)?;
    std::fs::write(out, png).map_err(|e| e.to_string())
}
