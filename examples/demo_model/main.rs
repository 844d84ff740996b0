//! Makes the demonstration model: its vocabulary, its training corpus, its weights.
mod corpus;
mod families;
mod tokenizer;
use std::path::Path;
fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let args: Vec<String> = std::env::args().collect();
    match args[1].as_str() {
        "tokenizer" => tokenizer::train(Path::new(&args[2]), 1, 60_000),
        "corpus" => {
            let tk = tokenizers::Tokenizer::from_file(&args[2])?;
            let rows = corpus::write(Path::new(&args[3]), &tk, 1, args[4].parse()?)?;
            println!("{rows} rows");
            Ok(())
        }
        "show" => {
            let mut rng = families::Draw::new(5, 0);
            let tk = tokenizers::Tokenizer::from_file(&args[2])?;
            for (f, _) in families::FAMILIES {
                let mut tot = 0;
                let mut cnt = 0;
                for i in 0..500 {
                    let e = families::draw(f, &mut rng, 0.0);
                    for (t, c) in e.segments() {
                        let e = tk.encode(t, false)?;
                        tot += e.len();
                        if c {
                            cnt += e.len();
                        }
                    }
                    if i < 3 {
                        println!("{f} {} {} {:?} {:?}", e.slice, e.held_out, e.segments(), e.options);
                    }
                    if i < 1 {
                        for (t, _) in e.segments() {
                            print!("{:?} ", tk.encode(t, false)?.get_tokens());
                        }
                        println!();
                    }
                }
                println!("== {f}: {} tokens, {} counted", tot as f64 / 500.0, cnt as f64 / 500.0);
            }
            Ok(())
        }
        _ => Err("unknown verb".into()),
    }
}
