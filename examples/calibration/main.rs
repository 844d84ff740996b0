//! How often the gate is wrong: every table by simulation with the gate's own code path, seeded.
//!
//! `cargo run --release --example calibration [-- SCALE]` prints docs/calibration.md; SCALE multiplies the number of
//! simulated runs (1 gives the committed tables).

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

mod draw;
mod gate;
mod study;

/// What stands above the tables.
const INTRODUCTION: &str = "How often the gate is wrong, by simulation with its own code path (`gate::judge_loss`, `gate::judge_losses`, \
`gate::Course`), seeded. This file is what `cargo run --release --example calibration > docs/calibration.md` prints; the command \
ends with 1 if a bound is broken.\n";

fn main() -> std::process::ExitCode {
    let scale: f64 = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(1.0);
    let began = std::time::Instant::now();
    let studies = [study::independent, study::recovery, study::clustered, study::sequential, study::identical, study::power];
    println!("# Calibration\n\n{INTRODUCTION}");
    let mut kept = true;
    for study in studies {
        let study::Table { text, holds } = study(scale);
        println!("{text}");
        kept &= holds;
    }
    eprintln!("{:.1} s; every bound {}", began.elapsed().as_secs_f64(), if kept { "holds" } else { "does NOT hold" });
    std::process::ExitCode::from(u8::from(!kept))
}
