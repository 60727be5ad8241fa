//! Embeds the web app anew whenever it was built anew.
//!
//! The folder is made when missing, so that there is one to watch: what is embedded is decided while this
//! crate compiles, and a build of the web app afterwards would go unnoticed.

use std::{fs, path::Path};

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/dist");
    // A source tree that can't be written to is fine: then the app is there already, or is left out.
    let _ = fs::create_dir_all(&dist);
    println!("cargo:rerun-if-changed={}", dist.display());
}
