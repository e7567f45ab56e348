//! DESI spectra and coadds: cameras B, R and Z as image HDUs, one row a target, and stacks (FLUX,
//! IVAR, WAVE). Cameras are joined by inverse variance. Vacuum, heliocentric, 1e-17 erg/s/cm²/Å.
//! Source: <https://desidatamodel.readthedocs.io>, coadd-SURVEY-PROGRAM-PIXNUM.

use super::arms::join;
use super::pixels::{Medium, Noise, Pixels};
use super::{Content, Context, Format, Row};
use crate::fits::Fits;
use crate::warning::Warning;

pub(super) const FORMAT: Format = Format {
    name: "DESI",
    about: "DESI spectra-*, coadd-* (healpix, tile, cumulative), stacks, MaNGA LOGRSS",
    recognise,
    read,
};

fn recognise(content: &Content) -> Option<String> {
    let Content::Fits(f) = content else {
        return None;
    };
    let cameras: Vec<&str> = ["B", "R", "Z", "BRZ"]
        .into_iter()
        .filter(|c| camera(f, c).is_some())
        .collect();
    if !cameras.is_empty() {
        return Some(format!(
            "HDUs {}_WAVELENGTH, _FLUX and _IVAR",
            cameras.join(", ")
        ));
    }
    let stack = ["WAVE", "FLUX", "IVAR"]
        .iter()
        .all(|n| f.named(n).is_some_and(|i| f.image(i).is_ok()));
    stack.then(|| "HDUs WAVE, FLUX and IVAR".into())
}

struct Camera {
    wave: usize,
    flux: usize,
    ivar: usize,
    mask: Option<usize>,
}

fn camera(f: &Fits, name: &str) -> Option<Camera> {
    // What is there but cannot be decoded is an error when it is read, not a camera less.
    let part = |p: &str| f.named(&format!("{name}_{p}"));
    Some(Camera {
        wave: part("WAVELENGTH")?,
        flux: part("FLUX")?,
        ivar: part("IVAR")?,
        mask: f.named(&format!("{name}_MASK")),
    })
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Fits(f) = content else {
        return Err("it is no FITS file".into());
    };
    let mut cameras: Vec<Camera> = ["B", "R", "Z", "BRZ"]
        .iter()
        .filter_map(|c| camera(f, c))
        .collect();
    if cameras.is_empty() {
        let named = |n: &str| f.named(n).ok_or(format!("HDU {n} is missing"));
        cameras.push(Camera {
            wave: named("WAVE")?,
            flux: named("FLUX")?,
            ivar: named("IVAR")?,
            mask: f.named("MASK").filter(|i| f.image(*i).is_ok()),
        });
    }
    let there = |c: &&&str| camera(f, c).is_some();
    let arms = ["B", "R", "Z"].iter().filter(there).count();
    let missing = arms == 1 || arms == 2;
    let image = |hdu: usize| f.image(hdu).map_err(|e| e.to_string());
    let rows = image(cameras[0].flux)?.rows();
    let waves: Vec<Vec<f64>> = cameras
        .iter()
        .map(|c| image(c.wave).map(|i| i.row(0)))
        .collect::<Result<_, _>>()?;
    let fibres = f.named("FIBERMAP").and_then(|i| f.table(i).ok());
    let mut out = Vec::new();
    for row in 0..rows {
        let mut arms = Vec::new();
        for (c, wave) in cameras.iter().zip(&waves) {
            let flux = image(c.flux)?.row(row);
            let mut ivar = image(c.ivar)?.row(row);
            if let Some(m) = c.mask {
                let mask = image(m)?.row(row);
                ivar.iter_mut()
                    .zip(&mask)
                    .filter(|(_, m)| **m != 0.0)
                    .for_each(|(v, _)| *v = 0.0);
            }
            if flux.len() != wave.len() || ivar.len() != wave.len() {
                return Err(format!(
                    "HDU {} row {row} has {} pixels, its wavelength HDU {}",
                    c.flux,
                    flux.len(),
                    wave.len()
                ));
            }
            arms.push((wave.as_slice(), flux, ivar));
        }
        let (wave, flux, ivar) = join(&arms);
        let pixels = Pixels {
            wave,
            wave_unit: "Angstrom".into(),
            wave_name: "wavelength".into(),
            flux,
            flux_unit: f.hdus[cameras[0].flux]
                .header
                .str("BUNIT")
                .unwrap_or("10**-17 erg/(s cm2 Angstrom)")
                .to_owned(),
            noise: Noise::Ivar(ivar),
            bad: vec![],
            medium: (Medium::Vacuum, "DESI convention".into()),
        };
        let spectrum = pixels
            .into_spectrum(&context.options)
            .map_err(|e| e.to_string())
            .map(|mut s| {
                if missing {
                    s.warnings.push(Warning::CameraMissing);
                }
                if cameras.len() > 1 {
                    s.provenance.push(format!(
                        "{} cameras joined by inverse variance",
                        cameras.len()
                    ));
                }
                if let Some(t) = &fibres {
                    s.object_id = t.identifier("TARGETID", row).unwrap_or_default();
                    s.ra = t.scalar("TARGET_RA", row).unwrap_or(f64::NAN);
                    s.dec = t.scalar("TARGET_DEC", row).unwrap_or(f64::NAN);
                    for key in ["OBJTYPE", "FIBER", "COADD_FIBERSTATUS", "TILEID"] {
                        if let Some(v) = t.identifier(key, row) {
                            s.meta.push((key.to_lowercase(), v));
                        }
                    }
                }
                s
            });
        out.push(Row {
            hdu: cameras[0].flux,
            row,
            spectrum,
        });
    }
    Ok(out)
}
