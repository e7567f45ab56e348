//! Where the time of one training example goes, on one core: `cargo run --release -p
//! slipher-systems --example speed`.

use std::time::Instant;

use slipher_nn::correlation::TOGETHER;
use slipher_nn::shiftnet::{Prediction, Tape};
use slipher_systems::redshift::decode::{decode, posterior};
use slipher_systems::redshift::encode::encode;
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::recipe::Recipe;
use slipher_systems::redshift::simulate::{Simulator, Split};
use slipher_systems::redshift::train::cross_entropy;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut recipe = Recipe::parse(&std::fs::read_to_string(
        "crates/slipher-systems/src/redshift/recipes/redshift.toml",
    )?)?;
    recipe.simulation.templates.clear();
    let n = 300u64;
    for instrument in [
        "sdss",
        "boss",
        "desi",
        "vimos",
        "euclid-red",
        "nirspec-prism",
        "any",
    ] {
        recipe.simulation.instruments = vec![(instrument.into(), 1.0)];
        let simulator = Simulator::new(&recipe.simulation, 1)?;
        let model = Model::new(recipe.network.clone(), 1);
        let classes = model.classes();
        let start = Instant::now();
        let examples: Vec<_> = (0..n).map(|r| simulator.draw(Split::Train, r)).collect();
        let simulate = start.elapsed();
        let start = Instant::now();
        let encoded: Vec<_> = examples
            .iter()
            .filter_map(|e| encode(&e.spectrum))
            .collect();
        let encode = start.elapsed();
        let (mut tapes, mut prediction) = (vec![], Prediction::default());
        let (mut predict, mut forward, mut loss, mut backward, mut answer) =
            (0.0, 0.0, 0.0, 0.0, 0.0);
        let mut positions = 0;
        for (e, x) in encoded.chunks(TOGETHER).zip(examples.chunks(TOGETHER)) {
            positions += e.iter().map(|e| e.coverage.len()).sum::<usize>();
            let t = Instant::now();
            model.net.predict(
                &e.iter().map(|e| e.input()).collect::<Vec<_>>(),
                &mut prediction,
            );
            predict += t.elapsed().as_secs_f64();
            let t = Instant::now();
            tapes.resize_with(e.len(), Tape::default);
            tapes
                .iter_mut()
                .zip(e)
                .for_each(|(t, e)| t.load(&model.net, &e.input()));
            model.net.forward(&mut tapes);
            forward += t.elapsed().as_secs_f64();
            for (tape, x) in tapes.iter_mut().zip(x) {
                let t = Instant::now();
                let (_, g) = cross_entropy(&tape.logits, &classes, x.truth);
                loss += t.elapsed().as_secs_f64();
                let t = Instant::now();
                std::hint::black_box(decode(
                    &posterior(&tape.logits, &classes, 1.0),
                    5,
                    &Default::default(),
                    &Default::default(),
                ));
                answer += t.elapsed().as_secs_f64();
                let t = Instant::now();
                let mut grad = vec![0.0; model.net.trunk().len()];
                std::hint::black_box(model.net.backward(tape, &g, &mut grad));
                backward += t.elapsed().as_secs_f64();
            }
        }
        let ms = |s: f64| 1e3 * s / n as f64;
        let mean = positions / encoded.len();
        println!(
            "{instrument:14} simulate {:.2} encode {:.2} predict {:.2} forward {:.2} decode {:.2} loss {:.2} backward {:.2} ms; {mean} positions, trunk {:.1} MFLOP",
            ms(simulate.as_secs_f64()),
            ms(encode.as_secs_f64()),
            ms(predict),
            ms(forward),
            ms(answer),
            ms(loss),
            ms(backward),
            (mean * model.net.config.flop_per_position()) as f64 / 1e6,
        );
    }
    Ok(())
}
