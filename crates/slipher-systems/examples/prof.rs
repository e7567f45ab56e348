use slipher_systems::redshift::{simulate::*, train::Recipe};
use std::time::Instant;
fn main() {
    let mut recipe = Recipe::parse(&std::fs::read_to_string("recipes/redshift.toml").unwrap()).unwrap();
    recipe.simulation.templates.clear();
    for name in ["euclid-red", "boss"] {
        recipe.simulation.instruments = vec![(name.into(), 1.0)];
        let simulator = Simulator::new(&recipe.simulation, 1).unwrap();
        for _ in 0..3 {
            let t = Instant::now();
            let n = 3000;
            for r in 0..n {
                std::hint::black_box(simulator.draw(Split::Train, r));
            }
            println!("{name} {:.0}/s", n as f64 / t.elapsed().as_secs_f64());
        }
    }
}
