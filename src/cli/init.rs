//! `quantgate init`: a commented plan to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use super::args::InitArgs;
use super::failure::Failure;
use super::terminal;

/// Writes the template where no file is, or over it with `--force`.
pub(super) fn init(args: &InitArgs) -> Result<u8, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(!args.force).create(args.force).truncate(args.force);
    let path = args.plan.display();
    let written = options.open(&args.plan).and_then(|mut file| file.write_all(crate::plan::TEMPLATE.as_bytes()));
    match written {
        Ok(()) => {
            terminal::note(&format!("wrote {path}: name your models in it, then `quantgate run {path}`"));
            Ok(0)
        }
        Err(fault) if fault.kind() == ErrorKind::AlreadyExists => {
            Err(Failure::usage(format!("{path} is there already")).with_hint("`--force` replaces it; another name can be given"))
        }
        Err(fault) => Err(Failure::usage(format!("can't write {path}: {fault}"))),
    }
}
