//! Forms of German and Spanish verbs that stemmers leave as they are. All words are without accents.

/// What splits off a German verb and ends the clause: "leg einen Kunden an".
const PARTICLES: &str = "ab an auf aus bei durch ein fest fort frei her heraus herunter hinein hinzu hoch los mit \
    nach neu raus rein runter um vor weg weiter wieder zu zuruck zurück zusammen fertig stumm fern nieder voran vorbei";

/// Forms whose vowel changes.
const IRREGULAR: [(&str, &str); 24] = [
    ("gib", "geb"),
    ("gibt", "geb"),
    ("nimm", "nehm"),
    ("nimmt", "nehm"),
    ("lies", "les"),
    ("liest", "les"),
    ("sieh", "seh"),
    ("sieht", "seh"),
    ("tragt", "trag"),
    ("ladt", "lad"),
    ("wirf", "werf"),
    ("wirft", "werf"),
    ("halt", "halt"),
    ("lasst", "lass"),
    ("fahrt", "fahr"),
    ("ging", "geh"),
    ("rief", "ruf"),
    ("trug", "trag"),
    ("nahm", "nehm"),
    ("gab", "geb"),
    ("sprich", "sprech"),
    ("spricht", "sprech"),
    ("hilf", "helf"),
    ("triff", "treff"),
];

pub(super) fn is_particle(word: &str) -> bool {
    PARTICLES.split_whitespace().any(|listed| listed == word)
}

/// A finite form as the infinitive: "sag" and "sagt" are "sagen".
pub(super) fn german_infinitive(verb: &str) -> String {
    let verb = super::words::fold(verb);
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == verb) {
        return format!("{stem}en");
    }
    let ends = ["est", "en", "et", "st", "te", "e", "t", "n"];
    let bare = ends
        .iter()
        .find_map(|end| verb.strip_suffix(end).filter(|rest| rest.len() > 2));
    format!("{}en", bare.unwrap_or(&verb))
}

/// Infinitives a participle ("angelegt", "verschickt"), an infinitive with "zu" ("anzulegen") or a finite form
/// ("storniert") may belong to.
pub(super) fn german(word: &str) -> Vec<String> {
    let mut forms = Vec::new();
    if word.len() < 6 || !word.is_ascii() {
        return forms;
    }
    let particles = PARTICLES.split_whitespace().filter(|at| at.is_ascii());
    for particle in particles.chain([""]) {
        let Some(rest) = word.strip_prefix(particle) else {
            continue;
        };
        let infinitive = rest.strip_prefix("zu").filter(|_| !particle.is_empty());
        if let Some(verb) = infinitive.filter(|verb| verb.ends_with('n')) {
            forms.push(format!("{particle}{verb}"));
        }
        let participle = rest.strip_prefix("ge").and_then(without_participle_end);
        forms.extend(participle.map(|stem| format!("{particle}{stem}en")));
        forms.extend(participle.map(|stem| format!("{particle}{stem}n")));
    }
    forms.extend(without_participle_end(word).map(|stem| format!("{stem}en")));
    forms
}

fn without_participle_end(word: &str) -> Option<&str> {
    let ends = [
        "tes", "ter", "ten", "tem", "te", "t", "enen", "ener", "ene", "en",
    ];
    let mut ends = ends.iter().filter_map(|end| word.strip_suffix(end));
    ends.find(|stem| stem.len() > 2)
}

/// Without the pronouns a Spanish verb takes at its end: "mandale", "borralo", "enviamelo".
pub(super) fn spanish(word: &str) -> Vec<String> {
    const PRONOUNS: [&str; 22] = [
        "selos", "selas", "selo", "sela", "melos", "melas", "melo", "mela", "noslo", "nosla",
        "telo", "nos", "les", "los", "las", "me", "te", "se", "le", "lo", "la", "os",
    ];
    let mut forms = Vec::new();
    if word.len() < 5 {
        return forms;
    }
    forms.extend(gerund(word));
    for pronoun in PRONOUNS {
        let Some(verb) = word.strip_suffix(pronoun).filter(|verb| verb.len() > 2) else {
            continue;
        };
        forms.push(verb.to_owned());
        forms.extend(gerund(verb));
        // "Borra" is of "borrar", "vende" of "vender" or "abre" of "abrir".
        if verb.ends_with('a') || verb.ends_with('e') {
            forms.push(format!("{verb}r"));
        }
        if let Some(stem) = verb.strip_suffix('e') {
            forms.extend([format!("{stem}ir"), format!("{stem}ar")]);
        }
    }
    forms
}

/// Infinitives of "enviando", "siguiendo", "durmiendo" or "leyendo".
fn gerund(word: &str) -> Vec<String> {
    if let Some(stem) = word.strip_suffix("ando").filter(|stem| stem.len() > 1) {
        return vec![format!("{stem}ar")];
    }
    let ends = ["iendo", "yendo"];
    let Some(stem) = ends
        .iter()
        .find_map(|end| word.strip_suffix(end))
        .filter(|stem| stem.len() > 1)
    else {
        return Vec::new();
    };
    let mut forms = vec![format!("{stem}er"), format!("{stem}ir")];
    // The last vowel of the stem may have changed: "sigu" is of "seguir".
    for (changed, vowel) in [("i", "e"), ("u", "o")] {
        let place = stem
            .trim_end_matches("gu")
            .rfind(changed)
            .or_else(|| stem.rfind(changed));
        if let Some(at) = place {
            forms.push(format!("{}{vowel}{}ir", &stem[..at], &stem[at + 1..]));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn german_forms_lead_to_the_infinitive() {
        for (form, infinitive) in [
            ("angelegt", "anlegen"),
            ("angelegten", "anlegen"),
            ("anzulegen", "anlegen"),
            ("zuruckgeschickt", "zuruckschicken"),
            ("storniert", "stornieren"),
            ("geandert", "andern"),
            ("verschickte", "verschicken"),
        ] {
            assert!(
                german(form).iter().any(|found| found == infinitive),
                "{form}"
            );
        }
        for (form, infinitive) in [
            ("sag", "sagen"),
            ("nimm", "nehmen"),
            ("schickt", "schicken"),
        ] {
            assert_eq!(german_infinitive(form), infinitive);
        }
        assert!(german("liste").is_empty());
    }

    #[test]
    fn spanish_pronouns_are_left_out() {
        for (form, verb) in [
            ("mandale", "manda"),
            ("borralo", "borrar"),
            ("abrela", "abrir"),
            ("enviando", "enviar"),
            ("siguiendo", "seguir"),
            ("pidiendolo", "pedir"),
            ("leyendo", "leer"),
        ] {
            assert!(spanish(form).iter().any(|found| found == verb), "{form}");
        }
        assert!(spanish("sala").is_empty());
    }
}
