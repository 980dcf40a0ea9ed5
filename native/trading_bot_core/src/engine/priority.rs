//! What the engine's thread asks of the scheduler: to run at once when something has come for it.
//!
//! It works for microseconds and then sleeps, so that the preference takes nothing from others; but after an order's
//! request has left, everybody else on the core would otherwise run before its answer is read. Where the system does not
//! allow it nothing changes and nobody is told.

/// Asks for preference over ordinary threads, and on Linux 6.12 and newer for short turns, for which the scheduler picks
/// a woken thread first.
pub fn prefer_this_thread() {
    imp::prefer();
}

#[cfg(target_os = "linux")]
mod imp {
    /// Allowed to root and where `ulimit -e` is at least 30.
    const NICE: i32 = -10;
    /// Longer than an order's whole way through this thread, which must not be cut in two.
    const TURN_NS: u64 = 500_000;
    /// `SCHED_FLAG_RESET_ON_FORK` of the kernel's interface.
    const RESET_ON_FORK: u64 = 0x01;

    pub fn prefer() {
        // SAFETY: the calls get a structure of the stated size that outlives them; zero names the calling thread.
        unsafe {
            let mut wish: libc::sched_attr = std::mem::zeroed();
            let size = size_of::<libc::sched_attr>() as u32;
            if libc::syscall(libc::SYS_sched_getattr, 0, &raw mut wish, size, 0) != 0 {
                return;
            }
            wish.size = size;
            wish.sched_runtime = TURN_NS;
            // Whom this thread starts, such as the one that syncs the journal, has no order to be ahead of.
            wish.sched_flags |= RESET_ON_FORK;
            for nice in [NICE, wish.sched_nice] {
                wish.sched_nice = nice;
                if libc::syscall(libc::SYS_sched_setattr, 0, &raw const wish, 0) == 0 {
                    return;
                }
            }
        }
    }
}

#[cfg(windows)]
mod imp {
    use std::ffi::c_void;

    const THREAD_PRIORITY_HIGHEST: i32 = 2;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetCurrentThread() -> *mut c_void;
        fn SetThreadPriority(thread: *mut c_void, priority: i32) -> i32;
    }

    pub fn prefer() {
        // SAFETY: the handle stands for the calling thread and needs no closing.
        unsafe {
            SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_HIGHEST);
        }
    }
}

#[cfg(target_os = "macos")]
mod imp {
    pub fn prefer() {
        // SAFETY: it changes the calling thread's own class and takes no memory of ours.
        unsafe {
            libc::pthread_set_qos_class_self_np(libc::qos_class_t::QOS_CLASS_USER_INTERACTIVE, 0);
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod imp {
    pub fn prefer() {}
}
