//! TLS by rustls, from two PEM files.
