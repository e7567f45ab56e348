//! Images whose rows are flux, noise, mask … of one spectrum, and plates of many.
//!
//! | survey | rows | source |
//! |---|---|---|
//! | SDSS-I/II spSpec | flux, continuum-subtracted, σ, mask, … | classic.sdss.org/dr7/dm/flatFiles/spSpec |
//! | LAMOST to DR7 | flux, inverse variance, wavelength, and-mask, or-mask | LAMOST data release notes |
//! | GAMA, MGC | as ROW1, ROW2 … say | Data Central |
//! | 2dFGRS | flux, variance, sky | 2dfgrs.net |
//! | SDSS spPlate | one fibre a row; HDU 1 inverse variance, 2 and-mask, 5 plug map | data.sdss.org/datamodel, spPlate |

use super::image::{Axis, axis};
use super::masks;
use super::pixels::{Medium, Noise, Pixels};
use super::{Content, Context, Format, Row, degrees, medium_of};
use crate::fits::{Fits, Header, Image};
use crate::spectrum::{Spectrum, Truth};

pub(super) const FORMAT: Format = Format {
    name: "rows of an image",
    about: "SDSS spSpec and spPlate, LAMOST to DR7, GAMA, 2dFGRS: an image row for flux, noise, mask, or for a fibre",
    recognise,
    read,
};

/// What the rows are.
#[derive(Clone, Debug, PartialEq)]
enum Rows {
    /// Row of flux, of noise with its kind, of wavelength, of a mask.
    One {
        flux: usize,
        noise: (usize, Kind),
        wave: Option<usize>,
        mask: Option<usize>,
        what: &'static str,
    },
    Plate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Sigma,
    Variance,
    Ivar,
}

/// HDU of the rows and their meaning.
fn layout(f: &Fits) -> Option<(usize, Rows)> {
    (0..f.hdus.len().min(3)).find_map(|i| Some((i, meaning(f, i)?)))
}

fn meaning(f: &Fits, hdu: usize) -> Option<Rows> {
    let image = f.image(hdu).ok()?;
    let h = &f.hdus[hdu].header;
    if image.axes.len() != 2 || image.width() < 10 {
        return None;
    }
    let rows = image.rows();
    let named = |i: usize| {
        h.str(&format!("ROW{}", i + 1))
            .or(h.str(&format!("ARRAY{}", i + 1)))
            .map(|s| s.trim().to_lowercase())
    };
    let of = |names: &[&str]| {
        (0..rows.min(10)).find(|i| named(*i).is_some_and(|n| names.contains(&n.as_str())))
    };
    if let (Some(flux), Some(noise)) = (
        of(&["spectrum", "flux"]),
        of(&["error", "stdev", "sigma", "variance"]),
    ) {
        let kind = if named(noise).as_deref() == Some("variance") {
            Kind::Variance
        } else {
            Kind::Sigma
        };
        return Some(Rows::One {
            flux,
            noise: (noise, kind),
            wave: None,
            mask: None,
            what: "ROW1, ROW2 … name the rows",
        });
    }
    if h.str("IMAGE").is_some_and(|v| v.trim() == "SPECTRUM") && rows == 3 {
        return Some(Rows::One {
            flux: 0,
            noise: (1, Kind::Variance),
            wave: None,
            mask: None,
            what: "IMAGE = SPECTRUM with three rows, as 2dFGRS",
        });
    }
    let telescope = h.str("TELESCOP").unwrap_or_default();
    if telescope.starts_with("LAMOST") && (3..=5).contains(&rows) {
        return Some(Rows::One {
            flux: 0,
            noise: (1, Kind::Ivar),
            wave: Some(2),
            mask: (rows > 3).then_some(3),
            what: "TELESCOP = LAMOST with up to five rows",
        });
    }
    if h.float("COEFF0").is_none() || h.float("COEFF1").is_none() {
        return None;
    }
    let plate = f.hdus.len() > 2
        && hdu == 0
        && f.image(1).is_ok_and(|v| v.axes == image.axes)
        && f.image(2).is_ok_and(|v| v.axes == image.axes);
    match rows {
        _ if plate => Some(Rows::Plate),
        4 | 5 => Some(Rows::One {
            flux: 0,
            noise: (2, Kind::Sigma),
            wave: None,
            mask: Some(3),
            what: "COEFF0 with five rows, as spSpec",
        }),
        _ => None,
    }
}

fn recognise(content: &Content) -> Option<String> {
    let Content::Fits(f) = content else {
        return None;
    };
    let (hdu, rows) = layout(f)?;
    Some(match rows {
        Rows::Plate => {
            "COEFF0, and HDUs 1 and 2 of the shape of the primary image, as spPlate".into()
        }
        Rows::One { what, .. } => format!("HDU {hdu}: {what}"),
    })
}

/// Wavelengths by COEFF0 and COEFF1, or by CRVAL1.
fn wavelengths(h: &Header, n: usize) -> Result<Axis, String> {
    match (h.float("COEFF0"), h.float("COEFF1")) {
        (Some(a), Some(b)) => Ok(Axis {
            values: (0..n).map(|i| a + b * i as f64).collect(),
            unit: "log(Angstrom)".into(),
            name: "loglam".into(),
        }),
        _ => axis(h, n),
    }
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Fits(f) = content else {
        return Err("it is no FITS file".into());
    };
    let (hdu, rows) = layout(f).ok_or("its layout changed while reading")?;
    let image = f.image(hdu).map_err(|e| e.to_string())?;
    let h = &f.hdus[hdu].header;
    match rows {
        Rows::Plate => plate(f, h, &image, context),
        Rows::One {
            flux,
            noise,
            wave,
            mask,
            ..
        } => {
            let values = image.row(noise.0);
            let noise = match noise.1 {
                Kind::Sigma => Noise::Sigma(values),
                Kind::Variance => Noise::Variance(values),
                Kind::Ivar => Noise::Ivar(values),
            };
            let axis = match wave {
                Some(r) => Axis {
                    values: image.row(r),
                    unit: "Angstrom".into(),
                    name: "wavelength".into(),
                },
                None => wavelengths(h, image.width())?,
            };
            let bad = mask
                .map(|m| masks::SDSS.bad(&image.row(m)))
                .unwrap_or_default();
            let pixels = Pixels {
                wave: axis.values,
                wave_unit: axis.unit,
                wave_name: axis.name,
                flux: image.row(flux),
                flux_unit: unit(h),
                noise,
                bad,
                medium: medium(h),
            };
            let spectrum = pixels
                .into_spectrum(&context.options)
                .map_err(|e| e.to_string())
                .map(|s| identify(h, s));
            Ok(vec![Row {
                hdu,
                row: 0,
                spectrum,
            }])
        }
    }
}

fn unit(h: &Header) -> String {
    h.str("BUNIT").unwrap_or_default().to_owned()
}

/// SDSS and LAMOST write vacuum; what the AAT measured is in air.
fn medium(h: &Header) -> (Medium, String) {
    medium_of(h).unwrap_or_else(|| {
        let survey = h.float("COEFF0").is_some();
        if survey {
            (Medium::Vacuum, "SDSS convention".into())
        } else {
            (
                Medium::Air,
                "assumed: AAT convention; --vacuum changes it".into(),
            )
        }
    })
}

fn identify(h: &Header, mut s: Spectrum) -> Spectrum {
    let number = |key: &str| h.int(key);
    s.object_id = match (number("PLATEID"), number("MJD"), number("FIBERID")) {
        (Some(p), Some(m), Some(x)) => format!("{p:04}-{m}-{x:04}"),
        _ => ["SPECID", "OBSID", "DESIG", "OBJECT", "NAME"]
            .iter()
            .find_map(|k| h.str(k))
            .unwrap_or_default()
            .trim()
            .to_owned(),
    };
    let place = |keys: [&str; 3], hours: bool| {
        keys.iter()
            .find_map(|k| degrees(h, k, hours))
            .unwrap_or(f64::NAN)
    };
    (s.ra, s.dec) = (
        place(["RAOBJ", "RA_OBS", "RA"], true),
        place(["DECOBJ", "DEC_OBS", "DEC"], false),
    );
    // SPEC_CLN: 1 star, 2 galaxy, 3 quasar, 4 distant quasar, 6 late star.
    let class = match number("SPEC_CLN") {
        Some(1 | 6) => Some("STAR".to_owned()),
        Some(2) => Some("GALAXY".to_owned()),
        Some(3 | 4) => Some("QSO".to_owned()),
        _ => h.str("CLASS").map(|c| c.trim().to_uppercase()),
    };
    if let (Some(z), Some(spectype)) = (h.float("Z"), class) {
        s.truth = Some(Truth {
            z,
            spectype,
            zwarn: number("Z_WARNIN").unwrap_or(0),
        });
    }
    s
}

fn plate(f: &Fits, h: &Header, flux: &Image, context: &Context) -> Result<Vec<Row>, String> {
    let (ivar, mask) = (
        f.image(1).map_err(|e| e.to_string())?,
        f.image(2).map_err(|e| e.to_string())?,
    );
    let axis = wavelengths(h, flux.width())?;
    let plug = f
        .hdus
        .iter()
        .enumerate()
        .filter_map(|(i, _)| f.table(i).ok())
        .find(|t| t.column("FIBERID").is_some());
    let fibre = |row: usize| {
        let pixels = Pixels {
            wave: axis.values.clone(),
            wave_unit: axis.unit.clone(),
            wave_name: axis.name.clone(),
            flux: flux.row(row),
            flux_unit: unit(h),
            noise: Noise::Ivar(ivar.row(row)),
            bad: masks::SDSS.bad(&mask.row(row)),
            medium: medium(h),
        };
        let spectrum = pixels
            .into_spectrum(&context.options)
            .map_err(|e| e.to_string())
            .map(|mut s| {
                let id = plug
                    .as_ref()
                    .and_then(|t| t.integer("FIBERID", row))
                    .unwrap_or(row as i128 + 1);
                s.object_id = match (h.int("PLATEID"), h.int("MJD")) {
                    (Some(p), Some(m)) => format!("{p:04}-{m}-{id:04}"),
                    _ => format!("{}#{id}", super::stem(context.path)),
                };
                if let Some(t) = &plug {
                    (s.ra, s.dec) = (
                        t.scalar("RA", row).unwrap_or(f64::NAN),
                        t.scalar("DEC", row).unwrap_or(f64::NAN),
                    );
                    s.meta
                        .extend(t.text("OBJTYPE", row).map(|v| ("objtype".to_owned(), v)));
                }
                s
            });
        Row {
            hdu: 0,
            row,
            spectrum,
        }
    };
    Ok((0..flux.rows()).map(fibre).collect())
}
