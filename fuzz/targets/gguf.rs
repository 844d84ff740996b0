//! Any bytes as a GGUF file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantgate_fuzz::{explore, folder, limited};

fuzz_target!(|data: &[u8]| {
    let path = folder().join("m.gguf");
    std::fs::write(&path, data).expect("the file is written");
    limited(data.len(), || explore(&path, None));
});
