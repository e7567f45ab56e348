//! One galaxy in every combination of container, unit, mask, order and medium: the same redshift to
//! 10⁻⁶ (1 + z), accepted.

#[path = "../../slipher-data/tests/generator/mod.rs"]
mod generator;

use generator::{Columns, MASKS, UNITS, WRITERS, Z, one};
use slipher_data::airvac::vacuum_to_air;
use slipher_data::formats::ReadOptions;
use slipher_data::spectrum::Spectrum;
use slipher_systems::redshift::measure::{PredictOptions, measure_all};
use slipher_systems::redshift::model::Model;

#[test]
fn every_layout_has_the_same_redshift() {
    let dir = tempfile::tempdir().unwrap();
    let (mut names, mut spectra) = (Vec::new(), Vec::<Spectrum>::new());
    for (container, write) in WRITERS {
        for (unit, of) in UNITS {
            for mask in MASKS {
                for turned in [false, true] {
                    // Frequencies and energies have no medium.
                    let media = if ["THz", "eV"].contains(&unit) { 1 } else { 2 };
                    for air in [false, true].into_iter().take(media) {
                        let mut c = Columns::new(|w| w, mask, turned);
                        let place = |w: f64| of(if air { vacuum_to_air(w) } else { w });
                        c.wave.iter_mut().for_each(|w| *w = place(*w));
                        let path = write(&c, unit, dir.path());
                        let said = air.then_some("air");
                        let options = ReadOptions::parse(said, None, None).unwrap();
                        spectra.push(one(&path, &options));
                        names.push(format!("{container} {unit} {mask:?} {turned} air {air}"));
                    }
                }
            }
        }
    }
    let model = Model::shipped().unwrap();
    let all: Vec<&Spectrum> = spectra.iter().collect();
    let found = measure_all(&model, &PredictOptions::default(), &all);
    assert_eq!(found.len(), 6 * (2 * 7 + 2) * 4 * 2);
    // With a mask some pixels are lost: those are compared among themselves.
    let mut first: [Option<f64>; 2] = [None; 2];
    for ((name, m), s) in names.iter().zip(&found).zip(&spectra) {
        let best = m.best().unwrap_or_else(|| panic!("{name}: no redshift"));
        assert!(
            m.accepted(),
            "{name}: {best:?} {:?} {}",
            m.warnings,
            m.zwarn
        );
        assert!((best.z - Z).abs() < 5e-4, "{name}: {}", best.z);
        let masked = s.ivar.contains(&0.0);
        let z = *first[usize::from(masked)].get_or_insert(best.z);
        assert!(
            (best.z - z).abs() < 1e-6 * (1.0 + z),
            "{name}: {} {z}",
            best.z
        );
    }
}
