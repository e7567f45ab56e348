use std::time::Instant;
use slipher_systems::redshift::{measure::*, model::Model, simulate::*, train::Recipe, encode::encode, decode::*};
fn main() {
    let mut recipe = Recipe::parse(&std::fs::read_to_string("recipes/redshift.toml").unwrap()).unwrap();
    recipe.simulation.templates.clear();
    recipe.simulation.instruments = vec![("boss".into(), 1.0)];
    let simulator = Simulator::new(&recipe.simulation, 1).unwrap();
    let model = Model::read(std::path::Path::new("models/redshift.safetensors")).unwrap();
    let ex: Vec<_> = (0..160).map(|r| simulator.draw(Split::Train, r)).collect();
    let s: Vec<_> = ex.iter().map(|e| &e.spectrum).collect();
    let mut w = Workspace::default();
    for _ in 0..6 { let t = Instant::now(); measure(&model, &s, &mut w); println!("measure {:.3} ms", t.elapsed().as_secs_f64()*1e3/160.0); }
    let t = Instant::now(); let e: Vec<_> = s.iter().filter_map(|s| encode(s)).collect(); println!("encode {:.3}", t.elapsed().as_secs_f64()*1e3/160.0);
    let mut tapes = vec![];
    for _ in 0..3 {
    let (mut f, mut p) = (0.0, 0.0);
    for c in e.chunks(8) { let r: Vec<_> = c.iter().collect();
      let t = Instant::now(); model.net.predict(model.load(&r, &mut tapes)); p += t.elapsed().as_secs_f64();
      let t = Instant::now(); model.net.forward(model.load(&r, &mut tapes)); f += t.elapsed().as_secs_f64(); }
    println!("predict {:.3} forward {:.3}", p*1e3/160.0, f*1e3/160.0);
    let t = Instant::now(); for t in &tapes { std::hint::black_box(decode(&posterior(&t.logits, &model.classes(), 1.0), 5)); } println!("decode {:.3}", t.elapsed().as_secs_f64()*1e3/8.0);
    }
}
