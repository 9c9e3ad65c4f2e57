//! What `getaddrinfo(3)` calls its errors.

/// The codes that say that the name does not exist, or has no address.
#[cfg(unix)]
pub(super) const NO_SUCH_NAME: &[i32] = &[
    libc::EAI_NONAME,
    // EAI_NODATA: <netdb.h> of glibc and Bionic, not in POSIX. Musl has no such code.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    EAI_NODATA,
];

#[cfg(target_os = "linux")]
const EAI_NODATA: i32 = -5;
#[cfg(target_os = "android")]
const EAI_NODATA: i32 = 7;

/// The text of a code, in the process's locale.
#[cfg(unix)]
#[allow(unsafe_code)]
pub(super) fn text(code: i32) -> Option<&'static [u8]> {
    use std::ffi::CStr;

    // SAFETY: gai_strerror takes any code, and is thread-safe (`gai_strerror(3)`, "ATTRIBUTES").
    let text = unsafe { libc::gai_strerror(code) };
    if text.is_null() {
        return None;
    }
    // SAFETY: it is a NUL-terminated string of the C library's, or of its message catalogue, that
    // nobody frees. std reads it in the same way, and no later than we do.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// Windows has codes of its own for these (WSAHOST_NOT_FOUND).
#[cfg(not(unix))]
pub(super) const NO_SUCH_NAME: &[i32] = &[];

#[cfg(not(unix))]
pub(super) fn text(_code: i32) -> Option<&'static [u8]> {
    None
}
