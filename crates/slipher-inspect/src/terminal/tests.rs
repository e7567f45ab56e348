use ratatui::Terminal as Screen;
use ratatui::backend::TestBackend;

use super::*;
use crate::session::tests::{session, sky};

fn text(t: &Terminal<'_>) -> String {
    let mut screen = Screen::new(TestBackend::new(110, 32)).unwrap();
    screen.draw(|f| draw::frame(t, f)).unwrap();
    let buffer = screen.backend().buffer().clone();
    buffer
        .content()
        .chunks(110)
        .map(|row| row.iter().map(|c| c.symbol()).collect::<String>() + "\n")
        .collect()
}

fn press(t: &mut Terminal<'_>, keys: &str) {
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            c => KeyCode::Char(c),
        };
        assert!(t.key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
}

/// Rows are drawn, decided by keys, and what is decided is the page's decisions file.
#[test]
fn keys_decide() {
    let dir = tempfile::tempdir().unwrap();
    sky(dir.path());
    let s = session(dir.path(), "ann");
    let mut t = Terminal::new(&s, false, "").unwrap();
    let first = text(&t);
    assert!(
        first.contains("[1/3]") && first.contains("solutions (s)") && first.contains("[O II] 4101"),
        "{first}"
    );
    assert!(
        first.contains('⠒')
            || first.contains('⡀')
            || first.chars().any(|c| ('⠁'..='⣿').contains(&c))
    );
    press(&mut t, "4");
    assert!(text(&t).contains("[2/3]") && text(&t).contains("1 of 3 decided by ann"));
    press(&mut t, "gz1.25\n");
    assert_eq!((t.class.as_str(), t.z), ("QSO", Some(1.25)));
    press(&mut t, "zabc\n");
    assert!(text(&t).contains("expected a number"));
    press(&mut t, "cbroad, odd\n");
    assert_eq!((t.at, s.show_decisions(1)[0].quality), (1, None));
    press(&mut t, "3");
    let d = &s.show_decisions(1)[0];
    assert_eq!(
        (d.quality, d.z, d.class.as_str(), d.comment.as_str()),
        (Some(3), Some(1.25), "QSO", "broad, odd")
    );
    press(&mut t, "bu");
    assert!(s.show_decisions(1).is_empty());
    press(&mut t, "/s2\n");
    assert!(text(&t).contains("[1/1]"));
    press(&mut t, "/nothing\n");
    assert!(text(&t).contains("no rows"));
    press(&mut t, "?");
    assert!(text(&t).contains("PgDn"));
    press(&mut t, "?+-hjrkKsSx");
    assert!(!t.key(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE)));
    // Only what is open, and what teaches most first.
    let t = Terminal::new(&s, true, "@teach").unwrap();
    assert_eq!(t.rows.len(), 2);
    assert!(Terminal::new(&s, true, "@none").is_err());
}
