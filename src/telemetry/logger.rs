//! The log: `log` and `env_logger`, written by a thread of its own.
//!
//! A request must never wait for a terminal or a full pipe: lines go into a bounded buffer, a thread
//! writes them in batches, and what does not fit is counted and dropped.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use log::{Level, LevelFilter, Log, Metadata};

use super::access_log;
use super::events;
use super::levels::{self, Levels};
use super::record::Record;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One JSON object per line.
    Json,
    /// For people.
    Pretty,
}

/// The target of request lines: their text is a JSON object already.
pub const REQUEST: &str = "bifrost::request";

/// The buffer between requests and the writing thread.
#[derive(Debug)]
pub struct Sink {
    lines: Mutex<Vec<u8>>,
    wake: Condvar,
    sleeping: AtomicBool,
    writing: AtomicBool,
    dropped: AtomicU64,
    style: Style,
}

impl Sink {
    /// Bytes kept while the writer is busy.
    const LIMIT: usize = 4 * 1024 * 1024;
    /// After a wake-up, lines are gathered for this long: one write for many lines.
    const GATHER: Duration = Duration::from_millis(50);

    /// Lines dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Bytes of lines that wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How lines look.
    #[must_use]
    pub fn style(&self) -> Style {
        self.style
    }

    /// Writes the line of a request, `level` and `time` in front.
    pub fn request(&self, record: &Record) {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            buffer.extend_from_slice(b"{\"level\":\"info\",\"time\":\"");
            let ended = Duration::from_micros(record.started_us.saturating_add(record.took_us));
            super::clock::write_rfc3339(SystemTime::UNIX_EPOCH + ended, buffer);
            buffer.extend_from_slice(b"\",");
            access_log::render_members(record, buffer);
            buffer.extend_from_slice(b"}\n");
            self.push(buffer);
        });
    }

    /// Waits until everything is written, at most half a second: before the process exits.
    pub fn flush(&self) {
        for _ in 0..500 {
            let empty = self.lines.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
            if empty && !self.writing.load(Ordering::Acquire) {
                return;
            }
            self.wake.notify_one();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn push(&self, line: &[u8]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len().saturating_add(line.len()) > Self::LIMIT {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        lines.extend_from_slice(line);
        drop(lines);
        if self.sleeping.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Writes for ever. Errors of the output end nothing: the log may come back.
    fn write_all(&self, mut output: impl Write) {
        let mut batch = Vec::new();
        loop {
            {
                let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                while lines.is_empty() {
                    self.sleeping.store(true, Ordering::Release);
                    lines = self.wake.wait(lines).unwrap_or_else(PoisonError::into_inner);
                }
                self.writing.store(true, Ordering::Release);
            }
            std::thread::sleep(Self::GATHER);
            std::mem::swap(&mut batch, &mut self.lines.lock().unwrap_or_else(PoisonError::into_inner));
            let _ = output.write_all(&batch);
            let _ = output.flush();
            batch.clear();
            // A burst must not hold its memory for ever.
            batch.shrink_to(64 * 1024);
            self.writing.store(false, Ordering::Release);
        }
    }
}

/// Starts the log. Called once, before anything is logged.
///
/// # Errors
/// The writing thread could not be started, or a logger is set already.
pub fn start(levels: Levels, style: Style) -> io::Result<Arc<Sink>> {
    let sink = Arc::new(Sink {
        lines: Mutex::default(),
        wake: Condvar::new(),
        sleeping: AtomicBool::new(false),
        writing: AtomicBool::new(false),
        dropped: AtomicU64::new(0),
        style,
    });
    let writer = Arc::clone(&sink);
    std::thread::Builder::new()
        .name("log".to_owned())
        .stack_size(64 * 1024)
        .spawn(move || writer.write_all(io::stderr()))?;
    let mut builder = env_logger::Builder::new();
    // What is logged is decided before: at run time, see `levels`.
    builder.filter_level(LevelFilter::Trace);
    builder.target(env_logger::Target::Pipe(Box::new(Lines(Arc::clone(&sink)))));
    match style {
        Style::Json => builder.format(json_line),
        Style::Pretty => builder.format(pretty_line),
    };
    log::set_boxed_logger(Box::new(Leveled(builder.build()))).map_err(io::Error::other)?;
    levels::put(levels);
    Ok(sink)
}

/// Writes what the levels in force allow.
struct Leveled(env_logger::Logger);

impl Log for Leveled {
    fn enabled(&self, line: &Metadata<'_>) -> bool {
        levels::allowed(line)
    }

    fn log(&self, line: &log::Record<'_>) {
        if self.enabled(line.metadata()) {
            self.0.log(line);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

struct Lines(Arc<Sink>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn json_line(out: &mut env_logger::fmt::Formatter, record: &log::Record<'_>) -> io::Result<()> {
    if record.target() == events::EVENT {
        let (level, time) = (level_name(record.level()), out.timestamp_millis());
        return writeln!(out, "{{\"level\":\"{level}\",\"time\":\"{time}\",{}}}", record.args());
    }
    let line = serde_json::json!({
        "level": level_name(record.level()),
        "time": out.timestamp_millis().to_string(),
        "msg": record.args().to_string(),
        "target": record.target(),
    });
    writeln!(out, "{line}")
}

fn pretty_line(out: &mut env_logger::fmt::Formatter, record: &log::Record<'_>) -> io::Result<()> {
    let time = out.timestamp_millis().to_string();
    let clock = time.get(11..23).unwrap_or(&time).to_owned();
    if record.target() == REQUEST {
        let text = record.args().to_string();
        return writeln!(out, "{clock} {}", access_log::for_people(&text).unwrap_or(text));
    }
    let text = record.args().to_string();
    let told = (record.target() == events::EVENT).then(|| events::for_people(&text)).flatten();
    writeln!(out, "{clock} {:5} {}", record.level(), told.unwrap_or(text))
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}
