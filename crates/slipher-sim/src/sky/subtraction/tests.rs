use super::*;

/// S/N as published for injected transients (median 12, few below 6); all candidates would have
/// been detected.
#[test]
fn candidates_are_detections() {
    let mut snr: Vec<f64> = (0..300)
        .map(|row| draw(true, ANY, &mut Stream::new(7, 1, row)).snr)
        .collect();
    snr.sort_by(f64::total_cmp);
    assert!(
        snr[0] >= 6.0 && snr[150] > 9.0 && snr[150] < 16.0,
        "{} {}",
        snr[0],
        snr[150]
    );
    let mut causes = std::collections::HashSet::new();
    for row in 0..400 {
        let t = draw(false, ANY, &mut Stream::new(7, 2, row));
        assert!(t.snr >= 6.0 && t.difference.data.iter().all(|v| v.is_finite()));
        causes.insert(format!("{:?}", t.cause));
    }
    assert_eq!(causes.len(), ARTEFACTS.len(), "{causes:?}");
    assert_eq!(
        draw(false, ANY, &mut Stream::new(1, 2, 3)),
        draw(false, ANY, &mut Stream::new(1, 2, 3))
    );
}

/// The difference has the noise that it says it has where nothing is.
#[test]
fn sigma_is_the_noise() {
    let (mut sum, mut n) = (0.0, 0.0);
    for row in 0..200 {
        let t = draw(true, ANY, &mut Stream::new(3, 1, row));
        for i in (0..STAMP * STAMP).filter(|i| i / STAMP < 4 && t.template.data[*i] < 3.0) {
            sum += f64::from(t.difference.data[i] / t.sigma.data[i]).powi(2);
            n += 1.0;
        }
    }
    assert!((sum / n - 1.0).abs() < 0.15, "{}", sum / n);
}
