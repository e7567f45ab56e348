//! Lists that are built once, at first use, by whichever thread comes first: a process that begins
//! with many threads at once must not wait for itself.

use rayon::prelude::*;
use slipher_systems::redshift::measure::{PredictOptions, measure_all};
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::simulate::{SimulationRecipe, Simulator, Split};

/// Small batches from many tasks, as engines give them; each measures in parallel again.
#[test]
fn the_first_rows_come_from_many_threads() {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(4)
        .build()
        .unwrap();
    let recipe = SimulationRecipe {
        instruments: vec![("boss".into(), 1.0)],
        ..SimulationRecipe::default()
    };
    let model = Model::shipped().unwrap();
    let simulator = Simulator::new(&recipe, 1).unwrap();
    let rows: Vec<_> = (0..24)
        .map(|k| simulator.draw(Split::Test, k).spectrum)
        .collect();
    let n: usize = pool.install(|| {
        let pairs = rows.par_chunks(2).map(|pair| {
            let some: Vec<_> = pair.iter().collect();
            measure_all(&model, &PredictOptions::default(), &some).len()
        });
        pairs.sum()
    });
    assert_eq!(n, 24);
}
