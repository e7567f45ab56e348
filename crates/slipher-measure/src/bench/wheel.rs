//! The wheel beside the program, and what it adds to memory.

use super::{built, output, spread};

pub fn run(rounds: usize, spectra: usize, many: usize) -> Result<String, String> {
    let (_, python) = xtask::test::wheel_installed()?;
    let args = [
        "scripts/bench_wheel.py".to_owned(),
        built("slipher").display().to_string(),
        spectra.to_string(),
        rounds.to_string(),
        many.to_string(),
    ];
    let text = output(python.as_ref(), &args, &[])?;
    let get = |name: &str| -> Vec<f64> {
        let said = text
            .lines()
            .filter_map(|l| l.split_once(' '))
            .filter(|(n, _)| *n == name);
        said.filter_map(|(_, v)| v.parse().ok()).collect()
    };
    let (program, wheel) = (get("program"), get("wheel"));
    let rate = |s: &[f64]| spread(&s.iter().map(|s| spectra as f64 / s).collect::<Vec<_>>());
    let ratios: Vec<f64> = program.iter().zip(&wheel).map(|(p, w)| p / w).collect();
    let mb = |name: &str| get(name).first().map_or(f64::NAN, |b| b / 1e6);
    Ok(format!(
        "## The Python wheel beside the program\n\n{spectra} simulated Euclid spectra in one Parquet file, from file to file with the start of the process, in turns, {rounds} round(s): median and range. `cargo xtask bench wheel`\n\n\
         | | spectra a second |\n| --- | --- |\n| `slipher redshift sky.parquet -o z.parquet` | {} |\n| `slipher.redshift(pq.read_table('sky.parquet')).write('z.parquet')` | {} |\n| wheel / program, within a round | {} |\n\n\
         Memory: a table of {many} such spectra holds {:.0} MB, its answer {:.0} MB; while the call ran, {:.0} MB more were resident than before it. A copy of the fluxes would be seen.\n",
        rate(&program),
        rate(&wheel),
        spread(&ratios),
        mb("spectra"),
        mb("answer"),
        mb("growth"),
    ))
}
