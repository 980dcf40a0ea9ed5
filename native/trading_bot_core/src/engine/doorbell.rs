//! What the engine's thread sleeps on: a bell that other threads ring, together with the order sockets.
//!
//! Ringing costs a system call only while the engine sleeps; awake, it looks at its queues anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

/// Cheap to clone; every thread that puts something into a queue of the engine holds one.
#[derive(Clone)]
pub struct Doorbell(Arc<Inner>);

struct Inner {
    is_asleep: AtomicBool,
    bell: imp::Bell,
}

impl Doorbell {
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            is_asleep: AtomicBool::new(false),
            bell: imp::Bell::new()?,
        })))
    }

    /// Wakes the engine's thread if it sleeps. Call after the queue was filled.
    pub fn ring(&self) {
        // The queue's write must be seen before the flag is read: the sleeper looks at both the other way round.
        fence(Ordering::SeqCst);
        if self.0.is_asleep.load(Ordering::Relaxed)
            && self.0.is_asleep.swap(false, Ordering::AcqRel)
        {
            self.0.bell.ring();
        }
    }

    /// Sleeps until rung, until one of `sockets` (descriptor, waits to write) is ready, or for `most`; not at all when
    /// `has_work` is true once the flag is set. `sockets` then tells which have news. For the engine's thread alone.
    pub fn wait(&self, sockets: &mut Sockets, most: Duration, has_work: impl FnOnce() -> bool) {
        self.0.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let most = if has_work() { Duration::ZERO } else { most };
        if !most.is_zero() || !sockets.is_empty() {
            self.0.bell.wait(sockets, most);
        }
        self.0.is_asleep.store(false, Ordering::Release);
    }
}

pub use imp::Sockets;

#[cfg(unix)]
mod imp {
    use std::fs::File;
    use std::io::{Read, Write};
    #[cfg(target_os = "linux")]
    use std::os::fd::FromRawFd;
    use std::os::fd::{AsRawFd, RawFd};
    use std::time::Duration;

    /// The order sockets of one nap; the bell is added by `wait`.
    #[derive(Default)]
    pub struct Sockets(Vec<libc::pollfd>);

    impl Sockets {
        pub fn fill(&mut self, descriptors: impl Iterator<Item = (RawFd, bool)>) {
            self.0.clear();
            self.0
                .extend(descriptors.map(|(fd, waits_to_write)| libc::pollfd {
                    fd,
                    events: if waits_to_write {
                        libc::POLLIN | libc::POLLOUT
                    } else {
                        libc::POLLIN
                    },
                    revents: 0,
                }));
        }

        pub fn is_empty(&self) -> bool {
            self.0.is_empty()
        }

        /// The places, in the order of `fill`, of those that have news.
        pub fn named(&self) -> impl Iterator<Item = usize> + '_ {
            let sockets = self.0.iter().enumerate();
            sockets.filter_map(|(at, socket)| (socket.revents != 0).then_some(at))
        }
    }

    pub struct Bell {
        ringer: File,
        sleeper: File,
    }

    impl Bell {
        pub fn new() -> std::io::Result<Self> {
            let (ringer, sleeper) = pair()?;
            Ok(Self { ringer, sleeper })
        }

        pub fn ring(&self) {
            // A full bell is no error: then a ring is already waiting.
            let _ = (&self.ringer).write(&1_u64.to_ne_bytes());
        }

        pub fn wait(&self, sockets: &mut Sockets, most: Duration) {
            sockets.0.push(libc::pollfd {
                fd: self.sleeper.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            });
            poll(&mut sockets.0, most);
            let bell = sockets.0.pop();
            if bell.is_some_and(|bell| bell.revents != 0) {
                let mut bytes = [0; 8];
                // One ring a sleep at the most; what is left wakes the next sleep for nothing.
                let _ = (&self.sleeper).read(&mut bytes);
            }
        }
    }

    /// One counter for both ends. A socket would say "I am about to sleep" for the ringer, and the scheduler would put
    /// the engine on the ringer's core, before whatever the ringer still has to do.
    #[cfg(target_os = "linux")]
    fn pair() -> std::io::Result<(File, File)> {
        // SAFETY: a call without pointers; the descriptor it returns belongs to nobody else.
        let sleeper = unsafe {
            let descriptor = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
            if descriptor < 0 {
                return Err(std::io::Error::last_os_error());
            }
            File::from_raw_fd(descriptor)
        };
        Ok((sleeper.try_clone()?, sleeper))
    }

    #[cfg(not(target_os = "linux"))]
    fn pair() -> std::io::Result<(File, File)> {
        let (ringer, sleeper) = std::os::unix::net::UnixStream::pair()?;
        ringer.set_nonblocking(true)?;
        sleeper.set_nonblocking(true)?;
        Ok((
            File::from(std::os::fd::OwnedFd::from(ringer)),
            File::from(std::os::fd::OwnedFd::from(sleeper)),
        ))
    }

    #[cfg(target_os = "linux")]
    fn poll(sockets: &mut [libc::pollfd], most: Duration) {
        let most = libc::timespec {
            tv_sec: most.as_secs() as _,
            tv_nsec: most.subsec_nanos().into(),
        };
        // SAFETY: the slice outlives the call and its length is stated; a null mask changes no signals. An interrupted
        // poll is an early end of the nap, which is harmless.
        unsafe {
            libc::ppoll(
                sockets.as_mut_ptr(),
                sockets.len() as _,
                &raw const most,
                std::ptr::null(),
            );
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn poll(sockets: &mut [libc::pollfd], most: Duration) {
        let most = most.as_nanos().div_ceil(1_000_000);
        // SAFETY: as above.
        unsafe {
            libc::poll(sockets.as_mut_ptr(), sockets.len() as _, most as _);
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::time::Duration;

    use parking_lot::{Condvar, Mutex};

    /// There are none to poll here.
    #[derive(Default)]
    pub struct Sockets;

    impl Sockets {
        pub fn is_empty(&self) -> bool {
            true
        }

        pub fn named(&self) -> impl Iterator<Item = usize> {
            std::iter::empty()
        }
    }

    pub struct Bell {
        is_rung: Mutex<bool>,
        condition: Condvar,
    }

    impl Bell {
        pub fn new() -> std::io::Result<Self> {
            Ok(Self {
                is_rung: Mutex::new(false),
                condition: Condvar::new(),
            })
        }

        pub fn ring(&self) {
            *self.is_rung.lock() = true;
            self.condition.notify_one();
        }

        pub fn wait(&self, _sockets: &mut Sockets, most: Duration) {
            let mut is_rung = self.is_rung.lock();
            if !*is_rung {
                self.condition.wait_for(&mut is_rung, most);
            }
            *is_rung = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn nothing_put_into_a_queue_is_slept_over() {
        const COUNT: u64 = 20_000;
        let bell = Doorbell::new().expect("descriptors");
        let queue = Arc::new(AtomicU64::new(0));
        let (ringer, filled) = (bell.clone(), Arc::clone(&queue));
        let sender = std::thread::spawn(move || {
            for _ in 0..COUNT {
                filled.fetch_add(1, Ordering::Relaxed);
                ringer.ring();
            }
        });
        let (mut sockets, mut taken) = (Sockets::default(), 0);
        while taken < COUNT {
            let most = Duration::from_secs(30);
            bell.wait(&mut sockets, most, || {
                queue.load(Ordering::Relaxed) != taken
            });
            taken = queue.load(Ordering::Relaxed);
        }
        sender.join().expect("the sender ends");
    }
}
