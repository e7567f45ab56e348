use slipher_systems::redshift::train::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let recipe = Recipe::parse(&std::fs::read_to_string(&a[1]).unwrap()).unwrap();
    let mut t = Trainer::new(recipe).unwrap();
    let folder = std::path::Path::new(&a[2]);
    if folder.join("checkpoint.safetensors").exists() { t.resume(&folder.join("checkpoint.safetensors")).unwrap(); println!("resumed at {}", t.step); }
    let start = std::time::Instant::now();
    let batch = t.recipe.training.batch;
    let first = t.step;
    t.run(folder, |r, v| {
        if r.step % 50 == 0 { println!("{} loss {:.3} acc {:.3} {:.0}/s", r.step, r.loss, r.accuracy, ((r.step - first) * batch) as f64 / start.elapsed().as_secs_f64()); }
        if let Some(v) = v { println!("{v:?}"); }
        true
    }).unwrap();
    t.export("redshift").unwrap().write(&folder.join("model.safetensors")).unwrap();
}
