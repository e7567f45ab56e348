//! `cargo xtask bench`: ours and the peers' in turns on the same work; writes the part of
//! docs/BENCHMARKS.md between its two marks.

mod images;
mod networks;
mod reading;
mod throughput;
mod wheel;

use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::{root, sh, target};

const BEGIN: &str = "<!-- from here on written by: cargo xtask bench -->";

/// Runs all parts, or `only` one; `quick` takes one round of each.
pub fn run(folder: &Path, model: &Path, quick: bool, only: Option<&str>) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for (package, example) in [
        ("slipher-nn", "reference"),
        ("slipher-data", "read"),
        ("slipher-systems", "speed"),
        ("slipher-systems", "image_speed"),
    ] {
        sh(
            "cargo",
            &["build", "--release", "-p", package, "--example", example],
        )?;
    }
    sh("cargo", &["build", "--release", "-p", "slipher"])?;
    let python = environment(&folder.join("peers"))?;
    let rounds = if quick { 1 } else { 3 };
    #[expect(clippy::type_complexity, reason = "used once, where it is clear")]
    let parts: [(&str, &dyn Fn() -> Result<String, String>); 5] = [
        ("throughput", &|| throughput::run(folder, model, quick)),
        ("reading", &|| reading::run(&python, rounds)),
        ("networks", &|| networks::run(&python, rounds)),
        ("images", &|| images::run(&python, rounds)),
        ("wheel", &|| {
            if quick {
                wheel::run(1, 10_000, 20_000)
            } else {
                wheel::run(9, 10_000, 100_000)
            }
        }),
    ];
    for (name, part) in parts {
        if only.is_none_or(|o| o == name) {
            let text = part()?;
            println!("{text}");
            put(&text)?;
        }
    }
    Ok(())
}

/// Puts a part that begins with its heading into docs/BENCHMARKS.md, in place of the one before.
fn put(text: &str) -> Result<(), String> {
    let path = root().join("docs/BENCHMARKS.md");
    let old = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let (kept, measured) = old.split_once(BEGIN).unwrap_or((&old, ""));
    let heading = text.lines().next().unwrap_or_default();
    let mut parts: Vec<String> = measured
        .split("\n## ")
        .skip(1)
        .map(|p| format!("## {}\n", p.trim_end()))
        .collect();
    match parts.iter_mut().find(|p| p.lines().next() == Some(heading)) {
        Some(p) => text.trim_end().clone_into(p),
        None => parts.push(text.trim_end().to_owned()),
    }
    let body: Vec<String> = parts.iter().map(|p| p.trim_end().to_owned()).collect();
    let page = format!(
        "{}\n\n{BEGIN}\n\nMachine: {}. Ratios above 1 mean that Slipher is faster.\n\n{}\n",
        kept.trim_end(),
        machine(),
        body.join("\n\n")
    );
    let tmp = path.with_extension("tmp");
    std::fs::write(&tmp, page)
        .and_then(|()| std::fs::rename(&tmp, &path))
        .map_err(|e| format!("{}: {e}", path.display()))
}

/// A Python with the peers, from the package index; made once.
fn environment(venv: &Path) -> Result<PathBuf, String> {
    let python = venv.join("bin/python");
    if !python.exists() {
        sh("python3", &["-m", "venv", &venv.display().to_string()])?;
    }
    let have = Command::new(&python)
        .args(["-c", "import torch, onnxruntime, onnx, astropy, fitsio"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !have {
        let packages = ["torch", "onnx", "onnxruntime", "astropy", "fitsio", "numpy"];
        let args: Vec<&str> = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        .into_iter()
        .chain(packages)
        .collect();
        sh(&python.display().to_string(), &args)?;
    }
    Ok(python)
}

/// A binary of this build.
fn built(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// Runs a program in the repository and returns what it prints.
fn output(
    program: &Path,
    args: &[String],
    environment: &[(&str, String)],
) -> Result<String, String> {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(root())
        .stderr(std::process::Stdio::null())
        .envs(environment.iter().map(|(k, v)| (*k, v.as_str())));
    let out = command
        .output()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    if !out.status.success() {
        return Err(format!("{} failed: {}", program.display(), out.status));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn median(values: &[f64]) -> f64 {
    let mut v = values.to_vec();
    v.sort_by(f64::total_cmp);
    v.get(v.len() / 2).copied().unwrap_or(f64::NAN)
}

/// `median (lowest–highest)`.
fn spread(values: &[f64]) -> String {
    let (lo, hi) = values
        .iter()
        .fold((f64::INFINITY, 0.0f64), |(a, b), v| (a.min(*v), b.max(*v)));
    format!("{:.2} ({lo:.2}–{hi:.2})", median(values))
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map(|l| l.trim_start_matches([' ', '\t', ':']).to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let isa = format!("{:?}", slipher_nn::lanes::Isa::best());
    let bf16 = if slipher_nn::tile::has_bf16() {
        " with bf16"
    } else {
        ""
    };
    format!(
        "{cores} cores of {}, {isa}{bf16}",
        model.unwrap_or_else(|| "an unknown processor".into())
    )
}
