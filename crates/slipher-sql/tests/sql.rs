//! What SQL answers is what the contract answers, bit for bit.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{ArrayRef, RecordBatch, StructArray};
use slipher_data::catalogue::{Column, Values, record};
use slipher_data::hats::{PartWriter, batches};
use slipher_sql::Opened;
use slipher_sql::run;
use slipher_systems::predict::Options;
use slipher_systems::registry;

/// Rows of flat columns; row 1 has three pixels.
fn sky(rows: usize, first: usize) -> RecordBatch {
    let c = Column::bare;
    let wave = |r: usize| {
        (0..if r == 1 { 3 } else { 900 })
            .map(|i| 4000.0 + 3.0 * i as f64)
            .collect::<Vec<f64>>()
    };
    let flux = |r: usize| {
        wave(r)
            .iter()
            .map(|w| (1.0 + (w * 0.01 * (r + 1) as f64).sin()) as f32)
            .collect::<Vec<f32>>()
    };
    let all = || first..first + rows;
    record(&[
        c(
            "id",
            Values::I64(all().map(|r| r as i64 + (1 << 60)).collect()),
        ),
        c("wave", Values::F64Lists(all().map(wave).collect())),
        c("flux", Values::F32Lists(all().map(flux).collect())),
        c(
            "ivar",
            Values::F32Lists(all().map(|r| vec![100.0; wave(r).len()]).collect()),
        ),
        c("z", Values::F64(vec![0.5; rows])),
    ])
    .unwrap()
}

fn write(path: &Path, batch: &RecordBatch) {
    let mut w = PartWriter::create(path, batch.schema_ref(), &[]).unwrap();
    w.write(batch).unwrap();
    w.finish().unwrap();
}

fn system(name: &str, options: Options) -> Opened {
    let system = registry::by_name(name).unwrap();
    (system, registry::open(system, None, options).unwrap())
}

fn model(options: Options) -> Opened {
    system("redshift", options)
}

fn plain() -> Opened {
    model(Options::default())
}

fn ask(query: &str, folder: &Path) -> Result<RecordBatch, String> {
    let out = folder.join("answer.parquet");
    run(&[plain()], query, Some(&out)).map_err(|e| e.to_string())?;
    let all: Vec<RecordBatch> = batches(&out, 100_000)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(all.len(), 1);
    Ok(all[0].clone())
}

#[test]
fn answers_are_those_of_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("spectra");
    for (k, first) in [0, 5, 10].into_iter().enumerate() {
        write(&place.join(format!("{k}.parquet")), &sky(5, first));
    }
    let want = plain().1.predict(&sky(15, 0)).unwrap();
    let text = |what: &str| {
        format!(
            "select id, {what} from '{}/*.parquet' order by id",
            place.display()
        )
    };
    // As the documents have it.
    let got = ask(
        &text("redshift(flux, ivar, wave).z, redshift(flux, ivar, wave).p_correct as p"),
        folder.path(),
    )
    .unwrap();
    assert_eq!(got.num_rows(), 15);
    assert_eq!(
        got.schema()
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect::<Vec<_>>(),
        ["id", "z", "p"]
    );
    assert_eq!(got.column(1), want.column_by_name("z").unwrap());
    assert_eq!(got.column(2), want.column_by_name("p_correct").unwrap());
    assert_eq!(
        got.column(0).as_primitive::<Int64Type>().value(14),
        14 + (1 << 60)
    );
    // The whole struct: the row of three pixels is flagged and says why.
    let got = ask(&text("redshift(flux, ivar, wave) r"), folder.path()).unwrap();
    let r = got.column(1).as_struct();
    for f in r.fields() {
        assert_eq!(
            r.column_by_name(f.name()).unwrap(),
            want.column_by_name(f.name()).unwrap(),
            "{}",
            f.name()
        );
    }
    assert!(
        r.column_by_name("error")
            .unwrap()
            .as_string::<i32>()
            .value(1)
            .contains("3 pixels")
    );
    // The truth beside the answer: two columns z.
    let got = ask(&text("z, redshift(flux, ivar, wave).z"), folder.path()).unwrap();
    assert_eq!(
        (got.schema().field(1).name().as_str(), got.column(2)),
        ("z", want.column_by_name("z").unwrap())
    );
    // Conditions and sums.
    let query = format!(
        "select count(*) n from (select redshift(flux, ivar, wave) r from '{}/*.parquet') where r.error <> ''",
        place.display()
    );
    assert_eq!(
        ask(&query, folder.path())
            .unwrap()
            .column(0)
            .as_primitive::<Int64Type>()
            .value(0),
        1
    );
}

#[test]
fn a_spectrum_may_be_one_struct() {
    let folder = tempfile::tempdir().unwrap();
    let flat = sky(4, 0);
    let (fields, columns): (Vec<_>, Vec<ArrayRef>) = (1..4)
        .map(|i| (flat.schema().fields()[i].clone(), flat.column(i).clone()))
        .unzip();
    let spectrum: ArrayRef = Arc::new(StructArray::try_new(fields.into(), columns, None).unwrap());
    let nested =
        RecordBatch::try_from_iter([("id", flat.column(0).clone()), ("spectrum", spectrum)])
            .unwrap();
    write(&folder.path().join("sky.parquet"), &nested);
    let want = plain().1.predict(&flat).unwrap();
    let got = ask(
        &format!(
            "select redshift(spectrum).z from '{}/sky.parquet' order by id",
            folder.path().display()
        ),
        folder.path(),
    )
    .unwrap();
    assert_eq!(got.column(0), want.column_by_name("z").unwrap());
}

/// Units, and what stands beside the lists of a struct, count as for the program.
/// Four rows in microns, with masks and identifiers.
fn unusual() -> RecordBatch {
    let flat = sky(4, 2);
    let lists = |name: &str| flat.column_by_name(name).unwrap().as_list::<i32>().clone();
    let micron = (0..4)
        .map(|r| {
            lists("wave")
                .value(r)
                .as_primitive::<Float64Type>()
                .values()
                .iter()
                .map(|w| w * 1e-4)
                .collect()
        })
        .collect();
    let flux = (0..4)
        .map(|r| {
            lists("flux")
                .value(r)
                .as_primitive::<Float32Type>()
                .values()
                .to_vec()
        })
        .collect::<Vec<_>>();
    let masked = flux
        .iter()
        .map(|f| (0..f.len()).map(|i| f32::from(u8::from(i < 300))).collect())
        .collect();
    let ids = (0..4).map(|r| format!("o{r}")).collect();
    let c = |name, unit, values| Column {
        unit,
        ..Column::bare(name, values)
    };
    record(&[
        c("object_id", "", Values::Text(ids)),
        c("wave", "um", Values::F64Lists(micron)),
        c("flux", "", Values::F32Lists(flux.clone())),
        c(
            "ivar",
            "",
            Values::F32Lists(flux.iter().map(|f| vec![100.0; f.len()]).collect()),
        ),
        c("mask", "", Values::F32Lists(masked)),
    ])
    .unwrap()
}

#[test]
fn units_masks_and_priors_by_object_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sky.parquet");
    write(&path, &unusual());
    let read: Vec<RecordBatch> = batches(&path, 100).unwrap().map(Result::unwrap).collect();
    let prior = folder.path().join("prior.csv");
    std::fs::write(
        &prior,
        "object_id,z,sigma\no0,2.5,0.01\no1,0.3,0.01\no2,1.2,0.01\no3,0.8,0.01\n",
    )
    .unwrap();
    let m = model(Options::default().with_some("prior", prior.to_str()));
    let want = m.1.predict(&read[0]).unwrap();
    let out = folder.path().join("answer.parquet");
    let of = "named_struct('object_id', object_id, 'wave', wave, 'flux', flux, 'ivar', ivar, 'mask', mask)";
    let query = format!(
        "select redshift({of}).z, redshift({of}).p_correct from '{}'",
        path.display()
    );
    run(std::slice::from_ref(&m), &query, Some(&out)).unwrap();
    let got = batches(&out, 100).unwrap().next().unwrap().unwrap();
    assert_eq!(
        (got.column(0), got.column(1)),
        (
            want.column_by_name("z").unwrap(),
            want.column_by_name("p_correct").unwrap()
        )
    );
    // By arguments: no mask, but the identifier.
    let names: Vec<usize> = (0..4).collect();
    let want = m.1.predict(&read[0].project(&names).unwrap()).unwrap();
    run(
        std::slice::from_ref(&m),
        &format!(
            "select redshift(flux, ivar, wave, object_id).z from '{}'",
            path.display()
        ),
        Some(&out),
    )
    .unwrap();
    assert_eq!(
        batches(&out, 100)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .column(0),
        want.column_by_name("z").unwrap()
    );
    let said = run(
        &[m],
        &format!(
            "select redshift(flux, ivar, wave).z from '{}'",
            path.display()
        ),
        Some(&out),
    )
    .unwrap_err()
    .to_string();
    assert!(said.contains("object_id"), "{said}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sky.parquet");
    write(&path, &sky(3, 0));
    let e = |query: String| ask(&query, folder.path()).unwrap_err();
    let said = e(format!("select redshift(flux).z from '{}'", path.display()));
    assert!(
        said.contains("expected redshift(flux, ivar, wave)"),
        "{said}"
    );
    let said = e(format!(
        "select redshift(flux, ivar).z from '{}'",
        path.display()
    ));
    assert!(
        said.contains("expected redshift(flux, ivar, wave)"),
        "{said}"
    );
    let said = e(format!(
        "select redshift(id, ivar, wave).z from '{}'",
        path.display()
    ));
    assert!(said.contains("flux"), "{said}");
    let said = e(format!(
        "select redshift(flux, 100.0, wave).z from '{}'",
        path.display()
    ));
    assert!(said.contains("three lists"), "{said}");
    // What fails half-way leaves nothing.
    let said = e(format!("select 1 / (id - id) from '{}'", path.display()));
    assert!(said.to_lowercase().contains("divide by zero"), "{said}");
    let said = e("select id from 'no/such.parquet'".into());
    assert!(
        said.starts_with("'no/such.parquet': no such file"),
        "{said}"
    );
    assert!(e("selekt 1".into()).contains("selekt"));
    let said = e(format!(
        "copy (select 1) to '{}'",
        folder.path().join("x.csv").display()
    ));
    assert!(
        said.contains("not supported") || said.contains("not allowed"),
        "{said}"
    );
    // No rows are fine; nothing is left beside the answer.
    let none = folder.path().join("none.parquet");
    write(&none, &sky(0, 0));
    let out = folder.path().join("answer.parquet");
    assert_eq!(
        run(
            &[plain()],
            &format!(
                "select redshift(flux, ivar, wave).z from '{}'",
                none.display()
            ),
            Some(&out)
        )
        .unwrap(),
        0
    );
    let csv = run(&[plain()], "select 1", Some(Path::new("answer.csv")))
        .unwrap_err()
        .to_string();
    assert!(csv.contains(".parquet"), "{csv}");
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .map(|f| f.file_name())
        .filter(|n| n.to_string_lossy().contains("tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Every system has a function; what it answers is what the contract answers.
#[test]
fn images_are_asked_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.parquet");
    let n = 64;
    let blob = |r: usize| {
        let at = |i: usize| ((i / n) as f32 - 31.5).hypot((i % n) as f32 - 31.5);
        (0..n * n)
            .map(|i| (-(at(i) / (3.0 + r as f32)).powi(2)).exp())
            .collect::<Vec<f32>>()
    };
    let c = Column::bare;
    let batch = record(&[
        c("id", Values::I64((0..5).collect())),
        c("image", Values::F32Lists((0..5).map(blob).collect())),
    ])
    .unwrap();
    write(&path, &batch);
    let radio = system("radio", Options::default());
    let want = radio.1.predict(&batch).unwrap();
    let out = folder.path().join("answer.parquet");
    let query = format!(
        "select radio(image).class, radio(image).p_class from '{}'",
        path.display()
    );
    run(&[plain(), radio], &query, Some(&out)).unwrap();
    let got = batches(&out, 100).unwrap().next().unwrap().unwrap();
    for (i, name) in ["class", "p_class"].into_iter().enumerate() {
        assert_eq!(got.column(i), want.column_by_name(name).unwrap(), "{name}");
    }
}
