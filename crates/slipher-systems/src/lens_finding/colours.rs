//! Colours of galaxies and stars in g, r and i, drawn once from the SEDs of the redshift system and
//! kept by redshift: a stamp holds a dozen objects, and an SED costs more than its pixels.

use slipher_sim::igm::effective_depth;
use slipher_sim::random::Stream;
use slipher_sim::sed::SpecType;
use slipher_sim::sky::colours::{MEGACAM, magnitude};
use slipher_sim::templates::Library;

/// Width of a bin of redshift.
const BIN: f64 = 0.1;
const DEEPEST: f64 = 5.0;
/// SEDs of a bin.
const EACH: usize = 40;
const LYMAN: f64 = 1215.67;

/// Magnitudes in g, r, i less that in r.
pub type Colours = [f64; 3];

/// What shines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An old population without dust.
    Passive,
    /// Young stars, with dust and lines.
    Forming,
}

/// Tables of colours.
pub struct Table {
    passive: Vec<Vec<Colours>>,
    forming: Vec<Vec<Colours>>,
    stars: Vec<Colours>,
}

impl Table {
    /// From the SEDs that come with the program.
    pub fn new() -> Table {
        let library = Library::builtin();
        let mut rng = Stream::new(21, 77, 0);
        let mut table = Table {
            passive: vec![],
            forming: vec![],
            stars: (0..300)
                .map(|_| colours(&library, SpecType::Star, 0.0, &mut rng).0)
                .collect(),
        };
        let bins = (DEEPEST / BIN) as usize;
        for bin in 0..bins {
            let (mut old, mut young) = (vec![], vec![]);
            // Passive galaxies are rare at high redshift; a bin without any takes the one before.
            for _ in 0..40 * EACH {
                let z = (bin as f64 + rng.uniform(0.0, 1.0)) * BIN;
                let (c, passive) = colours(&library, SpecType::Galaxy, z, &mut rng);
                let list = if passive { &mut old } else { &mut young };
                if list.len() < 2 * EACH {
                    list.push(c);
                }
                if old.len() >= 2 * EACH && young.len() >= EACH {
                    break;
                }
            }
            // The oldest half: massive galaxies have no young stars at all.
            old.sort_by(|a: &Colours, b| (b[0] - b[2]).total_cmp(&(a[0] - a[2])));
            old.truncate(old.len().div_ceil(2));
            for (list, all) in [(old, &mut table.passive), (young, &mut table.forming)] {
                let kept = if list.is_empty() {
                    all.last()
                        .cloned()
                        .unwrap_or_else(|| vec![[0.5, 0.0, -0.3]])
                } else {
                    list
                };
                all.push(kept);
            }
        }
        table
    }

    /// Colours of a galaxy at a redshift.
    pub fn galaxy(&self, kind: Kind, z: f64, rng: &mut Stream) -> Colours {
        let all = match kind {
            Kind::Passive => &self.passive,
            Kind::Forming => &self.forming,
        };
        let bin = ((z / BIN) as usize).min(all.len() - 1);
        self.scattered(&all[bin], rng)
    }

    /// Colours of a star.
    pub fn star(&self, rng: &mut Stream) -> Colours {
        self.scattered(&self.stars, rng)
    }

    /// One of the list; zero points and what no SED holds scatter by 0.03.
    fn scattered(&self, list: &[Colours], rng: &mut Stream) -> Colours {
        let c = list[rng.below(list.len())];
        c.map(|v| v + rng.normal(0.0, 0.03))
    }
}

/// Colours of an SED, and whether it is a passive galaxy, whose dust is left out.
fn colours(library: &Library, class: SpecType, z: f64, rng: &mut Stream) -> (Colours, bool) {
    let sed = library.draw(class, z, rng);
    let parts: Vec<_> = sed
        .continua
        .iter()
        .map(|(t, w)| (t.as_ref(), f64::from(*w)))
        .collect();
    let passive = sed.subtype == "passive";
    let (law, ebv) = sed.dust;
    let ebv = if passive { 0.0 } else { ebv };
    let through = |rest: f64| {
        let forest = if rest < LYMAN {
            (-effective_depth((rest * (1.0 + z) / LYMAN - 1.0).max(0.0))).exp()
        } else {
            1.0
        };
        law.transmission(rest, ebv) * forest
    };
    let m: Vec<f64> = MEGACAM[1..4]
        .iter()
        .map(|f| magnitude(&parts, &through, z, f))
        .collect();
    (
        std::array::from_fn(|k| (m[k] - m[1]).clamp(-4.0, 4.0)),
        passive,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of passive galaxies g − r reddens to z = 0.4, where the break leaves g (1.6 to 1.9 in all
    /// surveys); what lies behind lenses is blue.
    #[test]
    fn colours_are_those_of_the_sky() {
        let t = Table::new();
        let mut rng = Stream::new(1, 1, 1);
        let mut mean = |kind, z| {
            let c: Vec<f64> = (0..200).map(|_| t.galaxy(kind, z, &mut rng)[0]).collect();
            c.iter().sum::<f64>() / c.len() as f64
        };
        let (near, far, behind) = (
            mean(Kind::Passive, 0.05),
            mean(Kind::Passive, 0.45),
            mean(Kind::Forming, 1.8),
        );
        assert!((0.6..1.0).contains(&near), "{near}");
        assert!((1.3..2.0).contains(&far), "{far}");
        assert!((-0.2..0.7).contains(&behind), "{behind}");
    }
}
