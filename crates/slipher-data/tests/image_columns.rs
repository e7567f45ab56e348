//! Columns of images in Arrow batches: what is none, nulls, integers, and lists that are no
//! rectangle.

use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use slipher_data::cutout::Cutout;
use slipher_data::cutouts::CutoutOptions;
use slipher_data::cutouts::batch::Cutouts;

/// One image of rows of values; none is null.
fn image(rows: &[&[Option<f32>]]) -> ArrayRef {
    let mut b = ListBuilder::new(ListBuilder::new(Float32Builder::new()));
    for row in rows {
        row.iter()
            .for_each(|v| b.values().values().append_option(*v));
        b.values().append(true);
    }
    b.append(true);
    Arc::new(b.finish())
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

const SQUARE: [&[Option<f32>]; 2] = [&[Some(1.0), Some(2.0)], &[Some(3.0), Some(4.0)]];

/// A catalogue has a `flux` and a `template` that are a number and a text: the image is the image.
#[test]
fn numbers_and_texts_are_no_images() {
    let flux: ArrayRef = Arc::new(Float64Array::from(vec![7.5]));
    let template: ArrayRef = Arc::new(StringArray::from(vec!["NGC 1"]));
    let b = batch(vec![
        ("flux", flux.clone()),
        ("template", template),
        ("image", image(&SQUARE)),
    ]);
    let options = CutoutOptions::default();
    let c = Cutouts::of(&b, &options).unwrap().row(0).unwrap();
    assert_eq!(
        (c.height, c.width, c.pixels),
        (2, 2, vec![1.0, 2.0, 3.0, 4.0])
    );
    let alone = batch(vec![("flux", flux)]);
    assert!(Cutouts::of(&alone, &options).is_err());
}

#[test]
fn null_pixels_are_missing() {
    let b = batch(vec![(
        "image",
        image(&[&[Some(1.0), None], &[Some(3.0), Some(4.0)]]),
    )]);
    let options = CutoutOptions::default();
    let c = Cutouts::of(&b, &options).unwrap().row(0).unwrap();
    assert!(c.pixels[1].is_nan() && c.pixels[3] == 4.0, "{:?}", c.pixels);
}

#[test]
fn ragged_lists_are_refused() {
    let b = batch(vec![("image", image(&[&[Some(1.0); 3], &[Some(1.0); 1]]))]);
    let options = CutoutOptions::default();
    let why = Cutouts::of(&b, &options).unwrap().row(0).unwrap_err();
    assert!(why.contains("rectangle"), "{why}");
}

/// Integers of any width, and a column `shape` of them.
#[test]
fn integers_of_any_width() {
    use arrow_array::types::{Int64Type, UInt16Type};
    let flat = arrow_array::ListArray::from_iter_primitive::<UInt16Type, _, _>([Some(
        (0..6u16).map(Some),
    )]);
    let shape =
        arrow_array::ListArray::from_iter_primitive::<Int64Type, _, _>([Some([2i64, 3].map(Some))]);
    let b = batch(vec![
        ("image", Arc::new(flat) as ArrayRef),
        ("shape", Arc::new(shape) as ArrayRef),
    ]);
    let options = CutoutOptions::default();
    let c = Cutouts::of(&b, &options).unwrap().row(0).unwrap();
    assert_eq!((c.height, c.width, c.pixels[5]), (2, 3, 5.0));
}

/// Names of bands are for planes without names, and as many as these.
#[test]
fn bands_must_fit() {
    let b = batch(vec![("image", image(&SQUARE))]);
    let of = |bands: &[&str]| {
        let options = CutoutOptions {
            bands: bands.iter().map(|b| (*b).to_owned()).collect(),
            ..CutoutOptions::default()
        };
        Cutouts::of(&b, &options).unwrap().row(0)
    };
    assert_eq!(of(&["r"]).unwrap().bands, ["r"]);
    let why = of(&["g", "r"]).unwrap_err();
    assert!(why.contains("1 planes") && why.contains("2: g, r"), "{why}");
}

/// Cutouts of different sizes and bands come back from Parquet with what they are.
#[test]
fn what_is_written_is_read() {
    use slipher_data::cutouts::{self, write};
    let make = |bands: [&str; 3], side: usize, scale: f64| {
        let pixels = (0..3 * side * side).map(|i| i as f32).collect();
        Cutout {
            pixel_scale: scale,
            object_id: format!("of {side}"),
            label: Some("lens".into()),
            ..Cutout::new(&bands, side, side, pixels).unwrap()
        }
    };
    let mut all = [
        make(["g", "r", "i"], 20, 0.2),
        make(["R", "G", "B"], 25, f64::NAN),
    ];
    // What the first has beside its pixels, the second lacks.
    all[0].psf = (3, 3, (0..9).map(|v| v as f32).collect());
    all[0].variance = vec![0.25; 1200];
    all[0].mask = (0..1200).map(|i| u8::from(i == 7)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let rows: Vec<_> = all
        .iter()
        .map(|c| (c.clone(), vec![0.0, 1.0], 20.0))
        .collect();
    write::parquet(&path, &rows, &["other", "lens"], "mag_r").unwrap();
    let mut back = vec![];
    cutouts::read(&path, &CutoutOptions::default(), &mut |r| {
        back.push(r.cutout.unwrap());
        true
    })
    .unwrap();
    for (a, b) in all.iter().zip(&back) {
        assert_eq!(
            (&a.bands, &a.pixels, a.height),
            (&b.bands, &b.pixels, b.height)
        );
        assert_eq!((&a.object_id, &a.label), (&b.object_id, &b.label));
        assert_eq!(a.pixel_scale.to_bits(), b.pixel_scale.to_bits());
        assert_eq!((&a.psf, &a.variance), (&b.psf, &b.variance));
        assert_eq!(a.mask, b.mask);
    }
    assert_eq!(back.len(), 2);
}
