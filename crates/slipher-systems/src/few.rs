//! Models from few examples of a user: the network of a system's model as it is, with new classes
//! on what it makes of observations ([`slipher_stats::few`]). Such a model is a model file like any
//! other, and runs through every verb and engine.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use slipher_data::input::expand_for;
use slipher_nn::network::{Init, Layer, Network};
use slipher_sim::random::{Stream, hash};
use slipher_stats::classification::{Figure, accuracy, log_loss};
use slipher_stats::few::{Few, Learned, Member};
use slipher_stats::proportion::wilson;

use crate::answers::{Answerer, interned};
use crate::architecture::{Architecture, InputViews};
use crate::example::{Example, Input, Observation, Sky};
use crate::familiarity::UNFAMILIAR;
use crate::geometry::Geometry;
use crate::model::Model;
use crate::predict::Predict;
use crate::set::{Set, Split};
use crate::system::{NamedRecipe, System};
use crate::views::Augment;

/// A system with other classes.
pub struct FewShot {
    base: &'static dyn System,
    title: &'static str,
    classes: &'static [&'static str],
}

/// The system of a model with its own classes; one for each set of classes, for as long as the
/// program runs.
pub fn system(base: &'static dyn System, classes: &[String]) -> &'static FewShot {
    static ALL: Mutex<BTreeMap<String, &'static FewShot>> = Mutex::new(BTreeMap::new());
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let key = format!("{}\n{}", base.name(), classes.join("\n"));
    all.entry(key).or_insert_with(|| {
        let names: Vec<&'static str> = classes.iter().map(|c| interned(c.clone())).collect();
        Box::leak(Box::new(FewShot {
            base,
            title: interned(format!("Few examples: {}", base.title())),
            classes: Box::leak(names.into_boxed_slice()),
        }))
    })
}

impl System for FewShot {
    fn name(&self) -> &'static str {
        self.base.name()
    }
    fn title(&self) -> &'static str {
        self.title
    }
    fn outputs(&self) -> &'static [&'static str] {
        self.classes
    }
    fn own_classes(&self) -> bool {
        true
    }
    fn depth(&self) -> (&'static str, &'static [f32]) {
        self.base.depth()
    }
    fn input(&self) -> Input {
        self.base.input()
    }
    fn geometry(&self) -> Geometry {
        self.base.geometry()
    }
    fn stamp_side(&self, scale: f64) -> usize {
        self.base.stamp_side(scale)
    }
    fn augment(&self) -> Augment {
        self.base.augment()
    }
    fn simulate(&self, _: Sky, _: &mut Stream) -> Option<Example> {
        None
    }
    fn encode(&self, x: &Observation) -> Result<Vec<f32>, String> {
        self.base.encode(x)
    }
    fn colours(&self, encoded: &[f32]) -> Option<Vec<u8>> {
        self.base.colours(encoded)
    }
    fn feature_names(&self) -> Vec<String> {
        self.base.feature_names()
    }
    fn features(&self, x: &Observation, encoded: &[f32]) -> Vec<f32> {
        self.base.features(x, encoded)
    }
    fn published(&self) -> Architecture {
        self.base.published()
    }
    fn input_views(&self) -> InputViews {
        self.base.input_views()
    }
    fn score(&self, answers: &[f32], truth: &[f32]) -> Vec<Figure> {
        let n = self.classes.len();
        let unpublished = (None, None);
        vec![
            Figure::new("accuracy", accuracy(answers, truth, n), true, unpublished),
            Figure::new("log loss", log_loss(answers, truth, n), false, unpublished),
        ]
    }
    fn recipes(&self) -> &'static [NamedRecipe] {
        self.base.recipes()
    }
    fn extra_columns(&self, rows: &[Option<&Observation>]) -> Vec<slipher_data::catalogue::Column> {
        self.base.extra_columns(rows)
    }
}

/// An example of a user.
#[derive(Clone, Debug)]
pub struct Given {
    /// Number of its class.
    pub label: usize,
    /// What the network sees.
    pub encoded: Vec<f32>,
    /// File and row.
    pub name: String,
}

/// What a user gives.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// Names, in alphabetical order.
    pub classes: Vec<String>,
    /// In the order of the files.
    pub rows: Vec<Given>,
    /// What was left out, and what is odd.
    pub notes: Vec<String>,
}

/// Columns of a catalogue, which no class can be called.
const TAKEN: [&str; 11] = [
    "object_id",
    "ra",
    "dec",
    "class",
    "p_class",
    "familiarity",
    "embedding",
    "flags",
    "error",
    "file",
    "row",
];
/// Most classes of a model.
const CLASSES: usize = 1000;
/// Rows of the simulated sky that say how features vary.
const BACKGROUND: usize = 400;
/// Of those rows.
const SEED: u64 = 0xFE3;

/// Reads examples: a folder with a folder for each class, or a table (CSV) of files and labels.
///
/// # Errors
/// Nothing readable; one class only; one image under two labels.
pub fn read(base: &Answerer, path: &Path) -> Result<Examples, String> {
    let mut found: Vec<(String, String, Result<Vec<f32>, String>)> = vec![];
    let mut take = |file: &Path, label: Option<&str>| {
        base.read(file, &mut |r| {
            let name = if r.row == 0 {
                r.source.clone()
            } else {
                format!("{}, row {}", r.source, r.row)
            };
            let own = match &r.input {
                Ok(Observation::Cutout(c)) => c.label.clone(),
                _ => None,
            };
            let label = label.map(str::to_owned).or(own);
            let folder = folder(path, Path::new(&r.source));
            let encoded = r.input.and_then(|x| base.encode(&x).map(|e| e.0));
            match label.or(folder) {
                Some(l) => found.push((l, name, encoded)),
                None => found.push((String::new(), name, Err(UNLABELLED.into()))),
            }
            true
        });
    };
    if path.extension().is_some_and(|e| e == "csv") {
        for (file, label) in table(path)? {
            take(&file, Some(&label));
        }
    } else {
        let files =
            expand_for(&[path.display().to_string()], base.endings()).map_err(|e| e.to_string())?;
        files.iter().for_each(|f| take(f, None));
    }
    gather(path, found)
}

const UNLABELLED: &str = "no label: expected a folder for each class, a column 'label', or a table \
    (CSV) with the columns file and label";

/// The folder of a class: the first below the folder of examples.
fn folder(root: &Path, file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root).unwrap_or(file);
    let mut parts = inside.components();
    let first = parts.next()?;
    parts.next()?;
    Some(first.as_os_str().to_string_lossy().into_owned())
}

/// Files and labels of a table; files are found beside it.
fn table(path: &Path) -> Result<Vec<(std::path::PathBuf, String)>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut lines = text
        .lines()
        .filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    let cells = |l: &str| -> Vec<String> {
        l.split(',')
            .map(|c| c.trim().trim_matches('"').to_owned())
            .collect()
    };
    let head = cells(lines.next().unwrap_or_default());
    let place = |names: &[&str]| {
        head.iter()
            .position(|h| names.contains(&h.to_lowercase().as_str()))
            .ok_or_else(|| {
                format!(
                    "{}: no column {} among {}",
                    path.display(),
                    names.join(" or "),
                    head.join(", ")
                )
            })
    };
    let (file, label) = (place(&["file", "path"])?, place(&["label", "class"])?);
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut out = vec![];
    for (k, line) in lines.enumerate() {
        let c = cells(line);
        match (c.get(file), c.get(label)) {
            (Some(f), Some(l)) if !f.is_empty() && !l.is_empty() => {
                out.push((folder.join(f), l.clone()));
            }
            _ => {
                return Err(format!(
                    "{}: line {} of data: expected a file and a label",
                    path.display(),
                    k + 1
                ));
            }
        }
    }
    Ok(out)
}

fn gather(
    path: &Path,
    found: Vec<(String, String, Result<Vec<f32>, String>)>,
) -> Result<Examples, String> {
    let mut e = Examples::default();
    let good = found.iter().filter(|f| f.2.is_ok());
    e.classes = good.map(|f| f.0.clone()).collect();
    e.classes.sort();
    e.classes.dedup();
    let mut seen: HashMap<u64, usize> = HashMap::new();
    for (label, name, encoded) in found {
        let encoded = match encoded {
            Ok(x) => x,
            Err(why) => {
                e.notes.push(format!("left out: {name}: {why}"));
                continue;
            }
        };
        let label = e.classes.iter().position(|c| *c == label).unwrap_or(0);
        let bytes: Vec<String> = encoded.iter().map(|v| v.to_bits().to_string()).collect();
        let key = hash(&bytes.concat());
        let same = seen.get(&key).copied();
        if let Some(at) = same.filter(|at| e.rows[*at].encoded == encoded) {
            let other = &e.rows[at];
            if other.label != label {
                return Err(format!(
                    "{name} and {} are the same image, one called {} and one {}: give it one label",
                    other.name, e.classes[label], e.classes[other.label]
                ));
            }
            e.notes
                .push(format!("left out: {name}: the same as {}", other.name));
            continue;
        }
        seen.insert(key, e.rows.len());
        e.rows.push(Given {
            label,
            encoded,
            name,
        });
    }
    if let Some(c) = e.classes.iter().find(|c| TAKEN.contains(&c.as_str())) {
        return Err(format!(
            "a class called '{c}': catalogues have a column of this name; give it another"
        ));
    }
    match e.classes.len() {
        0 => Err(format!(
            "{}: no example that can be read{}",
            path.display(),
            e.notes.first().map_or(String::new(), |n| format!(" ({n})"))
        )),
        1 => Err(format!(
            "{0}: one class only ({1}): add a folder of what is not {1}, of the kind that your data are \
             full of; to find more of the same without a model, use slipher find-similar",
            path.display(),
            e.classes[0]
        )),
        n if n > CLASSES => Err(format!("{n} classes: expected at most {CLASSES}")),
        _ => Ok(e),
    }
}

/// Learns new classes on the network of a model.
///
/// # Errors
/// A network that has no embedding.
pub fn learn(base: &Model, e: &Examples, id: &str) -> Result<(Model, Learned), String> {
    let images: Vec<Vec<f32>> = e.rows.iter().map(|r| r.encoded.clone()).collect();
    let labels: Vec<usize> = e.rows.iter().map(|r| r.label).collect();
    let features = base.outputs(&images).1;
    let background = background(base);
    let views = base.architecture.views.len().max(1);
    let mut members = vec![];
    for (k, of) in features.chunks(views).enumerate() {
        let width = of[0].len() / images.len().max(1);
        let rows = background.as_ref().map(|b| -> Vec<Vec<f32>> {
            let all = b[k * views..(k + 1) * views].iter();
            all.flat_map(|v| v.chunks_exact(width.max(1)).map(<[f32]>::to_vec))
                .collect()
        });
        let member = Member::new(of.to_vec(), width, rows.as_deref())
            .ok_or("what the network makes of the examples is not finite")?;
        members.push(member);
    }
    let learned = Few {
        members: &members,
        labels: &labels,
        classes: e.classes.len(),
    }
    .learn();
    let system = system(base.system, &e.classes);
    let architecture = with_classes(&base.architecture, e.classes.len());
    let mut nets = vec![];
    for (net, head) in base.nets.iter().zip(&learned.heads) {
        nets.push(with_head(net, &architecture, system, head)?);
    }
    let right = learned.right(&labels);
    let recipe = serde_json::json!({
        "few": {
            "base": base.id,
            "base_sha256": base.sha256,
            "method": learned.method.to_string(),
            "examples": e.rows.len(),
            "left_out_right": right.right,
            "left_out": right.n,
        }
    });
    let mut model = Model::of(system, &architecture, nets, recipe, id);
    let rows = base.familiar_features(&features, images.len());
    model.familiarity = base.familiarity.as_ref().map(|f| {
        Box::new(
            f.of_few(base.system.geometry(), &images, &rows)
                .unwrap_or((**f).clone()),
        )
    });
    Ok((model, learned))
}

/// What the network makes of its own sky: how features vary where nobody labelled them.
fn background(base: &Model) -> Option<Vec<Vec<f32>>> {
    let set = Set::simulated(
        base.system,
        Sky::Own,
        Split::Validation,
        SEED,
        BACKGROUND,
        false,
    );
    (set.rows() > 0).then(|| base.outputs(&set.images).1)
}

/// The layers up to the embedding, then one that tells classes apart.
fn with_classes(a: &Architecture, classes: usize) -> Architecture {
    let tap = a.layers.iter().position(|l| matches!(l, Layer::Tap));
    let last = || {
        a.layers
            .iter()
            .rposition(|l| matches!(l, Layer::Dense { .. }))
    };
    let keep = tap.or_else(last).unwrap_or(a.layers.len());
    let mut out = a.clone();
    out.layers.truncate(keep);
    out.layers.extend([
        Layer::Tap,
        Layer::Dense {
            units: classes,
            slope: 1.0,
        },
    ]);
    out.init.truncate(keep);
    out.init.extend([(Init::He, 0.0); 2]);
    out
}

fn with_head(
    net: &Network,
    a: &Architecture,
    system: &'static dyn System,
    head: &slipher_stats::few::Linear,
) -> Result<Network, String> {
    let classes = system.outputs().len();
    let mut new = a
        .build(system.geometry(), classes, 0)
        .map_err(|e| e.to_string())?;
    let old: BTreeMap<String, Vec<f32>> = net
        .tensors()
        .into_iter()
        .map(|t| (t.name, t.values))
        .collect();
    let own = new.tensors();
    let count = own.len();
    let value = |(k, t): (usize, &slipher_nn::network::Tensor)| match count - k {
        2 => Some(head.weights.clone()),
        1 => Some(head.biases.clone()),
        _ => old.get(&t.name).cloned(),
    };
    let values: Option<Vec<Vec<f32>>> = own.iter().enumerate().map(value).collect();
    let values = values.ok_or("the network of the model has no embedding")?;
    new.set_tensors(&values)?;
    let n = new.running.len();
    new.running.copy_from_slice(
        net.running
            .get(..n)
            .ok_or("the network of the model has no embedding")?,
    );
    Ok(new)
}

/// What a user should know before they believe it.
pub fn remarks(base: &Model, e: &Examples, l: &Learned) -> Vec<String> {
    let labels: Vec<usize> = e.rows.iter().map(|r| r.label).collect();
    let t = l.right(&labels);
    let mut out = vec![];
    if t.n == 0 {
        out.push(
            "One example of a class and none to spare: nothing says how often the model is wrong; \
             give at least two of each class"
                .to_owned(),
        );
    } else {
        let (low, high) = wilson(t.n - t.right, t.n);
        out.push(format!(
            "Left out and called by the rest: {} of {} wrong ({:.0} to {:.0} %, 95 %)",
            t.n - t.right,
            t.n,
            100.0 * low,
            100.0 * high
        ));
        let kept = l.left_out.iter().filter(|p| p.is_none()).count();
        if kept > 0 {
            out.push(format!(
                "{kept} not counted: the only example of their class"
            ));
        }
    }
    let images: Vec<Vec<f32>> = e.rows.iter().map(|r| r.encoded.clone()).collect();
    let odd = base.predict_familiar(&images).1;
    let odd = odd.iter().filter(|v| **v < UNFAMILIAR).count();
    if 3 * odd > e.rows.len() {
        out.push(format!(
            "{odd} of {} examples are unlike anything that the network of {} has seen: images of another \
             kind? What it makes of them may say little",
            e.rows.len(),
            base.id
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;
    use slipher_data::cutout::Cutout;

    fn star(x: f64, width: f64) -> Observation {
        let at = |i: usize| {
            let (r, c) = ((i / 150) as f64 - 75.0, (i % 150) as f64 - 75.0);
            let near = |o: f64| (-((c - o).powi(2) + r * r) / (2.0 * width * width)).exp();
            let noise = ((i as f64 * 12.9898 + x + width).sin() * 43_758.545).fract();
            (5e-3 * (near(x) + near(-x)) + 2e-5 * noise) as f32
        };
        let pixels = (0..150 * 150).map(at).collect();
        Observation::Cutout(Cutout::new(&[""], 150, 150, pixels).unwrap())
    }

    fn examples() -> Examples {
        let base = registry::shared("radio").unwrap();
        let mut e = Examples {
            classes: vec!["double".into(), "single".into()],
            ..Examples::default()
        };
        for k in 0..8 {
            let wide = 2.5 + 0.2 * f64::from(k);
            for (label, x) in [(0, 22.0 + f64::from(k)), (1, 0.0)] {
                e.rows.push(Given {
                    label,
                    encoded: base.encode(&star(x, wide)).unwrap(),
                    name: format!("{label} {k}"),
                });
            }
        }
        e
    }

    /// From examples to a file and back: the same answers, the user's classes, its own columns.
    #[test]
    fn a_model_from_few_examples_is_a_model() {
        let base = registry::model(registry::shared("radio").unwrap(), None).unwrap();
        let e = examples();
        let (m, l) = learn(&base, &e, "doubles").unwrap();
        let labels: Vec<usize> = e.rows.iter().map(|r| r.label).collect();
        assert!(l.right(&labels).right >= 14, "{}", l.right(&labels));
        let images: Vec<Vec<f32>> = e.rows.iter().map(|r| r.encoded.clone()).collect();
        let p = m.predict(&images);
        let right = p
            .chunks(2)
            .zip(&labels)
            .filter(|(p, k)| (p[1] > p[0]) == (**k == 1));
        assert!(right.count() >= 15);
        let bytes = m.to_checkpoint().unwrap().to_bytes().unwrap();
        let back = Model::from_bytes(base.system, "few", &bytes).unwrap();
        assert_eq!(back.system.outputs(), ["double", "single"]);
        assert_eq!(back.predict(&images), p);
        assert!(back.familiarity.is_some());
    }

    #[test]
    fn what_cannot_be_learned_from_is_said() {
        let root = Path::new("examples");
        let one = |label: &str, v: f32| (label.to_owned(), format!("{label} {v}"), Ok(vec![v; 4]));
        let of = |all: Vec<_>| gather(root, all);
        let e = of(vec![one("a", 1.0), one("a", 2.0)]).unwrap_err();
        assert!(
            e.contains("one class only (a)") && e.contains("what is not a,"),
            "{e}"
        );
        let e = of(vec![one("a", 1.0), one("b", 1.0)]).unwrap_err();
        assert!(e.contains("the same image"), "{e}");
        let e = of(vec![one("a", 1.0), one("a", 1.0), one("b", 2.0)]).unwrap();
        assert_eq!((e.rows.len(), e.notes.len()), (2, 1));
        assert!(of(vec![]).is_err());
    }
}
