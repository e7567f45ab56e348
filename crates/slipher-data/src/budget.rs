//! How much memory a file may take: unpacking, or what a header promises, is refused above it, with
//! the option that raises it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of one file that is being read, on one thread.
static LIMIT: AtomicU64 = AtomicU64::new(1 << 30);

/// Unpacked over packed size above which a file is taken for a bomb; small ones are let through.
const RATIO: u64 = 100;
const SMALL: u64 = 64 << 20;

/// The limit in bytes; 1 GiB unless [`set`].
pub fn limit() -> u64 {
    LIMIT.load(Ordering::Relaxed)
}

/// Raises or lowers the limit, for all threads.
pub fn set(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// Most bytes that `packed` bytes may become; what the user has raised holds for any ratio.
pub fn unpacked(packed: u64) -> u64 {
    if limit() > 1 << 30 {
        return limit();
    }
    limit().min(packed.saturating_mul(RATIO).max(SMALL))
}

/// Refuses `what` if it takes more than it may.
///
/// # Errors
/// The limit, and how to raise it.
pub fn check(bytes: u64, most: u64, what: &str) -> Result<(), String> {
    if bytes <= most {
        return Ok(());
    }
    let size = |b: u64| match b {
        b if b >= 10 << 30 => format!("{} GiB", b >> 30),
        b => format!("{} MiB", b >> 20),
    };
    Err(format!(
        "{what} asks for {} of memory, {} are allowed; --memory {}G allows it, if the file is sound",
        size(bytes),
        size(most),
        (bytes >> 30) + 1
    ))
}

/// Bytes of a size as users write it: `800M`, `4G`, `4GiB`, `1000000`.
///
/// # Errors
/// Words that are no size.
pub fn parse(text: &str) -> Result<u64, String> {
    let t = text.trim().to_lowercase();
    let t = t.trim_end_matches("ib").trim_end_matches('b');
    let (number, shift) = match t.chars().last() {
        Some('k') => (&t[..t.len() - 1], 10),
        Some('m') => (&t[..t.len() - 1], 20),
        Some('g') => (&t[..t.len() - 1], 30),
        Some('t') => (&t[..t.len() - 1], 40),
        _ => (t, 0),
    };
    let bytes = number
        .trim()
        .parse::<f64>()
        .ok()
        .map(|n| n * (1u64 << shift) as f64);
    match bytes {
        Some(b) if (1e6..1e18).contains(&b) => Ok(b as u64),
        _ => Err(format!(
            "'{text}': expected a size of at least 1M, as 800M or 4G"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_limits() {
        assert_eq!(parse("4G"), Ok(4 << 30));
        assert_eq!(parse("800MiB"), Ok(800 << 20));
        assert!(parse("4 apples").is_err() && parse("1").is_err() && parse("-1G").is_err());
        assert_eq!(unpacked(1000), SMALL);
        assert_eq!(unpacked(1 << 40), 1 << 30);
        assert!(
            check(5 << 30, 1 << 30, "it")
                .unwrap_err()
                .contains("--memory 6G")
        );
    }
}
