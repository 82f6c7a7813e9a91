//! Inner requests through a whole gateway that listens nowhere.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::inner::{Purpose, Ticket};
use crate::telemetry::{levels::Levels, logger, logger::Style};

/// A provider that answers every request with `answer`, and tells what it was asked.
fn provider(answer: Value) -> (SocketAddr, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut head, mut length) = (String::new(), String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&line);
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            drop(tell.send((head, serde_json::from_slice(&body).unwrap())));
            let answer = answer.to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
        }
    });
    (address, told)
}

fn shared(folder: &std::path::Path, provider: SocketAddr) -> (Shared, Gate) {
    let config = json!({
        "client": {"enforce_governance_header": true},
        "providers": {"openai": {
            "keys": [{"name": "k", "value": "sk-1", "weight": 1}],
            "network_config": {"base_url": format!("http://{provider}")},
        }},
    });
    let file = folder.join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let holder = Arc::new(ConfigHolder::open(Origin::File(file), Environment::Real).unwrap());
    let options = Serve { app_dir: Some(folder.to_owned()), ..Serve::default() };
    let log = logger::start(Levels::default(), Style::Json).unwrap();
    let gateway = gateway(&holder, &options, &log).unwrap();
    let shared = Shared { gateway, life: Arc::default(), farewell: Arc::default(), pid_file: PidFile(None) };
    let settings = holder.server().clone();
    let server = Server::new_with_opt_and_conf(None, pingora_conf(&settings, &options));
    let service = service(&shared, &settings, &server);
    (shared, service)
}

#[test]
fn an_inner_request_goes_the_whole_way_without_a_virtual_key_of_its_own() {
    let vector = json!({"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0,
        "embedding": [0.6, 0.8]}], "usage": {"prompt_tokens": 3, "total_tokens": 3}});
    let (address, asked) = provider(vector);
    let folder = tempfile::tempdir().unwrap();
    let (shared, _service) = shared(folder.path(), address);
    let ticket = Ticket {
        caller: None,
        purpose: Purpose::Embedding,
        parent: "parent-1".into(),
        trace: None,
        depth: 0,
    };
    let body = json!({"model": "openai/text-embedding-3-small", "input": "hello"}).to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (status, headers, body) = runtime.block_on(async {
        let inner = &shared.gateway.inner;
        let answer = inner.post("/v1/embeddings", HeaderMap::new(), body.into(), ticket).await.unwrap();
        (answer.status(), answer.head.headers.clone(), answer.whole(1 << 20).await.unwrap())
    });
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["data"][0]["embedding"], json!([0.6, 0.8]));
    assert!(headers.contains_key("x-request-id"));
    let (head, body) = asked.recv().unwrap();
    assert!(head.to_ascii_lowercase().contains("authorization: bearer sk-1"), "{head}");
    assert!(!head.contains("parent"), "{head}");
    assert_eq!((&body["model"], &body["input"]), (&json!("text-embedding-3-small"), &json!("hello")));
}
