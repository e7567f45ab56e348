//! `slipher inspect --terminal`: one row at a time as text, with the keys of the page.

mod draw;

use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::look::Item;
use crate::session::{RowShown, Said};
use crate::view::{Decided, Query};
use crate::{InspectError, Session};

/// Classes that a key goes through.
const CLASSES: [&str; 3] = ["GALAXY", "QSO", "STAR"];

/// What is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Typing {
    Nothing,
    Comment(String),
    Search(String),
    Redshift(String),
}

/// What the terminal shows.
pub struct Terminal<'a> {
    session: &'a Session,
    query: Query,
    rows: std::sync::Arc<Vec<u32>>,
    at: usize,
    shown: Option<RowShown>,
    class: String,
    z: Option<f64>,
    solution: usize,
    bad_data: bool,
    comment: String,
    smoothing: usize,
    /// Shares of the spectrum's range that are shown.
    zoom: (f64, f64),
    typing: Typing,
    said: String,
    help: bool,
}

/// Shows rows until the user leaves; `open` only those without a decision of this inspector.
///
/// # Errors
/// No terminal; a catalogue that cannot be read.
pub fn run(session: &Session, open: bool, order: &str) -> Result<(), InspectError> {
    let mut t = Terminal::new(session, open, order)?;
    let mut screen = ratatui::try_init()?;
    let outcome = t.work(&mut screen);
    ratatui::try_restore()?;
    outcome
}

impl<'a> Terminal<'a> {
    /// At the first row.
    ///
    /// # Errors
    /// As [`Session::rows`].
    pub fn new(
        session: &'a Session,
        open: bool,
        order: &str,
    ) -> Result<Terminal<'a>, InspectError> {
        let decided = if open { Decided::Open } else { Decided::Any };
        let query = Query {
            decided,
            sort: order.to_owned(),
            ..Query::default()
        };
        let rows = session.rows(&query, &session.inspector)?;
        let mut t = Terminal {
            session,
            query,
            rows,
            at: 0,
            shown: None,
            class: String::new(),
            z: None,
            solution: 0,
            bad_data: false,
            comment: String::new(),
            smoothing: 1,
            zoom: (0.0, 1.0),
            typing: Typing::Nothing,
            said: String::new(),
            help: false,
        };
        t.load()?;
        Ok(t)
    }

    fn work(&mut self, screen: &mut DefaultTerminal) -> Result<(), InspectError> {
        loop {
            screen.draw(|frame| draw::frame(self, frame))?;
            if !event::poll(Duration::from_secs(5))? {
                self.session.refresh()?;
                continue;
            }
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
                && !self.key(key)
            {
                return Ok(());
            }
        }
    }

    /// Reads the row that is to be shown.
    fn load(&mut self) -> Result<(), InspectError> {
        self.at = self.at.min(self.rows.len().saturating_sub(1));
        let Some(row) = self.rows.get(self.at) else {
            self.shown = None;
            return Ok(());
        };
        let shown = self.session.show(*row)?;
        let mine = shown
            .decisions
            .iter()
            .find(|d| d.scanner == self.session.inspector);
        let text = |name: &str| {
            shown
                .columns
                .get(name)
                .and_then(|v| v.as_str())
                .unwrap_or_default()
        };
        let class = ["spectype", "class", "prediction"]
            .iter()
            .map(|n| text(n))
            .find(|t| !t.is_empty());
        self.class = mine.map_or(class.unwrap_or_default().to_owned(), |d| d.class.clone());
        self.z = mine.map_or(shown.columns.get("z").and_then(|v| v.as_f64()), |d| d.z);
        self.bad_data = mine.is_some_and(|d| d.issue.contains('S'));
        self.comment = mine.map_or(String::new(), |d| d.comment.clone());
        (self.solution, self.zoom) = (0, (0.0, 1.0));
        self.shown = Some(shown);
        Ok(())
    }

    fn again(&mut self) -> Result<(), InspectError> {
        self.rows = self.session.rows(&self.query, &self.session.inspector)?;
        self.load()
    }

    fn step(&mut self, by: isize) {
        let to = self.at.saturating_add_signed(by);
        if to == self.at || to >= self.rows.len() {
            self.said = if by > 0 {
                "the last row"
            } else {
                "the first row"
            }
            .into();
            return;
        }
        self.at = to;
        self.told(|t| t.load());
    }

    /// Does something; what goes wrong is said below.
    fn told(&mut self, f: impl FnOnce(&mut Self) -> Result<(), InspectError>) {
        if let Err(e) = f(self) {
            self.said = e.to_string();
        }
    }

    fn decide(&mut self, quality: Option<u8>, withdraw: bool) {
        let Some(row) = self.rows.get(self.at).copied() else {
            return;
        };
        let said = Said {
            row,
            quality,
            z: self.z,
            class: self.class.clone(),
            bad_data: self.bad_data,
            comment: self.comment.clone(),
        };
        let written = self
            .session
            .decide(&said, &self.session.inspector, withdraw);
        self.said = match (&written, withdraw, quality) {
            (Err(e), ..) => format!("not written: {e}"),
            (Ok(()), true, _) => "decision taken back".into(),
            (Ok(()), false, Some(q)) => format!("quality {q}: written"),
            (Ok(()), false, None) => "comment: written".into(),
        };
        if written.is_err() {
            return;
        }
        let last = self.at + 1 >= self.rows.len();
        // In a list of open rows the next one takes the place of the one decided.
        if quality.is_some() && !withdraw && self.query.decided == Decided::Any && !last {
            self.at += 1;
        }
        self.told(|t| t.again());
    }

    fn choose(&mut self, by: isize) {
        let Some(Ok(Item::Spectrum { solutions, .. })) =
            self.shown.as_ref().map(|s| s.item.as_ref())
        else {
            return;
        };
        if solutions.is_empty() {
            return;
        }
        let n = solutions.len() as isize;
        self.solution = (self.solution as isize + by).rem_euclid(n) as usize;
        let s = &solutions[self.solution];
        (self.class, self.z) = (s.class.to_owned(), Some(s.z));
    }

    /// Acts on a key; false to leave.
    fn key(&mut self, key: KeyEvent) -> bool {
        self.said.clear();
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return key.code != KeyCode::Char('c');
        }
        if self.typing != Typing::Nothing {
            self.typed(key.code);
            return true;
        }
        if self.help {
            self.help = false;
            return true;
        }
        let (low, high) = self.zoom;
        let wide = high - low;
        let zoomed = |factor: f64| {
            let w = (wide * factor).clamp(0.01, 1.0);
            let from = ((low + high - w) / 2.0).clamp(0.0, 1.0 - w);
            (from, from + w)
        };
        let moved = |share: f64| {
            let from = (low + wide * share).clamp(0.0, 1.0 - wide);
            (from, from + wide)
        };
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char(c @ '0'..='4') => self.decide(Some(c as u8 - b'0'), false),
            KeyCode::Char('a') | KeyCode::Enter => self.decide(Some(4), false),
            KeyCode::Char('n') | KeyCode::Right => self.step(1),
            KeyCode::Char('b') | KeyCode::Left => self.step(-1),
            KeyCode::PageDown => self.step(20),
            KeyCode::PageUp => self.step(-20),
            KeyCode::Char('s') => self.choose(1),
            KeyCode::Char('S') => self.choose(-1),
            KeyCode::Char('g') => {
                let i = CLASSES
                    .iter()
                    .position(|c| *c == self.class)
                    .map_or(0, |i| i + 1);
                self.class = CLASSES[i % CLASSES.len()].to_owned();
            }
            KeyCode::Char('z') => self.typing = Typing::Redshift(String::new()),
            KeyCode::Char('c') => self.typing = Typing::Comment(self.comment.clone()),
            KeyCode::Char('/') => self.typing = Typing::Search(self.query.search.clone()),
            KeyCode::Char('x') => self.bad_data = !self.bad_data,
            KeyCode::Char('u') => self.decide(None, true),
            KeyCode::Char('+' | '=') => self.zoom = zoomed(1.0 / 1.5),
            KeyCode::Char('-') => self.zoom = zoomed(1.5),
            KeyCode::Char('h') => self.zoom = moved(-0.25),
            KeyCode::Char('j') => self.zoom = moved(0.25),
            KeyCode::Char('r') => self.zoom = (0.0, 1.0),
            KeyCode::Char('k') => self.smoothing = (self.smoothing + 2).min(31),
            KeyCode::Char('K') => self.smoothing = self.smoothing.saturating_sub(2).max(1),
            KeyCode::Char('?') => self.help = true,
            _ => {}
        }
        true
    }

    fn typed(&mut self, code: KeyCode) {
        let typing = std::mem::replace(&mut self.typing, Typing::Nothing);
        let edit = |mut text: String| {
            match code {
                KeyCode::Char(c) => text.push(c),
                KeyCode::Backspace => {
                    text.pop();
                }
                _ => {}
            }
            text
        };
        let done = code == KeyCode::Enter;
        if code == KeyCode::Esc {
            return;
        }
        match typing {
            Typing::Comment(text) if done => {
                self.comment = text;
                let own = self.shown.as_ref().and_then(|s| {
                    s.decisions
                        .iter()
                        .find(|d| d.scanner == self.session.inspector)?
                        .quality
                });
                let stay = self.at;
                self.decide(own, false);
                // A comment is no reason to go on.
                if self.at != stay {
                    self.at = stay;
                    self.told(|t| t.load());
                }
            }
            Typing::Search(text) if done => {
                (self.query.search, self.at) = (text, 0);
                self.told(|t| t.again());
            }
            Typing::Redshift(text) if done => match text.trim().parse::<f64>() {
                Ok(z) if (-0.02..20.1).contains(&z) => self.z = Some(z),
                _ => self.said = format!("redshift '{text}': expected a number from -0.02 to 20"),
            },
            Typing::Comment(t) => self.typing = Typing::Comment(edit(t)),
            Typing::Search(t) => self.typing = Typing::Search(edit(t)),
            Typing::Redshift(t) => self.typing = Typing::Redshift(edit(t)),
            Typing::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests;
