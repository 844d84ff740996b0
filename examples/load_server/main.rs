//! A server to measure with: OpenAI's protocol on loopback, a fixed time for each request, on request a bad day.
//!
//! `load_server [--port N] [--latency-ms N] [--faults SEED] [--log]`; `GET /log` gives each request as a line: id, how many
//! of this id came before, arrival and end in microseconds since the start, the wait that was asked for, and what it met.
#![allow(clippy::print_stdout, reason = "the address is what it has to say")]

mod faults;
mod server;
mod wire;

use std::time::Duration;

use tokio::net::TcpListener;

use server::{Server, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings { latency: Duration::from_millis(50), faults: None, logs: false };
    let (mut port, mut words) = (0_u16, std::env::args().skip(1));
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--port" => port = value()?.parse()?,
            "--latency-ms" => settings.latency = Duration::from_millis(value()?.parse()?),
            "--faults" => settings.faults = Some(value()?.parse()?),
            "--log" => settings.logs = true,
            _ => return Err(format!("unknown argument {word}").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("http://{}", listener.local_addr()?);
        Server::new(settings).serve(listener).await?;
        Ok(())
    })
}
