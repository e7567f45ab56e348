//! `slipher show` and `slipher formats`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use slipher_data::formats::{FORMATS, read};
use slipher_systems::predict::caught;

use crate::Outcome;

#[derive(ClapArgs)]
pub struct Args {
    /// File to look into
    file: PathBuf,
    #[command(flatten)]
    medium: super::MediumArgs,
}

pub fn formats() -> Result<Outcome> {
    for f in FORMATS {
        println!("{:<16} {}", f.name, f.about);
    }
    println!("\nFiles are recognised by content, plain or gzip; adding a format: CONTRIBUTING.md.");
    Ok(Outcome::Good)
}

pub fn run(a: &Args) -> Result<Outcome> {
    let f = {
        let options = a.medium.options()?;
        // Files come from strangers: a failure of a library is one of the file.
        caught(|| read(&a.file, &options))
            .ok_or_else(|| miette::miette!("{}: its structure is damaged", a.file.display()))?
            .into_diagnostic()?
    };
    println!("{}: {} ({})", a.file.display(), f.format, f.because);
    let mut failed = 0;
    for r in f.rows.iter().take(20) {
        match &r.spectrum {
            Ok(s) => {
                let (lo, hi) = (
                    s.wave.first().copied().unwrap_or(0.0),
                    s.wave.last().copied().unwrap_or(0.0),
                );
                println!(
                    "HDU {} row {}: {}  {} pixels ({} good), {lo:.1}-{hi:.1} Å, S/N {:.1}, ra {:.5} dec {:.5}",
                    r.hdu,
                    r.row,
                    s.object_id,
                    s.wave.len(),
                    s.good_pixels(),
                    s.median_snr(),
                    s.ra,
                    s.dec
                );
                println!(
                    "  flux in {}",
                    if s.flux_unit.is_empty() {
                        "unstated units"
                    } else {
                        &s.flux_unit
                    }
                );
                for p in &s.provenance {
                    println!("  {p}");
                }
                for w in &s.warnings {
                    println!("  warning {}: {}", w.name(), w.about());
                }
                println!("  {}", sparkline(&s.flux, &s.ivar, 96));
            }
            Err(why) => {
                failed += 1;
                println!("HDU {} row {}: {why}", r.hdu, r.row);
            }
        }
    }
    if f.rows.len() > 20 {
        println!("… and {} more rows", f.rows.len() - 20);
    }
    Ok(if failed > 0 {
        Outcome::SomeFailed
    } else {
        Outcome::Good
    })
}

/// Block characters of the mean flux in `width` bins, clipped at the 2nd and 98th percentile.
fn sparkline(flux: &[f32], ivar: &[f32], width: usize) -> String {
    let size = flux.len().div_ceil(width).max(1);
    let means: Vec<Option<f32>> = flux
        .chunks(size)
        .zip(ivar.chunks(size))
        .map(|(f, v)| {
            let good: Vec<f32> = f
                .iter()
                .zip(v)
                .filter(|(_, v)| **v > 0.0)
                .map(|(f, _)| *f)
                .collect();
            (!good.is_empty()).then(|| good.iter().sum::<f32>() / good.len() as f32)
        })
        .collect();
    let mut sorted: Vec<f32> = means.iter().flatten().copied().collect();
    sorted.sort_by(f32::total_cmp);
    let Some(lo) = sorted.get(sorted.len() / 50) else {
        return String::new();
    };
    let hi = sorted[sorted.len() - 1 - sorted.len() / 50];
    let bars: Vec<char> = "▁▂▃▄▅▆▇█".chars().collect();
    means
        .iter()
        .map(|m| {
            m.map_or(' ', |m| {
                bars[(((m - lo) / (hi - lo).max(1e-30)).clamp(0.0, 0.999) * 8.0) as usize]
            })
        })
        .collect()
}
