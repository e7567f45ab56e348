//! SDSS, BOSS and eBOSS `spec-PLATE-MJD-FIBER.fits`, lite and full: HDU 1 holds flux, loglam, ivar;
//! HDU 2 one row of the catalogue. Vacuum, heliocentric, 1e-17 erg/s/cm²/Å.
//! Source:
//! <https://data.sdss.org/datamodel/files/BOSS_SPECTRO_REDUX/RUN2D/spectra/PLATE4/spec.html>

use super::masks::SDSS_REJECTED;
use super::pixels::{Medium, Noise, Pixels};
use super::{Content, Context, Format, Row, medium_of};
use crate::spectrum::{Spectrum, Truth};

pub(super) const FORMAT: Format = Format {
    name: "SDSS/BOSS spec",
    about: "spec-*.fits of SDSS, BOSS and eBOSS, lite and full",
    recognise,
    read,
};

fn recognise(content: &Content) -> Option<String> {
    let Content::Fits(f) = content else {
        return None;
    };
    let t = f.table(1).ok()?;
    let has = ["flux", "loglam", "ivar"]
        .iter()
        .all(|c| t.column(c).is_some_and(|c| c.repeat == 1));
    has.then(|| "HDU 1 has columns flux, loglam and ivar".into())
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Fits(f) = content else {
        return Err("it is no FITS file".into());
    };
    let t = f.table(1).map_err(|e| e.to_string())?;
    let column = |name: &str| {
        t.whole(name)
            .ok_or(format!("HDU 1 column {name} is not numeric"))
    };
    let h = &f.hdus[0].header;
    let bad: Vec<bool> = t
        .whole_bits("and_mask")
        .unwrap_or_default()
        .into_iter()
        .map(|m| m & SDSS_REJECTED != 0)
        .collect();
    let rejected = bad.iter().filter(|b| **b).count();
    let pixels = Pixels {
        wave: column("loglam")?,
        wave_unit: String::new(),
        wave_name: "loglam".into(),
        flux: column("flux")?,
        flux_unit: h.str("BUNIT").unwrap_or("1E-17 erg/cm^2/s/Ang").to_owned(),
        noise: Noise::Ivar(column("ivar")?),
        bad,
        medium: medium_of(h).unwrap_or((Medium::Vacuum, "SDSS convention".into())),
    };
    let spectrum = pixels.into_spectrum(&context.options).map_err(|e| e.to_string()).map(|mut s| {
        let number = |key: &str| h.int(key);
        if let (Some(p), Some(m), Some(x)) = (number("PLATEID"), number("MJD"), number("FIBERID")) {
            s.object_id = format!("{p:04}-{m}-{x:04}");
        }
        // RA and DEC of the primary header are those of the plate's centre.
        s.ra = h.float("PLUG_RA").unwrap_or(f64::NAN);
        s.dec = h.float("PLUG_DEC").unwrap_or(f64::NAN);
        for key in ["PLATEID", "MJD", "FIBERID", "TELESCOP", "EXPTIME", "RUN2D", "OBJTYPE"] {
            if let Some(v) = h.str(key) {
                s.meta.push((key.to_lowercase(), v.to_owned()));
            }
        }
        s.provenance.push(format!("{rejected} pixels rejected by and_mask (FULLREJECT, NOSKY, BRIGHTSKY, NODATA, BADSKYCHI, REDMONSTER)"));
        catalogue_row(f, &mut s);
        s
    });
    Ok(vec![Row {
        hdu: 1,
        row: 0,
        spectrum,
    }])
}

/// What the survey's own pipeline found, from HDU 2.
fn catalogue_row(f: &crate::fits::Fits, s: &mut Spectrum) {
    let Ok(t) = f.table(2) else { return };
    if t.rows() == 0 {
        return;
    }
    if let (Some(z), Some(class), Some(zwarn)) = (
        t.scalar("Z", 0),
        t.text("CLASS", 0),
        t.integer("ZWARNING", 0),
    ) {
        s.truth = Some(Truth {
            z,
            spectype: class,
            zwarn: zwarn as i64,
        });
    }
    if s.ra.is_nan() {
        let at = |names: [&str; 2]| {
            names
                .iter()
                .find_map(|n| t.scalar(n, 0))
                .unwrap_or(f64::NAN)
        };
        s.ra = at(["PLUG_RA", "RA"]);
        s.dec = at(["PLUG_DEC", "DEC"]);
    }
}
