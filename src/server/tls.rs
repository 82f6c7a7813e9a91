//! The certificate of the TLS listener, read anew when its files change.
//!
//! Looked at when a connection comes, at most once a second: renewals need no signal and no restart. Files that
//! cannot be read leave the certificate that was there.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate chain with its key, and where they are kept.
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
    /// When the files were written that `current` was read from.
    written: Mutex<Written>,
    started: Instant,
    /// Seconds after `started` of the last look.
    looked: AtomicU64,
}

type Written = (Option<SystemTime>, Option<SystemTime>);

impl Certificate {
    /// Reads PEM files: the chain with the server's own certificate first, and its private key.
    ///
    /// # Errors
    /// A file cannot be read or holds no such thing; the message names it.
    pub fn read(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> io::Result<Self> {
        let (cert, key) = (cert.into(), key.into());
        let written = written(&cert, &key);
        let current = ArcSwap::from_pointee(load(&cert, &key)?);
        let written = Mutex::new(written);
        Ok(Self { cert, key, current, written, started: Instant::now(), looked: AtomicU64::new(0) })
    }

    /// Reads the files again when they have changed.
    fn renew(&self) {
        let now = written(&self.cert, &self.key);
        let mut known = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == now {
            return;
        }
        match load(&self.cert, &self.key) {
            Ok(fresh) => {
                self.current.store(Arc::new(fresh));
                log::info!("the TLS certificate {} was read anew", self.cert.display());
            }
            Err(error) => log::error!("the changed TLS certificate is not used: {error}"),
        }
        *known = now;
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Certificate").field("cert", &self.cert).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let second = self.started.elapsed().as_secs().saturating_add(1);
        if self.looked.swap(second, Ordering::Relaxed) != second {
            self.renew();
        }
        Some(self.current.load_full())
    }
}

fn written(cert: &Path, key: &Path) -> Written {
    let time = |path: &Path| std::fs::metadata(path).and_then(|about| about.modified()).ok();
    (time(cert), time(key))
}

fn load(cert: &Path, key: &Path) -> io::Result<CertifiedKey> {
    let named = |path: &Path, what: &str, error: &dyn fmt::Display| {
        io::Error::other(format!("{}: {what}: {error}", path.display()))
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| named(cert, "no certificate in PEM form", &error))?;
    if chain.is_empty() {
        return Err(named(cert, "no certificate in PEM form", &"the file holds none"));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| named(key, "no private key in PEM form", &error))?;
    let signing =
        any_supported_type(&private).map_err(|error| named(key, "the key cannot be used", &error))?;
    let pair = CertifiedKey::new(chain, signing);
    pair.keys_match().map_err(|error| named(key, "the key does not belong to the certificate", &error))?;
    Ok(pair)
}
