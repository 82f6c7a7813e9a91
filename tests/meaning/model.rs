//! A server of embeddings as a child process: all-MiniLM-L6-v2 behind OpenAI's path, made by `tests/cache/minilm`.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::client::{Connection, Request};

/// It ends with this process: its standard input does.
pub struct Model {
    _child: Child,
    pub port: u16,
}

/// The one server of all tests.
pub fn shared() -> &'static Model {
    static SHARED: OnceLock<Model> = OnceLock::new();
    SHARED.get_or_init(Model::start)
}

impl Model {
    fn start() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cache/minilm");
        let installed = Command::new("sh").arg(folder.join("install.sh")).stderr(Stdio::inherit()).output();
        let installed = installed.expect("a shell");
        assert!(
            installed.status.success(),
            "the model could not be installed: see tests/cache/minilm/install.sh"
        );
        let python = String::from_utf8(installed.stdout).expect("a path");
        let mut child = Command::new(python.trim())
            .arg(folder.join("server.py"))
            // One thread of arithmetic for each question: several are asked at once.
            .envs([("OPENBLAS_NUM_THREADS", "1"), ("OMP_NUM_THREADS", "1")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the model's server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("its first line");
        let port = line.trim().parse().expect("a port");
        Self { _child: child, port }
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// What it answers to a request for embeddings, as it came.
    pub fn answer(&self, body: &Value) -> Value {
        let mut connection = Connection::open(self.address()).expect("the model's server accepts");
        let answer = connection.ask(&Request::json("/v1/embeddings", body)).expect("an answer");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()
    }

    /// The vectors of these texts, of length 1.
    pub fn embed(&self, texts: &[&str]) -> Vec<Vec<f64>> {
        let answer = self.answer(&json!({"model": "minilm", "input": texts}));
        let vector = |item: &Value| {
            item["embedding"].as_array().expect("numbers").iter().filter_map(Value::as_f64).collect()
        };
        answer["data"].as_array().expect("vectors").iter().map(vector).collect()
    }
}
