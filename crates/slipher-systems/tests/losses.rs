//! The first losses of each shipped recipe, made smaller, bit for bit: what the one training loop
//! must not change. `golden/losses.json` was recorded before there was one (commit 386a1e0);
//! AVX-512 and AVX2 round alike, other sets do not.

use std::collections::BTreeMap;

use slipher_nn::train::{Examples, Learner};
use slipher_systems::redshift::train as redshift;
use slipher_systems::studies::stivaktakis2018::{simulate::Pool, train as study};
use slipher_systems::{registry, train};

/// Recorded on AVX-512; other instruction sets add in another order.
const TOLERANCE: f64 = 2e-3;
/// Recorded on a processor without AVX-512, whose last digits differ.
const ELSEWHERE: [&str; 3] = ["structure", "structure-published", "restoration"];

#[test]
fn recipes_begin_as_they_did() {
    let golden: BTreeMap<String, Vec<f64>> =
        serde_json::from_str(include_str!("golden/losses.json")).unwrap();
    let mut found: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for system in registry::all_shared() {
        let rng = &mut slipher_sim::random::Stream::new(1, 1, 1);
        if system
            .simulate(slipher_systems::example::Sky::Own, rng)
            .is_none()
        {
            continue;
        }
        for named in system.recipes() {
            let mut r = train::Recipe::read(named.text).unwrap();
            (r.labelled_share, r.simulated, r.validation) = (0.0, 200, 20);
            (r.batch, r.members) = (16, 1);
            let own = registry::shared(&r.system).unwrap();
            let r = r.checked(own).unwrap();
            let data = train::Data::new(&r, own).unwrap();
            let batches = train::Batches::new(&r, own, &data);
            let (mut l, schedule) = (r.learner(own).unwrap(), r.schedule());
            // Those of the study are an order slower: a few steps of each.
            let n = if named.name == system.name() { 20 } else { 3 };
            let step = |s: u64| {
                l.step(&batches.batch(s), schedule.rate(s) as f32, s)
                    .unwrap()
                    .loss
            };
            found.insert(named.name.into(), (0..n).map(step).collect());
        }
    }
    let text = include_str!("../src/redshift/recipes/redshift.toml");
    let mut r = slipher_systems::redshift::recipe::Recipe::parse(text).unwrap();
    r.simulation.templates.clear();
    (r.training.validation, r.training.batch) = (8, 16);
    let data = redshift::Simulated::new(&r).unwrap();
    let model = slipher_systems::redshift::model::Model::new(r.network.clone(), r.training.seed);
    let (mut l, schedule) = (
        redshift::ShiftLearner::new(&model, 0.0),
        r.training.schedule(),
    );
    let step = |s: u64| {
        l.step(&data.batch(s), schedule.rate(s) as f32, s)
            .unwrap()
            .loss
    };
    found.insert("redshift".into(), (0..20).map(step).collect());
    let text = include_str!("../src/studies/stivaktakis2018/recipes/redshift-classes.toml");
    let mut p = study::Plan::parse(text).unwrap();
    (p.seds.count, p.examples, p.batch, p.curve_rows) = (400, 1000, 16, 10);
    let pool = Pool::new(&p.seds, p.setting).unwrap();
    let mut run = study::Run::new(p, &pool).unwrap();
    let (batches, schedule) = (study::Batches::new(&run.plan, &pool), run.plan.schedule());
    let step = |s: u64| {
        run.net
            .step(&batches.batch(s), schedule.rate(s) as f32, s)
            .unwrap()
            .loss
    };
    found.insert("redshift-classes".into(), (0..20).map(step).collect());
    // After a change that is meant: SLIPHER_RECORD=1 cargo nextest run -E 'binary(losses)'.
    if std::env::var_os("SLIPHER_RECORD").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/losses.json");
        std::fs::write(path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
        return;
    }
    let widest = slipher_nn::lanes::Isa::best().name() == "avx512";
    for (name, losses) in &found {
        let exact = widest && !ELSEWHERE.contains(&name.as_str());
        for (step, (loss, want)) in losses.iter().zip(&golden[name]).enumerate() {
            let close =
                (loss - want).abs() <= TOLERANCE * want.abs().max(0.5) * (1.0 + step as f64);
            assert!(
                if exact { loss == want } else { close },
                "{name}, step {step}: {loss}, {want}"
            );
        }
    }
}
