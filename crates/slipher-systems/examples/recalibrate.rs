//! Calibrates a trained image model anew, on rows of the simulated sky as it is now: when the sky changed after a training, its probabilities are
//! those of the sky before. Arguments: model, output, rows, seed.
use std::path::Path;

use slipher_systems::images::model::Model;
use slipher_systems::images::set::{Set, Split};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, rows, seed] = args.as_slice() else {
        panic!("usage: recalibrate MODEL OUTPUT ROWS SEED")
    };
    let (rows, seed) = (
        rows.parse().expect("a number of rows"),
        seed.parse().expect("a seed"),
    );
    let old = Model::read(Path::new(input)).expect("an image model");
    let set = Set::simulated(&*old.system, Split::Validation, seed, rows, false);
    let recipe = serde_json::from_str(&old.recipe).expect("the recipe of the model");
    let new = Model::fit(
        &*old.system,
        &old.architecture,
        old.nets.clone(),
        &recipe,
        &old.id,
        &set,
    );
    eprintln!("{:?} -> {:?}", old.calibration, new.calibration);
    new.write(Path::new(output))
        .expect("a file that can be written");
}
