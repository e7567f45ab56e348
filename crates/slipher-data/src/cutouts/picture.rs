//! PNG and JPEG, in and out (PNG).

use crate::cutout::Cutout;

/// Refuses a picture that takes more memory than a file may: three planes, decoded and as numbers.
fn sides(width: usize, height: usize, packed: usize) -> Result<(), String> {
    let bytes = (width as u64)
        .saturating_mul(height as u64)
        .saturating_mul(15);
    crate::budget::check(
        bytes,
        crate::budget::unpacked(packed as u64),
        &format!("a picture of {width} × {height} pixels"),
    )
}

pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG") || bytes.starts_with(&[0xFF, 0xD8, 0xFF])
}

/// A picture: bands R, G, B, or one band if it is grey, 0 to 255.
///
/// # Errors
/// Damaged pictures.
pub fn decode(bytes: &[u8]) -> Result<Cutout, String> {
    if bytes.starts_with(b"\x89PNG") {
        png(bytes)
    } else {
        jpeg(bytes)
    }
}

fn planes(
    data: &[u8],
    channels: usize,
    height: usize,
    width: usize,
    scale: f32,
) -> Result<Cutout, String> {
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
        .flat_map(|c| {
            data.chunks_exact(channels)
                .take(n)
                .map(move |p| f32::from(p[c]) * scale)
        })
        .collect();
    Cutout::new(names, height, width, pixels)
}

fn png(bytes: &[u8]) -> Result<Cutout, String> {
    let mut decoder =
        png::Decoder::new_with_limits(std::io::Cursor::new(bytes), png::Limits { bytes: 1 << 28 });
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
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
    planes(
        &data,
        info.color_type.samples(),
        info.height as usize,
        info.width as usize,
        1.0,
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
    planes(&data, 3, h, w, 1.0)
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
