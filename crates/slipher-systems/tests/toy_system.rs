//! The worked example of CONTRIBUTING: a system written as a newcomer would write it, in one file
//! and without touching any other. How bright and how large is a blob? It trains, resumes, answers
//! batches and files, works in shards, is evaluated with coverage, and refuses damaged models.

use std::path::Path;

use arrow_array::RecordBatch;
use slipher_data::catalogue::{Column, Values, record};
use slipher_data::cutout::Cutout;
use slipher_data::hats::{PartWriter, batches};
use slipher_nn::checkpoint::Checkpoint;
use slipher_nn::heads::Head;
use slipher_nn::heads::posterior::{Mixture, Posterior};
use slipher_nn::network::{Init, Layer};
use slipher_sim::random::Stream;
use slipher_stats::classification::Figure;
use slipher_systems::answers::Answerer;
use slipher_systems::architecture::{Architecture, InputViews};
use slipher_systems::example::{Example, Observation, Sky};
use slipher_systems::geometry::Geometry;
use slipher_systems::model::Model;
use slipher_systems::predict::{Options, Predict};
use slipher_systems::set::{Set, Split};
use slipher_systems::shards::{Manifest, run_part};
use slipher_systems::system::{NamedRecipe, System};
use slipher_systems::train::{Data, Recipe, train};
use slipher_systems::views::{Augment, View};

const SIDE: usize = 15;

/// Brightness and width of a round blob on a noisy sky.
struct Blob;

/// The one line of the registry, were it shipped.
static BLOB: Blob = Blob;

impl System for Blob {
    fn name(&self) -> &'static str {
        "blob"
    }
    fn title(&self) -> &'static str {
        "Brightness and width of a blob (an example)"
    }
    fn outputs(&self) -> &'static [&'static str] {
        &["flux", "sigma"]
    }
    fn units(&self) -> &'static [&'static str] {
        &["ct", "pix"]
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        ("flux", &[20.0, 60.0, 100.0])
    }
    fn geometry(&self) -> Geometry {
        Geometry::Image {
            channels: 1,
            stored: SIDE,
            side: SIDE,
        }
    }
    fn augment(&self) -> Augment {
        Augment::TURNS
    }
    fn simulate(&self, sky: Sky, rng: &mut Stream) -> Option<Example> {
        if sky != Sky::Own {
            return None;
        }
        let (flux, sigma) = (rng.uniform(20.0, 100.0), rng.uniform(1.0, 2.5));
        let mut pixel = |i: usize| {
            let (y, x) = ((i / SIDE) as f64 - 7.0, (i % SIDE) as f64 - 7.0);
            let light = (-0.5 * (x * x + y * y) / (sigma * sigma)).exp();
            (flux * light / (std::f64::consts::TAU * sigma * sigma) + rng.normal(0.0, 0.5)) as f32
        };
        let pixels = (0..SIDE * SIDE).map(&mut pixel).collect();
        let cutout = Cutout::new(&["r"], SIDE, SIDE, pixels).ok()?;
        let truth = vec![flux as f32, sigma as f32];
        Some(Example {
            input: Observation::Cutout(cutout),
            truth,
            depth: flux as f32,
        })
    }
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String> {
        let c = x.cutout()?;
        if (c.height, c.width, c.bands.len()) != (SIDE, SIDE, 1) {
            return Err(format!(
                "{} × {} pixels: expected {SIDE} × {SIDE} of one band",
                c.height, c.width
            ));
        }
        Ok(c.pixels
            .iter()
            .map(|v| if v.is_finite() { v / 3.0 } else { 0.0 })
            .collect())
    }
    fn head(&self) -> Box<dyn Head> {
        Box::new(Mixture::gaussian(vec![(60.0, 23.0), (1.75, 0.43)]))
    }
    fn published(&self) -> Architecture {
        let layers = vec![
            Layer::conv(16, (3, 3), false, 0.1),
            Layer::MaxPool {
                size: 2,
                stride: 2,
                same: true,
            },
            Layer::conv(32, (3, 3), false, 0.1),
            Layer::Tap,
            Layer::Dense {
                units: 64,
                slope: 0.1,
            },
            Layer::Dense {
                units: 5,
                slope: 1.0,
            },
        ];
        let init = vec![(Init::He, 0.0); layers.len()];
        let input_views = InputViews::Whole;
        Architecture {
            input_views,
            layers,
            symmetry: None,
            init,
            views: vec![View::PLAIN],
        }
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        slipher_stats::posterior::figures(answers, truth, self.outputs())
    }
    fn recipes(&self) -> &'static [NamedRecipe] {
        &[NamedRecipe {
            name: "blob",
            title: "ours",
            text: RECIPE,
        }]
    }
}

const RECIPE: &str = r#"
system = "blob"
network = { network = "published" }
simulated = 3000
examples_seen = 40000
batch = 50
optimiser = { name = "adam", beta1 = 0.9, beta2 = 0.99, eps = 1e-8 }
learning_rate = 0.003
seed = 1
validation = 500
"#;

fn trained(folder: &Path, stops: &[u64]) -> Model {
    let recipe = Recipe::parse(RECIPE, &BLOB).unwrap();
    let data = Data::new(&recipe, &BLOB).unwrap();
    for stop in stops {
        let mut watch = |_: usize, p: &slipher_nn::train::Progress<'_>| p.step < *stop;
        assert!(
            train(&BLOB, &recipe, &data, folder, "blob", &mut watch)
                .unwrap()
                .is_none()
        );
    }
    train(&BLOB, &recipe, &data, folder, "blob", &mut |_, _| true)
        .unwrap()
        .unwrap()
}

fn images(rows: std::ops::Range<u64>) -> RecordBatch {
    let all: Vec<Example> = rows
        .clone()
        .filter_map(|r| BLOB.simulate(Sky::Own, &mut Stream::new(9, 9, r)))
        .collect();
    let c = Column::bare;
    let pixels = |e: &Example| {
        let mut p = e.input.cutout().unwrap().pixels.clone();
        // A row that does not suit: three pixels.
        if e.truth[0] > 98.0 {
            p.truncate(3);
        }
        p
    };
    record(&[
        c("id", Values::I64(rows.map(|r| r as i64).collect())),
        c("image", Values::F32Lists(all.iter().map(pixels).collect())),
        c(
            "flux",
            Values::F32(all.iter().map(|e| e.truth[0]).collect()),
        ),
    ])
    .unwrap()
}

#[test]
fn a_new_system_is_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    let model = trained(&dir.path().join("a"), &[]);
    let path = dir.path().join("model.safetensors");
    model.write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // Resumed three times it is the same file.
    let again = trained(&dir.path().join("b"), &[3, 41, 300]);
    assert!(
        again.to_checkpoint().unwrap().to_bytes().unwrap() == bytes,
        "resuming changes the model"
    );

    // Coverage and pulls on test rows.
    let test = Set::simulated(&BLOB, Sky::Own, Split::Test, 1, 2000, false);
    let answers = model.predict(&test.images);
    let figures = BLOB.score(&answers, &test.truth);
    let get = |name: &str| {
        figures
            .iter()
            .find(|f| f.name.contains(name))
            .unwrap()
            .value
    };
    assert!((get("coverage 68") - 0.68).abs() < 0.05, "{figures:?}");
    let width = answers.len() / 2000;
    let row = |r: usize| Posterior::of(&answers[r * width..(r + 1) * width], 2);
    let error: f64 = (0..2000)
        .map(|r| (row(r).mean(0) - f64::from(test.truth[2 * r])).powi(2))
        .sum();
    assert!((error / 2000.0).sqrt() < 6.0, "{}", (error / 2000.0).sqrt());

    // A batch, cut anywhere, gives the same rows; the bad one is flagged.
    let answerer = Answerer::open(&BLOB, "blob", &bytes, Options::default()).unwrap();
    let batch = images(0..120);
    let whole = answerer.predict(&batch).unwrap();
    for name in [
        "id",
        "flux_in",
        "flux",
        "flux_err",
        "sigma",
        "sigma_p50",
        "covariance",
        "flags",
        "error",
    ] {
        assert!(
            whole.column_by_name(name).is_some(),
            "{name} of {:?}",
            whole.schema()
        );
    }
    assert!(answerer.failed(&whole) > 0 && answerer.failed(&whole) < 20);
    for (from, n) in [(0, 1), (7, 30), (119, 1), (40, 0)] {
        let part = answerer.predict(&batch.slice(from, n)).unwrap();
        assert_eq!(part, whole.slice(from, n), "{from} {n}");
    }

    in_shards(dir.path(), &answerer, &whole);
    refusals(&bytes);
}

/// Parts of files give the same rows, in any order.
fn in_shards(dir: &Path, answerer: &Answerer, whole: &RecordBatch) {
    let file = |k: u64| {
        let p = dir.join(format!("in-{k}.parquet"));
        let b = images(40 * k..40 * (k + 1));
        let mut w = PartWriter::create(&p, b.schema_ref(), &[]).unwrap();
        w.write(&b).unwrap();
        w.finish().unwrap();
        p
    };
    let files: Vec<_> = (0..3).map(file).collect();
    let folder = dir.join("catalogue");
    for shard in [(2, 2), (1, 2)] {
        let mut m = Manifest::of_files(&files, answerer);
        m.create_or_verify(&folder, shard).unwrap();
        for part in m.shard(shard).filter(|p| !p.is_done(&folder, answerer)) {
            run_part(part, &folder, answerer, &[]).unwrap();
        }
        assert_eq!(m.finish(&folder).unwrap(), (shard.0 == 1).then_some(120));
    }
    for k in 0..3 {
        let part = batches(&folder.join(format!("part-{k:06}.parquet")), 1000)
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let want = whole.slice(40 * k, 40);
        assert_eq!(part.columns(), want.columns());
    }
}

/// Damaged files, and models of another system, are refused.
fn refusals(bytes: &[u8]) {
    for cut in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(Model::from_bytes(&BLOB, "cut", &bytes[..cut]).is_err());
    }
    let c = Checkpoint::from_bytes("x", bytes).unwrap();
    for key in c.meta.keys() {
        let mut other = c.clone();
        other.meta.remove(key);
        assert!(
            Model::from_bytes(&BLOB, "x", &other.to_bytes().unwrap()).is_err(),
            "without {key}"
        );
        other
            .meta
            .insert(key.clone(), serde_json::json!({ "no": "thing" }));
        // The recipe is for people.
        let e = Model::from_bytes(&BLOB, "x", &other.to_bytes().unwrap()).err();
        assert!(e.is_some() || key == "recipe", "{key} of another type");
    }
    let radio = slipher_systems::registry::shared("radio").unwrap();
    let e = Model::from_bytes(radio, "x", bytes)
        .err()
        .unwrap()
        .to_string();
    assert!(e.contains("blob") && e.contains("radio"), "{e}");
}
