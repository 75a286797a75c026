//! What a script says by `console` and `logger`: collected, bounded, and handed to whoever drives it.

use std::cell::RefCell;
use std::rc::Rc;

use rquickjs::function::{Func, Rest};
use rquickjs::{Ctx, Object, Value};

use crate::error::shortened;
use crate::thrown;

/// Lines that are kept of one step. What follows is counted.
const LINES: usize = 200;

/// Characters of one line.
const LINE: usize = 2_000;

/// One line of a script's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// At most 2,000 characters.
    pub text: String,
}

/// What a step has said so far.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: Vec<Line>,
    left_out: usize,
}

impl Log {
    /// Whether there is room for another line; where not, it is counted.
    fn has_room(&mut self) -> bool {
        let room = self.lines.len() < LINES;
        self.left_out += usize::from(!room);
        room
    }

    /// The lines since the last time; the last one says how many were left out.
    pub(crate) fn take(&mut self) -> Vec<Line> {
        let mut lines = std::mem::take(&mut self.lines);
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            let text = format!("{left_out} more lines");
            lines.push(Line {
                level: "warn",
                text,
            });
        }
        lines
    }
}

/// An object whose functions write to the log. The console's and the logger's names, so that one serves as both.
pub(crate) fn object<'js>(ctx: &Ctx<'js>, log: &Rc<RefCell<Log>>) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    for (name, level) in [
        ("trace", "debug"),
        ("debug", "debug"),
        ("log", "info"),
        ("info", "info"),
        ("warn", "warn"),
        ("error", "error"),
        ("fatal", "error"),
    ] {
        let log = Rc::clone(log);
        let say = move |ctx: Ctx<'js>, said: Rest<Value<'js>>| {
            // What nobody will read is not put into words.
            if !log.borrow_mut().has_room() {
                return;
            }
            let mut text = String::new();
            for value in &said.0 {
                if text.len() > LINE * 4 {
                    break;
                }
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&thrown::shown(&ctx, value));
            }
            let text = shortened(&text, LINE);
            // Putting it into words may have logged in turn.
            let mut log = log.borrow_mut();
            if log.has_room() {
                log.lines.push(Line { level, text });
            }
        };
        object.set(name, Func::from(say))?;
    }
    Ok(object)
}
