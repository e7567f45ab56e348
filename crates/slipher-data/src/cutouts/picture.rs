//! PNG, JPEG and TIFF, in and out (PNG).

use crate::cutout::Cutout;

/// Refuses a picture that takes more memory than a file may: four planes, decoded and as numbers, twice.
fn sides(width: usize, height: usize, packed: usize) -> Result<(), String> {
    let bytes = (width as u64)
        .saturating_mul(height as u64)
        .saturating_mul(36);
    crate::budget::check(
        bytes,
        crate::budget::unpacked(packed as u64),
        &format!("a picture of {width} × {height} pixels"),
    )
}

pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG") || bytes.starts_with(&[0xFF, 0xD8, 0xFF]) || is_tiff(bytes)
}

fn is_tiff(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*")
}

/// A picture: bands R, G, B, or one band if it is grey, 0 to 255.
///
/// # Errors
/// Damaged pictures.
pub fn decode(bytes: &[u8]) -> Result<Cutout, String> {
    if bytes.starts_with(b"\x89PNG") {
        png(bytes)
    } else if is_tiff(bytes) {
        tiff(bytes)
    } else {
        jpeg(bytes)
    }
}

/// Values from 0 to 255; of sixteen bits with fractions.
fn planes(data: &[f32], channels: usize, height: usize, width: usize) -> Result<Cutout, String> {
    let n = height * width;
    if data.len() < n * channels {
        return Err("the picture is cut off".into());
    }
    // An alpha channel is no light; three equal colours are grey.
    let colours = if channels >= 3 { 3 } else { 1 };
    let grey = colours == 3
        && data
            .chunks_exact(channels)
            .all(|p| p[0] == p[1] && p[1] == p[2]);
    let names: &[&str] = if colours == 1 || grey {
        &["grey"]
    } else {
        &["R", "G", "B"]
    };
    let pixels = (0..names.len())
        .flat_map(|c| data.chunks_exact(channels).take(n).map(move |p| p[c]))
        .collect();
    Cutout::new(names, height, width, pixels)
}

fn png(bytes: &[u8]) -> Result<Cutout, String> {
    let mut decoder =
        png::Decoder::new_with_limits(std::io::Cursor::new(bytes), png::Limits { bytes: 1 << 28 });
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder
        .read_info()
        .map_err(|e| format!("damaged PNG: {e}"))?;
    let (width, height) = reader.info().size();
    sides(width as usize, height as usize, bytes.len())?;
    let size = reader.output_buffer_size().ok_or("PNG without a size")?;
    let mut data = vec![0; size];
    let info = reader
        .next_frame(&mut data)
        .map_err(|e| format!("damaged PNG: {e}"))?;
    let values: Vec<f32> = if info.bit_depth == png::BitDepth::Sixteen {
        let pairs = data.chunks_exact(2);
        pairs
            .map(|b| f32::from(u16::from_be_bytes([b[0], b[1]])) / 257.0)
            .collect()
    } else {
        data.iter().map(|v| f32::from(*v)).collect()
    };
    planes(
        &values,
        info.color_type.samples(),
        info.height as usize,
        info.width as usize,
    )
}

fn jpeg(bytes: &[u8]) -> Result<Cutout, String> {
    use zune_jpeg::JpegDecoder;
    use zune_jpeg::zune_core::bytestream::ZCursor;
    use zune_jpeg::zune_core::colorspace::ColorSpace;
    use zune_jpeg::zune_core::options::DecoderOptions;
    let options = DecoderOptions::default()
        .set_max_width(8192)
        .set_max_height(8192)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder
        .decode_headers()
        .map_err(|e| format!("damaged JPEG: {e:?}"))?;
    let (w, h) = decoder.dimensions().ok_or("JPEG without a size")?;
    sides(w, h, bytes.len())?;
    let data = decoder
        .decode()
        .map_err(|e| format!("damaged JPEG: {e:?}"))?;
    let values: Vec<f32> = data.iter().map(|v| f32::from(*v)).collect();
    planes(&values, 3, h, w)
}

/// TIFF: grey of 8, 16 or 32 bits or floating-point as it is, colours of 8 or 16 bits.
fn tiff(bytes: &[u8]) -> Result<Cutout, String> {
    use tiff::ColorType;
    use tiff::decoder::{Decoder, DecodingResult as D, Limits};
    let bad = |e: tiff::TiffError| format!("damaged TIFF: {e}");
    let mut decoder = Decoder::new(std::io::Cursor::new(bytes)).map_err(bad)?;
    decoder = decoder.with_limits(Limits::default());
    let (w, h) = decoder.dimensions().map_err(bad)?;
    let (w, h) = (w as usize, h as usize);
    sides(w, h, bytes.len())?;
    let samples = match decoder.colortype().map_err(bad)? {
        ColorType::Gray(_) => 1,
        ColorType::GrayA(_) => 2,
        ColorType::RGB(_) => 3,
        ColorType::RGBA(_) => 4,
        other => return Err(format!("a TIFF of {other:?}: expected grey or RGB")),
    };
    let colours = if samples >= 3 { 3 } else { 1 };
    fn f32s<T: Copy + Into<f64>>(v: &[T]) -> Vec<f32> {
        v.iter().map(|x| (*x).into() as f32).collect()
    }
    let values = match decoder.read_image().map_err(bad)? {
        D::U8(v) => f32s(&v),
        // Colours are from 0 to 255 everywhere.
        D::U16(v) if colours == 3 => v.iter().map(|x| f32::from(*x) / 257.0).collect(),
        _ if colours == 3 => {
            return Err("a colour TIFF of other than 8 or 16 bits: expected those, or planes of flux as FITS or NumPy".into());
        }
        D::U16(v) => f32s(&v),
        D::U32(v) => f32s(&v),
        D::I8(v) => f32s(&v),
        D::I16(v) => f32s(&v),
        D::I32(v) => f32s(&v),
        D::F32(v) => v,
        D::F64(v) => f32s(&v),
        _ => return Err("a TIFF of 64-bit or half-precision values: expected 8 to 32 bits".into()),
    };
    if values.len() < w * h * samples {
        return Err("the picture is cut off".into());
    }
    let names: &[&str] = if colours == 3 {
        &["R", "G", "B"]
    } else {
        &["grey"]
    };
    let plane = |c: usize| values.chunks_exact(samples).take(w * h).map(move |p| p[c]);
    Cutout::new(names, h, w, (0..colours).flat_map(plane).collect())
}

/// PNG of grey or RGB values 0 to 255, `[row][column][channel]`, for pages.
///
/// # Errors
/// A length that does not fit.
pub fn encode(data: &[u8], height: usize, width: usize) -> Result<Vec<u8>, String> {
    let colour = match data.len() / (height * width).max(1) {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        n => return Err(format!("{n} channels: expected 1 or 3")),
    };
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
    writer.write_image_data(data).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PNG of sixteen bits keeps its steps, on the scale of eight.
    #[test]
    fn png_of_sixteen_bits() {
        let mut bytes = Vec::new();
        let mut e = png::Encoder::new(&mut bytes, 8, 4);
        e.set_color(png::ColorType::Grayscale);
        e.set_depth(png::BitDepth::Sixteen);
        let values: Vec<u16> = (0..32).map(|i| 60_000 + i).collect();
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
        let mut w = e.write_header().unwrap();
        w.write_image_data(&data).unwrap();
        w.finish().unwrap();
        let c = decode(&bytes).unwrap();
        let step = c.pixels[31] - c.pixels[0];
        assert!(
            (step - 31.0 / 257.0).abs() < 1e-3 && c.pixels[0] < 255.0,
            "{step}"
        );
    }

    /// Sixteen bits stay sixteen bits; damage is said.
    #[test]
    fn tiff_of_sixteen_bits() {
        use tiff::encoder::{TiffEncoder, colortype};
        let values: Vec<u16> = (0..600).map(|i| 40 * i + 7).collect();
        let mut file = std::io::Cursor::new(Vec::new());
        TiffEncoder::new(&mut file)
            .unwrap()
            .write_image::<colortype::Gray16>(30, 20, &values)
            .unwrap();
        let bytes = file.into_inner();
        assert!(is(&bytes));
        let c = decode(&bytes).unwrap();
        assert_eq!((c.height, c.width, c.bands[0].as_str()), (20, 30, "grey"));
        assert!(
            c.pixels
                .iter()
                .zip(&values)
                .all(|(a, b)| *a == f32::from(*b))
        );
        for cut in (8..bytes.len()).step_by(61) {
            assert!(decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
