//! Reading small FITS files beside astropy and fitsio, in turns, one thread each.

use std::path::Path;

use super::{built, median, output, spread};
use xtask::data;

pub fn run(python: &Path, rounds: usize) -> Result<String, String> {
    let mut files = Vec::new();
    find(&data(), &mut files);
    files.sort();
    if files.is_empty() {
        return Ok("## Reading\n\nnot measured: no spec-*.fits in the data folder\n\n".into());
    }
    let args: Vec<String> = std::iter::once("5".to_owned())
        .chain(files.iter().cloned())
        .collect();
    let script: Vec<String> = std::iter::once("scripts/peers_read.py".to_owned())
        .chain(args.clone())
        .collect();
    let one = [
        ("RAYON_NUM_THREADS", "1".to_owned()),
        ("OMP_NUM_THREADS", "1".to_owned()),
    ];
    let (mut ours, mut astropy, mut fitsio) = (vec![], vec![], vec![]);
    for round in 0..rounds {
        eprintln!("reading, round {} of {rounds}", round + 1);
        let list = |v: &serde_json::Value| -> Vec<f64> {
            v.as_array()
                .into_iter()
                .flatten()
                .filter_map(serde_json::Value::as_f64)
                .collect()
        };
        let parse = |t: &str| {
            serde_json::from_str::<serde_json::Value>(t.trim()).map_err(|e| e.to_string())
        };
        ours.push(median(&list(&parse(&output(
            &built("examples/read"),
            &args,
            &one,
        )?)?)));
        let theirs = parse(&output(python, &script, &one)?)?;
        astropy.push(median(&list(&theirs["astropy"])));
        fitsio.push(median(&list(&theirs["fitsio"])));
    }
    let n = files.len() as f64;
    let ratio = |theirs: &[f64]| {
        spread(
            &theirs
                .iter()
                .zip(&ours)
                .map(|(t, o)| t / o)
                .collect::<Vec<_>>(),
        )
    };
    Ok(format!(
        "## Reading\n\n{} real `spec-*.fits` of SDSS and BOSS from the page cache into memory (flux, wavelength, inverse variance, catalogue row); ours also converts to vacuum Å, applies masks and \
         checks. One thread.\n\n| reader | files/s | ours is faster by |\n| --- | --- | --- |\n| Slipher | {:.0} | |\n| fitsio | {:.0} | {} |\n| astropy | {:.0} | {} |\n\n",
        files.len(),
        n / median(&ours),
        n / median(&fitsio),
        ratio(&fitsio),
        n / median(&astropy),
        ratio(&astropy)
    ))
}

fn find(folder: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            find(&path, out);
        } else if name.starts_with("spec-")
            && name.ends_with(".fits")
            && slipher_data::formats::read(&path, &slipher_data::formats::ReadOptions::default())
                .is_ok_and(|f| f.format == "SDSS/BOSS spec")
        {
            out.push(path.display().to_string());
        }
    }
}
