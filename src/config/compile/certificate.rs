//! PEM to DER, checked, so that nothing behind the snapshot meets a certificate it cannot read.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::Compiler;
use crate::config::document::At;
use crate::config::problem::Problem;

/// The certificates of a PEM text; problems are noted.
pub(super) fn read(compiler: &mut Compiler<'_>, pointer: &str, pem: Option<&str>) -> Vec<Vec<u8>> {
    let Some(pem) = pem.filter(|text| !text.trim().is_empty()) else { return Vec::new() };
    let mut found = Vec::new();
    for (index, section) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        match section {
            Ok(der) if is_certificate(&der) => found.push(der.to_vec()),
            Ok(_) => {
                compiler.problem(
                    pointer,
                    At::Value,
                    format!("certificate {} of the PEM text is damaged", index + 1),
                );
                return Vec::new();
            }
            Err(_) => {
                compiler.problem(pointer, At::Value, "the PEM text is damaged");
                return Vec::new();
            }
        }
    }
    if found.is_empty() {
        let problem = compiler.document.problem(pointer, At::Value, "the PEM text has no certificate");
        let advice = "write the text from -----BEGIN CERTIFICATE----- on, or \"file:PATH\"";
        compiler.push(pointer, Problem::suggest(problem, advice));
    }
    found
}

/// Read by the parser the TLS layer uses later, which must not meet there what it cannot read.
fn is_certificate(der: &[u8]) -> bool {
    x509_parser::parse_x509_certificate(der).is_ok_and(|(rest, _)| rest.is_empty())
}
