//! `slipher fit`: GALFIT's parameter file in; image block, parameter file and a table out.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result, WrapErr};
use slipher_data::atomic::atomic_write;
use slipher_data::fits::Fits;
use slipher_data::fits::write::{Picture, pictures};
use slipher_systems::bands::sky;
use slipher_systems::profile_fit::fit::{Fitted, Image, Part, fit, plane};
use slipher_systems::profile_fit::galfit::{Feedme, Named};
use slipher_systems::profile_fit::model::{Optics, Renderer};

use super::Overwrite;
use crate::Outcome;

/// Electrons a unit of flux where the header does not say (GALFIT's own default).
const GAIN: f64 = 7.0;

#[derive(ClapArgs)]
#[command(
    after_help = "Components: sersic, expdisk, devauc, gaussian, psf, sky. Paths are taken from the folder you \
are in, else from the file's.\n\nExamples:\n  slipher fit galaxy.feedme\n  slipher fit *.feedme --json > parameters.jsonl"
)]
pub struct Args {
    /// Parameter files of GALFIT
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
    /// A line of JSON for each file on stdout
    #[arg(long)]
    json: bool,
}

/// `slipher fit`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    let mut failed = 0;
    for file in &a.files {
        if let Err(e) = one(file, a, quiet) {
            failed += 1;
            tell!("slipher: {}: {e:#}", file.display());
            e.chain().skip(1).for_each(|c| tell!("  {c}"));
        }
    }
    Ok(match failed {
        0 => Outcome::Good,
        n if n == a.files.len() => Outcome::Nothing,
        _ => Outcome::SomeFailed,
    })
}

/// A path of a parameter file: from here, else from the folder of the file or the one above.
fn found(path: &Path, feedme: &Path) -> PathBuf {
    let beside = feedme.ancestors().skip(1).take(2).map(|d| d.join(path));
    let mut all = std::iter::once(path.to_owned()).chain(beside);
    all.find(|p| p.exists()).unwrap_or_else(|| path.to_owned())
}

/// An image as rows of numbers, with the FITS file for its header.
struct Loaded {
    width: usize,
    height: usize,
    pixels: Vec<f64>,
    file: Fits,
    hdu: usize,
}

fn load(path: &Path) -> Result<Loaded> {
    let file = Fits::open(path)
        .into_diagnostic()
        .wrap_err_with(|| path.display().to_string())?;
    let hdu = (0..file.hdus.len())
        .find(|i| {
            file.image(*i)
                .is_ok_and(|x| x.axes.len() >= 2 && x.axes[1] > 1)
        })
        .ok_or_else(|| miette::miette!("{}: no image of two axes", path.display()))?;
    let image = file.image(hdu).into_diagnostic()?;
    let (width, height) = (image.axes[0], image.axes[1]);
    let pixels = (0..height).flat_map(|r| image.row(r)).collect();
    Ok(Loaded {
        width,
        height,
        pixels,
        file,
        hdu,
    })
}

impl Loaded {
    /// Pixels of a region; beyond the image NaN.
    fn cut(&self, f: &Feedme) -> Vec<f64> {
        let [x0, x1, y0, y1] = f.region;
        let at = |y: usize, x: usize| {
            let inside = y <= self.height && x <= self.width;
            if inside {
                self.pixels[(y - 1) * self.width + x - 1]
            } else {
                f64::NAN
            }
        };
        (y0..=y1)
            .flat_map(|y| (x0..=x1).map(move |x| (y, x)))
            .map(|(y, x)| at(y, x))
            .collect()
    }
}

/// Bad pixels: an image that is not 0 there, or a list of columns and rows.
fn bad_pixels(path: &Path, f: &Feedme) -> Result<Vec<bool>> {
    let start = std::fs::read(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("F) {}", path.display()))?;
    if !start.starts_with(b"SIMPLE") && !start.starts_with(&[0x1f, 0x8b]) {
        let (h, w) = f.size();
        let mut bad = vec![false; h * w];
        for line in String::from_utf8_lossy(&start).lines() {
            let numbers: Vec<f64> = line
                .split_whitespace()
                .map_while(|v| v.parse().ok())
                .collect();
            let [x, y, ..] = numbers[..] else { continue };
            let (x, y) = (x - f.region[0] as f64, y - f.region[2] as f64);
            if x >= 0.0 && y >= 0.0 && (x as usize) < w && (y as usize) < h {
                bad[y as usize * w + x as usize] = true;
            }
        }
        return Ok(bad);
    }
    let mask = load(path)?;
    // A pixel beyond the mask is not masked.
    Ok(mask
        .cut(f)
        .iter()
        .map(|v| v.is_finite() && *v != 0.0)
        .collect())
}

/// σ of each pixel: an image, or photons and the sky's scatter, and what was assumed for it.
fn sigmas(f: &Feedme, feedme: &Path, data: &Loaded, cut: &[f64]) -> Result<(Vec<f64>, String)> {
    if let Some(p) = &f.sigma {
        return Ok((load(&found(p, feedme))?.cut(f), String::new()));
    }
    let header = &data.file.hdus[data.hdu].header;
    let gain = header.float("GAIN").or_else(|| header.float("CCDGAIN"));
    let frames = header.float("NCOMBINE").unwrap_or(1.0).max(1.0);
    let note = match gain {
        Some(_) => String::new(),
        None => format!("no sigma image and no GAIN in the header: {GAIN} electrons a unit taken"),
    };
    let gain = gain.filter(|g| *g > 0.0).unwrap_or(GAIN) * frames;
    let single: Vec<f32> = cut.iter().map(|v| *v as f32).collect();
    let (sky, scatter) = sky(&single);
    let scatter = f64::from(scatter).max(1e-12);
    let of = |v: &f64| (scatter * scatter + (v - f64::from(sky)).max(0.0) / gain).sqrt();
    Ok((cut.iter().map(of).collect(), note))
}

fn optics(f: &Feedme, feedme: &Path) -> Result<Option<Optics>> {
    let Some(p) = &f.psf else { return Ok(None) };
    let psf = load(&found(p, feedme)).wrap_err("D)")?;
    let kept: Vec<f64> = psf
        .pixels
        .iter()
        .map(|v| if v.is_finite() { *v } else { 0.0 })
        .collect();
    let psf = plane(&kept, (psf.height, psf.width));
    if psf.total() <= 0.0 {
        return Err(miette::miette!(
            "D) {}: the point-spread function sums up to nothing",
            p.display()
        ));
    }
    Ok(Some(Optics {
        psf,
        fine: f.fine,
        effective: false,
    }))
}

fn one(path: &Path, a: &Args, quiet: bool) -> Result<()> {
    let text = std::fs::read_to_string(path).into_diagnostic()?;
    let f = Feedme::parse(&text).map_err(|e| miette::miette!("{e}"))?;
    let mut parts = f.parts().map_err(|e| miette::miette!("{e}"))?;
    let parameters = f.output.with_extension("galfit");
    let outputs = [f.output.as_path(), parameters.as_path()];
    let outputs = if f.model_only {
        &outputs[..1]
    } else {
        &outputs[..]
    };
    a.overwrite.check(outputs)?;
    let optics = optics(&f, path)?;
    let size = f.size();
    if f.model_only || f.data.is_none() {
        let components: Vec<_> = parts.iter().map(|p| p.component.clone()).collect();
        let image = Renderer::new(size, optics.as_ref()).image(&components);
        let data: Vec<f32> = image.iter().map(|v| *v as f32).collect();
        let picture = Picture {
            name: "",
            keywords: &[("OBJECT".into(), "model".into())],
            copied: &[],
            width: size.1,
            data: &data,
        };
        return atomic_write(&f.output, pictures(false, &[picture])).into_diagnostic();
    }
    if let Some(c) = &f.constraints {
        let text = std::fs::read_to_string(found(c, path))
            .into_diagnostic()
            .wrap_err_with(|| format!("G) {}", c.display()))?;
        f.constrain(&text, &mut parts)
            .map_err(|e| miette::miette!("{e}"))?;
    }
    let name = f.data.clone().unwrap_or_default();
    let data = load(&found(&name, path)).wrap_err("A)")?;
    let cut = data.cut(&f);
    let (sigma, note) = sigmas(&f, path, &data, &cut)?;
    let mask = match &f.mask {
        Some(m) => bad_pixels(&found(m, path), &f)?,
        None => vec![false; cut.len()],
    };
    let counts =
        |i: usize| !mask[i] && cut[i].is_finite() && sigma[i].is_finite() && sigma[i] > 0.0;
    let weight: Vec<f64> = (0..cut.len())
        .map(|i| if counts(i) { sigma[i].powi(-2) } else { 0.0 })
        .collect();
    let used = weight.iter().filter(|w| **w > 0.0).count();
    let free: usize = parts.iter().flat_map(|p| &p.free).filter(|f| **f).count();
    if used <= free {
        return Err(miette::miette!(
            "{used} pixels of the region count, {free} parameters are free: is all of it masked, or \
             H) outside of the image?"
        ));
    }
    let image = Image {
        size,
        data: &cut,
        weight: &weight,
    };
    let found = fit(&image, optics.as_ref(), &parts);
    write(&f, &parts, &found, &cut, &parameters)?;
    say(path, &f, &parts, &found, &note, a.json, quiet)
}

/// Image block with GALFIT's keywords, and the parameter file.
fn write(f: &Feedme, parts: &[Part], found: &Fitted, cut: &[f64], parameters: &Path) -> Result<()> {
    let mut keywords = vec![("OBJECT".to_owned(), "model".to_owned())];
    for (i, (p, c)) in parts.iter().zip(&found.components).enumerate() {
        for (k, v, e, free) in f.named(p, c, &found.errors[i]) {
            let text = if free {
                format!("{v:.4} +/- {e:.4}")
            } else {
                format!("[{v:.4}]")
            };
            keywords.push((format!("{}_{k}", i + 1), text));
        }
    }
    let per = found.chi2 / found.degrees.max(1) as f64;
    keywords.push(("CHI2NU".into(), format!("{per:.5}")));
    let single = |v: &[f64]| v.iter().map(|v| *v as f32).collect::<Vec<f32>>();
    let (data, model) = (single(cut), single(&found.model));
    let residual: Vec<f32> = data.iter().zip(&model).map(|(d, m)| d - m).collect();
    let width = f.size().1;
    let picture = |name, data, keywords| Picture {
        name,
        keywords,
        copied: &[],
        width,
        data,
    };
    let planes = [
        picture("DATA", &data[..], &[][..]),
        picture("MODEL", &model, &keywords),
        picture("RESIDUAL", &residual, &[]),
    ];
    atomic_write(&f.output, pictures(true, &planes)).into_diagnostic()?;
    atomic_write(parameters, f.written(parts, found)).into_diagnostic()
}

fn say(
    path: &Path,
    f: &Feedme,
    parts: &[Part],
    found: &Fitted,
    note: &str,
    json: bool,
    quiet: bool,
) -> Result<()> {
    let mut trouble: Vec<String> = (!note.is_empty())
        .then(|| note.to_owned())
        .into_iter()
        .collect();
    if !found.settled {
        trouble.push("χ² did not settle".into());
    }
    if found.covariance.is_none() {
        trouble.push("no errors: parameters cannot be told apart".into());
    }
    let rows: Vec<_> = parts
        .iter()
        .zip(&found.components)
        .enumerate()
        .map(|(i, (p, c))| f.named(p, c, &found.errors[i]))
        .collect();
    for (i, (row, bound)) in rows.iter().zip(&found.at_bound).enumerate() {
        let at = row.iter().zip(bound).filter(|(_, b)| **b).map(|(r, _)| r.0);
        trouble.extend(at.map(|name| format!("component {}: {name} is at its limit", i + 1)));
    }
    if json {
        let components: Vec<serde_json::Value> = rows
            .iter()
            .map(|row| {
                let one = |(k, v, e, free): &Named| {
                    let cell = serde_json::json!({"value": v, "error": e, "free": free});
                    (k.to_lowercase(), cell)
                };
                serde_json::Value::Object(row.iter().map(one).collect())
            })
            .collect();
        return super::print_json(&serde_json::json!({
            "file": path.display().to_string(),
            "chi2": found.chi2,
            "degrees": found.degrees,
            "models": found.calls,
            "components": components,
            "warnings": trouble,
        }));
    }
    if !quiet {
        let per = found.chi2 / found.degrees.max(1) as f64;
        println!(
            "{}: χ²/ν = {per:.4} of {} degrees of freedom, {} models; wrote {}",
            path.display(),
            found.degrees,
            found.calls,
            f.output.display()
        );
        for (i, row) in rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .map(|(k, v, e, free)| {
                    if *free {
                        format!("{k} {v:.4} ± {e:.4}")
                    } else {
                        format!("{k} [{v:.4}]")
                    }
                })
                .collect();
            println!("  {}: {}", i + 1, cells.join(", "));
        }
    }
    trouble
        .iter()
        .for_each(|t| tell!("slipher: {}: {t}", path.display()));
    Ok(())
}
