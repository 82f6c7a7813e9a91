//! Certificates of the TLS tests, made once by `certs/make.sh`.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The CA that signed all of them.
pub const CA: &str = include_str!("certs/ca.pem");

/// A server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// For `localhost`.
    Good,
    /// For another name.
    WrongName,
    /// For `localhost`, until 2021.
    Expired,
}

impl Leaf {
    /// A server's settings with this certificate.
    pub fn server(self) -> Arc<ServerConfig> {
        let pem: &[u8] = match self {
            Self::Good => include_bytes!("certs/good.pem"),
            Self::WrongName => include_bytes!("certs/wrong-name.pem"),
            Self::Expired => include_bytes!("certs/expired.pem"),
        };
        let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().expect("certificate");
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("certs/leaf.key")).expect("key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("certificate and key fit");
        Arc::new(config)
    }
}
