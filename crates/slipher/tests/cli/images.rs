//! Systems of images, and what all systems share.

use super::harness::*;

/// Parts, shards and resume are the same for spectra and for images; their rows are those of one
/// file.
#[test]
fn folders_of_parts_for_every_kind_of_system() {
    let d = Dir::new();
    let spectra = ("redshift", "simulate redshift -n 30 -i vimos");
    let ships = |name| slipher_systems::registry::weights(name).is_ok();
    let images = slipher_systems::registry::all_shared()
        .filter(|s| s.input() == slipher_systems::example::Input::Cutout && ships(s.name()))
        .map(|s| (s.name(), ""))
        .collect::<Vec<_>>();
    for (name, _) in std::iter::once(spectra).chain(images) {
        let verb = if name == "redshift" {
            "redshift".to_owned()
        } else {
            format!("predict {name}")
        };
        let what = if name == "redshift" {
            "redshift -i vimos".to_owned()
        } else {
            name.to_owned()
        };
        for k in 1..=3 {
            d.run(
                0,
                &format!("-q simulate {what} -n 12 --seed {k} -o {name}-in-{k}.parquet"),
            );
        }
        let inputs = format!("{name}-in-1.parquet {name}-in-2.parquet {name}-in-3.parquet");
        d.run(0, &format!("{verb} {inputs} -o {name}-parts --shard 2/2"))
            .says(&["not complete"]);
        d.run(1, &format!("{verb} {inputs} -o {name}-parts --shard 2/2"))
            .says(&["--resume"]);
        d.run(0, &format!("{verb} {inputs} -o {name}-parts --shard 1/2"))
            .says(&["is complete", "36 rows"]);
        let first = d.path(&format!("{name}-parts/part-000000.parquet"));
        let bytes = std::fs::read(&first).unwrap();
        std::fs::remove_file(&first).unwrap();
        d.run(0, &format!("{verb} {inputs} -o {name}-parts --resume"))
            .says(&["is complete"]);
        assert!(
            std::fs::read(&first).unwrap() == bytes,
            "{name}: the part that was made again differs"
        );
        // The same settings only.
        let others = if has_bf16() {
            format!("{verb} {inputs} -o {name}-parts --resume --precision bf16")
        } else {
            format!("{verb} {name}-in-1.parquet -o {name}-parts --resume")
        };
        d.run(1, &others).says(&["differs"]);
        d.run(0, &format!("-q {verb} {inputs} -o {name}-one.parquet"));
        let all = rows(&d.path(&format!("{name}-one.parquet")));
        let one = arrow_select::concat::concat_batches(all[0].schema_ref(), &all).unwrap();
        for k in 0..3 {
            let part = rows(&d.path(&format!("{name}-parts/part-00000{k}.parquet")));
            assert_eq!(part.len(), 1);
            for (field, column) in part[0].schema().fields().iter().zip(part[0].columns()) {
                // The catalogue's own columns; those of the file come under their own names.
                if let Some(own) = one
                    .column_by_name(field.name())
                    .filter(|c| c.data_type() == column.data_type())
                {
                    let skip = ["label", "object_id", "ra", "dec", "row", "file"]
                        .contains(&field.name().as_str());
                    assert!(
                        skip || own.slice(12 * k, 12).to_data() == column.to_data(),
                        "{name}: {}",
                        field.name()
                    );
                }
            }
        }
    }
}

/// Whether this processor has another arithmetic to ask for.
fn has_bf16() -> bool {
    use slipher_nn::predictor::Precision;
    Precision::Bf16.available() == Precision::Bf16
}

#[test]
fn training_stops_resumes_and_refuses() {
    let d = Dir::new();
    let recipe = "system = \"transients\"\nnetwork = { network = \"square\", width = 16 }\nsimulated = 40\nexamples_seen = 320\nbatch = 16\n\
                  optimiser = { name = \"adam\", beta1 = 0.9, beta2 = 0.99, eps = 1e-8 }\nlearning_rate = 0.001\nvalidation = 20\nseed = 1\n";
    std::fs::write(d.path("r.toml"), recipe).unwrap();
    d.run(0, "train transients --recipe r.toml -o run").says(&[
        "Wrote",
        "model.safetensors",
        "validation",
    ]);
    d.run(1, "train transients --recipe r.toml -o run")
        .says(&["--resume"]);
    d.run(0, "-q train transients --recipe r.toml -o run --resume");
    d.run(
        1,
        "train transients --recipe r.toml -o run --resume --seed 9",
    )
    .says(&["another recipe"]);
    d.run(1, "train radio --recipe r.toml -o other")
        .says(&["transients"]);
    std::fs::write(
        d.path("old.toml"),
        recipe
            .replace("learning_rate", "rate")
            .replace("examples_seen", "shown"),
    )
    .unwrap();
    d.run(0, "-q train transients --recipe old.toml -o old");
    let read = |p: &str| std::fs::read(d.path(p)).unwrap();
    assert!(
        read("run/model.safetensors") == read("old/model.safetensors"),
        "words of 0.1 mean the same"
    );
    std::fs::write(
        d.path("bad.toml"),
        recipe.replace("batch = 16", "bach = 16"),
    )
    .unwrap();
    d.run(1, "train transients --recipe bad.toml -o bad")
        .says(&["bach"]);
    // A damaged checkpoint does not begin anew in silence.
    let path = d.path("run/checkpoint.safetensors");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    d.run(1, "train transients --recipe r.toml -o run --resume")
        .says(&["checkpoint.safetensors"]);
    d.run(0, "-q simulate transients -n 5 -o t.parquet");
    d.run(
        0,
        "predict transients t.parquet --model run/model.safetensors",
    )
    .says(&["real", "bogus"]);
    d.run(1, "predict radio t.parquet --model run/model.safetensors")
        .says(&["transients", "radio"]);
    d.run(1, "predict transients t.parquet --precision f8")
        .says(&["f8", "bf16"]);
}

#[test]
fn images_to_catalogue_and_page() {
    let d = Dir::new();
    d.run(0, "-q simulate star-galaxy -n 6 -o c.fits");
    d.run(
        0,
        "predict star-galaxy c.fits --bands u,g,r,i,z -o s.csv --report p.html",
    )
    .says(&[" rows in 1 file,", "Wrote"]);
    let csv = std::fs::read_to_string(d.path("s.csv")).unwrap();
    assert!(
        csv.starts_with("object_id,ra,dec,class,p_class,star,galaxy,familiarity,flags,error"),
        "{csv}"
    );
    std::fs::write(d.path("broken.png"), [0x89, b'P', b'N', b'G', 1, 2, 3]).unwrap();
    d.run(
        2,
        "predict star-galaxy c.fits broken.png --bands u,g,r,i,z -o t.csv",
    )
    .says(&["broken.png"]);
    d.run(1, "predict star-galaxy broken.png");
    assert!(
        std::fs::read_to_string(d.path("p.html"))
            .unwrap()
            .contains("data:image/png")
    );
}

/// Stamps out of a large image need both the image and the sources.
#[test]
fn images_and_catalogues() {
    let d = Dir::new();
    d.run(64, "predict radio --image map.fits -o z.csv");
    d.run(
        64,
        "predict radio a.fits --image map.fits --catalogue s.csv -o z.csv",
    );
    std::fs::write(d.path("s.csv"), "id,ra,dec\n1,10,20\n").unwrap();
    let words = "predict radio --image map.fits --catalogue s.csv";
    let err = d.run(1, &format!("{words} -o z.csv")).err();
    assert!(err.contains("--image map.fits"), "{err}");
    let err = d.run(1, &format!("{words} -o parts")).err();
    assert!(err.contains("one catalogue"), "{err}");
    assert_eq!(d.files(), ["s.csv"]);
}

/// GALFIT's parameter files: a model is made, fitted again from elsewhere, and written as image
/// block and parameter file, which begins another fit where this one ended.
#[test]
fn profiles_are_fitted_from_parameter_files() {
    let d = Dir::new();
    let feedme = |data: &str, out: &str, only: u8, re: f64, x: f64| {
        format!(
            "A) {data}\nB) {out}\nC) none\nD) none\nE) 1\nF) none\nG) none\nH) 1 60 1 50\nI) 60 50\n\
             J) 25\nK) 1 1\nP) {only}\n 0) sersic\n 1) {x} 24.2 1 1\n 3) 15 1\n 4) {re} 1\n 5) 1.5 1\n \
             9) 0.6 1\n10) 40 1\n Z) 0\n 0) sky\n 1) 2.0 1\n 2) 0 0\n 3) 0 0\n Z) 0\n"
        )
    };
    let write = |name: &str, text: String| std::fs::write(d.path(name), text).unwrap();
    write("make.feedme", feedme("none", "made.fits", 1, 6.0, 30.4));
    d.run(0, "fit make.feedme");
    write(
        "fit.feedme",
        feedme("made.fits", "block.fits", 0, 9.0, 28.0),
    );
    let ran = d.run(0, "fit fit.feedme --json");
    let line: serde_json::Value = serde_json::from_str(&ran.out()).unwrap();
    let of = |k: &str| line["components"][0][k]["value"].as_f64().unwrap();
    assert!(
        (of("re") - 6.0).abs() < 0.02 && (of("xc") - 30.4).abs() < 0.01,
        "{line}"
    );
    assert!(
        (of("n") - 1.5).abs() < 0.02 && (of("pa") - 40.0).abs() < 0.3,
        "{line}"
    );
    // What was assumed for the noise is said.
    assert!(line["warnings"][0].as_str().unwrap().contains("GAIN"));
    assert!(d.files().contains(&"block.galfit".to_owned()));
    d.run(0, "fit block.galfit --overwrite").says(&["RE 6.0"]);
    // Refusals name the line; other files are fitted all the same.
    write(
        "bad.feedme",
        feedme("made.fits", "x.fits", 0, 6.0, 30.0).replace("sersic", "king"),
    );
    d.run(2, "fit bad.feedme block.galfit --overwrite")
        .says(&["king", "sersic"]);
    d.run(1, "fit fit.feedme")
        .says(&["block.fits", "--overwrite"]);
    write("gone.feedme", feedme("gone.fits", "x.fits", 0, 6.0, 30.0));
    d.run(1, "fit gone.feedme").says(&["gone.fits"]);
    write(
        "out.feedme",
        feedme("made.fits", "x.fits", 0, 6.0, 30.0).replace("1 60 1 50", "900 960 900 950"),
    );
    d.run(1, "fit out.feedme").says(&["0 pixels", "H)"]);
}
