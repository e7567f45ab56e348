//! CSV with a row a measurement: one object, or many by their identifiers (PLAsTiCC's).

use std::collections::HashMap;

use super::{mjd, names, of_magnitude};
use crate::light_curve::{LightCurve, Point, ZERO_POINT};

/// PLAsTiCC's numbers of bands.
const PLASTICC: [&str; 6] = ["u", "g", "r", "i", "z", "y"];

pub(super) fn read(
    text: &str,
    give: &mut dyn FnMut(Result<LightCurve, String>) -> bool,
) -> Result<(), String> {
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty() && !l.trim_start().starts_with('#'));
    let (_, head) = lines.next().ok_or("an empty file")?;
    let comma = head.contains(',');
    let cells = |line: &str| -> Vec<String> {
        if comma {
            line.split(',')
                .map(|w| w.trim().trim_matches('"').to_owned())
                .collect()
        } else {
            line.split_whitespace().map(str::to_owned).collect()
        }
    };
    let columns: Vec<String> = cells(head).iter().map(|c| c.to_lowercase()).collect();
    let find = |known: &[&str]| {
        known
            .iter()
            .find_map(|k| columns.iter().position(|c| c == k))
    };
    let (time, band) = (find(&names::TIME), find(&names::BAND));
    let flux = find(&names::FLUX).zip(find(&names::ERROR));
    let magnitude = find(&names::MAGNITUDE).zip(find(&names::MAGNITUDE_ERROR));
    let (Some(time), Some(band)) = (time, band) else {
        return Err(format!(
            "columns {}: expected a time (mjd), a band, and flux with flux_err or mag with mag_err",
            columns.join(", ")
        ));
    };
    if flux.is_none() && magnitude.is_none() {
        return Err(format!(
            "columns {}: expected flux with flux_err, or mag with mag_err",
            columns.join(", ")
        ));
    }
    let id = find(&names::ID);
    let numbered = columns[band] == "passband";
    let (z, ze, ebv, zero) = (
        find(&names::REDSHIFT),
        find(&names::REDSHIFT_ERROR),
        find(&names::EBV),
        find(&names::ZERO_POINT),
    );
    let (ra, dec, label) = (find(&names::RA), find(&names::DEC), find(&names::LABEL));
    let mut order: Vec<String> = vec![];
    let mut all: HashMap<String, LightCurve> = HashMap::new();
    for (_, line) in lines {
        let row = cells(line);
        let number = |k: Option<usize>| {
            k.and_then(|k| row.get(k))
                .and_then(|w| w.parse::<f64>().ok())
                .unwrap_or(f64::NAN)
        };
        let word = |k: Option<usize>| k.and_then(|k| row.get(k)).cloned().unwrap_or_default();
        let name = word(id);
        let c = all.entry(name.clone()).or_insert_with(|| {
            order.push(name.clone());
            LightCurve {
                object_id: name,
                redshift: (number(z), number(ze)),
                ebv: number(ebv),
                ra: number(ra),
                dec: number(dec),
                label: label.map(|k| word(Some(k))).filter(|w| !w.is_empty()),
                ..LightCurve::default()
            }
        });
        let mut filter = word(Some(band));
        if numbered && let Some(b) = filter.parse::<usize>().ok().and_then(|k| PLASTICC.get(k)) {
            (*b).clone_into(&mut filter);
        }
        let (flux, error) = match (flux, magnitude) {
            (Some((f, e)), _) => {
                let zp = number(zero);
                let factor = if zp.is_finite() {
                    10f64.powf(-0.4 * (zp - ZERO_POINT))
                } else {
                    1.0
                };
                (
                    (number(Some(f)) * factor) as f32,
                    (number(Some(e)) * factor) as f32,
                )
            }
            (None, Some((m, e))) => of_magnitude(number(Some(m)), number(Some(e))),
            (None, None) => (f32::NAN, f32::NAN),
        };
        c.points.push(Point {
            mjd: mjd(number(Some(time))),
            band: filter,
            flux,
            error,
        });
    }
    for name in order {
        if let Some(mut c) = all.remove(&name) {
            if flux.is_some() && zero.is_none() {
                c.notes.push(format!(
                    "zero point assumed: {ZERO_POINT} (SNANA's FLUXCAL)"
                ));
            }
            if !give(Ok(c)) {
                break;
            }
        }
    }
    Ok(())
}
