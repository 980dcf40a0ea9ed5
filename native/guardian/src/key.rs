//! The global key: cancels and flattens everything from whatever window has the focus, a frozen one of ours included.
//!
//! X11 by a passive grab over the X socket, Windows by `RegisterHotKey`. Wayland gives no program such a key: there, and
//! elsewhere, the desktop's own settings bind a key to `pitdesk kill --yes`.

use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::tell::Teller;
use crate::watch::News;

/// A parsed key such as `ctrl+alt+shift+k`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chord {
    pub held: Vec<Modifier>,
    pub key: Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modifier {
    Shift,
    Ctrl,
    Alt,
    Super,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A lower-case letter or a digit.
    Character(u8),
    /// F1 to F24.
    Function(u8),
    Pause,
    End,
}

impl Chord {
    /// Reads names joined by `+`; `None` when one is not known or no modifier guards a character.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let mut names = text.split('+').map(str::trim).rev();
        let key = key_of(names.next()?)?;
        let held: Vec<Modifier> = names.map(modifier_of).collect::<Option<_>>()?;
        let is_guarded = held.iter().any(|modifier| *modifier != Modifier::Shift);
        (is_guarded || !matches!(key, Key::Character(_))).then_some(Self { held, key })
    }

    /// The sum of the numbers that a system gives the modifiers held.
    fn mask<T: std::iter::Sum>(&self, number: impl Fn(Modifier) -> T) -> T {
        self.held.iter().map(|modifier| number(*modifier)).sum()
    }
}

fn modifier_of(name: &str) -> Option<Modifier> {
    match name {
        "shift" => Some(Modifier::Shift),
        "ctrl" | "control" => Some(Modifier::Ctrl),
        "alt" => Some(Modifier::Alt),
        "super" | "meta" | "win" => Some(Modifier::Super),
        _ => None,
    }
}

fn key_of(name: &str) -> Option<Key> {
    match (name, name.as_bytes()) {
        ("pause", _) => Some(Key::Pause),
        ("end", _) => Some(Key::End),
        (_, [one]) if one.is_ascii_lowercase() || one.is_ascii_digit() => {
            Some(Key::Character(*one))
        }
        (_, [b'f', ..]) => {
            let number: u8 = name[1..].parse().ok()?;
            (1..=24).contains(&number).then_some(Key::Function(number))
        }
        _ => None,
    }
}

/// Presses of the key, from a thread of its own. An empty text means none; why there is none otherwise is told.
pub fn listen(text: &str, teller: &Teller) -> Receiver<()> {
    let (pressed, presses) = channel(1);
    if text.is_empty() {
        std::mem::forget(pressed);
        return presses;
    }
    let (text, teller) = (text.to_owned(), teller.clone());
    std::thread::spawn(move || {
        let why = match Chord::parse(&text) {
            Some(chord) => system::wait(&chord, &pressed).err(),
            None => Some("it is no key with a modifier, such as ctrl+alt+shift+k".to_owned()),
        };
        if let Some(why) = why {
            teller.tell(&News {
                code: "no_global_key",
                level: "info",
                text: format!("The global kill key {text} is off: {why}. Bind `pitdesk kill --yes` in the desktop's settings."),
                more: Value::Null,
            });
        }
        // The receiver is asked for ever; a closed channel would be ready each time.
        std::mem::forget(pressed);
    });
    presses
}

/// Hands one press over; more of them while one waits mean the same.
fn press(pressed: &Sender<()>) {
    let _ = pressed.try_send(());
}

#[cfg(all(unix, not(target_os = "macos")))]
mod system {
    use tokio::sync::mpsc::Sender;
    use x11rb::connection::Connection;
    use x11rb::protocol::Event;
    use x11rb::protocol::xproto::{ConnectionExt, GrabMode, ModMask};

    use super::{Chord, Key, Modifier, press};

    /// Grabs the key and passes its presses on; returns why it cannot, or cannot any longer.
    pub fn wait(chord: &Chord, pressed: &Sender<()>) -> Result<(), String> {
        if std::env::var_os("WAYLAND_DISPLAY").is_some() {
            return Err("Wayland gives no program a global key".to_owned());
        }
        let (connection, screen) =
            x11rb::connect(None).map_err(|error| format!("there is no X display ({error})"))?;
        let root = connection.setup().roots[screen].root;
        let code = keycode(&connection, chord.key).ok_or("this keyboard has no such key")?;
        let wanted: u16 = chord.mask(|modifier| match modifier {
            Modifier::Shift => 1,
            Modifier::Ctrl => 4,
            Modifier::Alt => 8,
            Modifier::Super => 64,
        });
        // Caps Lock and Num Lock are modifiers to X; the key must work whatever they are.
        for locks in [0, 2, 16, 18] {
            let mask = ModMask::from(wanted | locks);
            connection
                .grab_key(true, root, mask, code, GrabMode::ASYNC, GrabMode::ASYNC)
                .map_err(|error| error.to_string())?
                .check()
                .map_err(|_| "another program has taken it".to_owned())?;
        }
        loop {
            let event = connection
                .wait_for_event()
                .map_err(|error| format!("the display is gone ({error})"))?;
            if let Event::KeyPress(event) = event
                && event.detail == code
            {
                press(pressed);
            }
        }
    }

    fn keycode(connection: &impl Connection, key: Key) -> Option<u8> {
        let keysym = match key {
            Key::Character(letter) => u32::from(letter),
            Key::Function(number) => 0xffbd + u32::from(number),
            Key::Pause => 0xff13,
            Key::End => 0xff57,
        };
        let setup = connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let map = connection
            .get_keyboard_mapping(first, last - first + 1)
            .ok()?
            .reply()
            .ok()?;
        let each = usize::from(map.keysyms_per_keycode).max(1);
        let place = map
            .keysyms
            .chunks(each)
            .position(|keysyms| keysyms.first() == Some(&keysym))?;
        u8::try_from(usize::from(first) + place).ok()
    }
}

#[cfg(windows)]
mod system {
    use tokio::sync::mpsc::Sender;

    use super::{Chord, Key, Modifier, press};

    const WM_HOTKEY: u32 = 0x0312;
    const MOD_NOREPEAT: u32 = 0x4000;

    #[repr(C)]
    #[derive(Default)]
    struct Message {
        window: usize,
        message: u32,
        wparam: usize,
        lparam: isize,
        time: u32,
        point: [i32; 2],
    }

    #[link(name = "user32")]
    unsafe extern "system" {
        fn RegisterHotKey(window: usize, id: i32, modifiers: u32, key: u32) -> i32;
        fn GetMessageW(message: *mut Message, window: usize, first: u32, last: u32) -> i32;
    }

    /// Registers the key for this thread and passes its presses on; returns why it cannot.
    pub fn wait(chord: &Chord, pressed: &Sender<()>) -> Result<(), String> {
        let held: u32 = chord.mask(|modifier| match modifier {
            Modifier::Alt => 1,
            Modifier::Ctrl => 2,
            Modifier::Shift => 4,
            Modifier::Super => 8,
        });
        let key = match chord.key {
            Key::Character(letter) => u32::from(letter.to_ascii_uppercase()),
            Key::Function(number) => 0x6f + u32::from(number),
            Key::Pause => 0x13,
            Key::End => 0x23,
        };
        // SAFETY: plain values; the key belongs to this thread, which reads its messages below.
        if unsafe { RegisterHotKey(0, 1, held | MOD_NOREPEAT, key) } == 0 {
            return Err("another program has taken it".to_owned());
        }
        let mut message = Message::default();
        // SAFETY: the message is a valid place for the one that is read.
        while unsafe { GetMessageW(&raw mut message, 0, 0, 0) } > 0 {
            if message.message == WM_HOTKEY {
                press(pressed);
            }
        }
        Err("the message queue has ended".to_owned())
    }
}

#[cfg(not(any(windows, all(unix, not(target_os = "macos")))))]
mod system {
    use tokio::sync::mpsc::Sender;

    use super::Chord;

    pub fn wait(_chord: &Chord, _pressed: &Sender<()>) -> Result<(), String> {
        Err("this system gives no program a global key".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chords_are_read_or_refused() {
        let chord = Chord::parse("Ctrl+Alt+Shift+K").expect("a chord");
        assert_eq!(chord.held, [Modifier::Shift, Modifier::Alt, Modifier::Ctrl]);
        assert_eq!(chord.key, Key::Character(b'k'));
        assert_eq!(Chord::parse("pause").map(|c| c.key), Some(Key::Pause));
        assert_eq!(
            Chord::parse("super+f12").map(|c| c.key),
            Some(Key::Function(12))
        );
        for wrong in ["k", "shift+k", "ctrl+", "hyper+k", "f25", ""] {
            assert_eq!(Chord::parse(wrong), None, "{wrong}");
        }
    }
}
