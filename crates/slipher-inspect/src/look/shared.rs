//! Images and light curves, for the systems of the shared engine.

use std::collections::BTreeMap;
use std::path::Path;

use slipher_systems::answers::{Answer, Answerer};
use slipher_systems::example::Observation;
use slipher_systems::predict::{Options, PredictError};
use slipher_systems::system::System;

use super::{Item, Look, Map, Value, finite};

/// Squares a side of a map.
const STEPS: usize = 12;

/// A model of the shared engine.
pub struct Shared {
    answerer: Answerer,
}

impl Shared {
    /// Opens the bytes of a model.
    ///
    /// # Errors
    /// As [`Answerer::open`].
    pub fn open(
        system: &'static dyn System,
        name: &str,
        bytes: &[u8],
        o: Options,
    ) -> Result<Shared, PredictError> {
        let answerer = Answerer::open(system, name, bytes, o)?;
        Ok(Shared { answerer })
    }

    fn named(&self, a: &Answer) -> Vec<Value> {
        use slipher_nn::heads::Kind;
        let head = &self.answerer.model.head;
        if !a.error.is_empty() || matches!(head.kind(), Kind::Posterior | Kind::Pixels) {
            return vec![];
        }
        let names = self.answerer.model.system.outputs();
        let pairs = names.iter().zip(&a.values);
        let one = |(name, value): (&&str, &f32)| Value {
            name: (*name).to_owned(),
            value: *value,
        };
        pairs.map(one).collect()
    }
}

impl Look for Shared {
    fn sha256(&self) -> &str {
        &self.answerer.model.sha256
    }

    fn look(&self, path: &Path, _hdu: usize, row: usize) -> Result<Item, String> {
        let x = self.answerer.observation(path, row)?;
        let answer = self.answerer.look(x.clone());
        let mut notes = x.notes().to_vec();
        if !answer.error.is_empty() {
            notes.push(answer.error.clone());
        }
        let named = self.named(&answer);
        Ok(match x {
            Observation::Cutout(c) => Item::Image {
                mappable: !named.is_empty() && answer.image.is_some(),
                bands: c.bands,
                height: c.height,
                width: c.width,
                pixels: finite(c.pixels),
                scale: Some(c.pixel_scale).filter(|s| s.is_finite()),
                answer: named,
                notes,
            },
            Observation::LightCurve(c) => {
                let mut bands: BTreeMap<String, Vec<[f64; 3]>> = BTreeMap::new();
                for p in c.points {
                    let point = [p.mjd, f64::from(p.flux), f64::from(p.error)];
                    bands.entry(p.band).or_default().push(point);
                }
                Item::LightCurve {
                    bands,
                    zero_point: c.zero_point,
                    answer: named,
                    notes,
                }
            }
            Observation::Spectrum(_) => return Err("a spectrum, expected an image".into()),
        })
    }

    fn map(&self, path: &Path, row: usize) -> Result<Map, String> {
        let x = self.answerer.observation(path, row)?;
        let (height, width) = x.cutout().map(|c| (c.height, c.width))?;
        let answer = self.answerer.look(x);
        let named = self.named(&answer);
        let image = answer.image.as_deref().ok_or(answer.error.clone())?;
        let top = slipher_nn::heads::largest(&answer.values);
        let of = named
            .get(top)
            .ok_or("no probability that could fall")?
            .name
            .clone();
        let values = self.answerer.occlusion(image, top, STEPS);
        let side = self.answerer.model.system.geometry().stored();
        Ok(Map {
            steps: STEPS,
            share: (side as f32 / height.min(width) as f32).min(1.0),
            values: values.ok_or("the network does not see a square image")?,
            of,
        })
    }
}
