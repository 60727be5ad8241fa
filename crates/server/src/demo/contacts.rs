//! The demo company's address book: invented businesses with numbers from no real plan.

use model::PhoneNumber;
use store::directory::{AttributeId, ContactFields, NewContact};

/// Name, industry, city, tags, plan.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

const ROWS: &[Row] = &[
    (
        "Blue Harbour Logistics",
        "Logistics",
        "Bratislava",
        &["vip", "customer"],
        "gold",
    ),
    (
        "Copper Kettle Catering",
        "Food",
        "Trnava",
        &["customer"],
        "silver",
    ),
    ("Daylight Solar", "Energy", "Nitra", &["lead"], "none"),
    (
        "Elderflower Press",
        "Publishing",
        "Kosice",
        &["customer"],
        "bronze",
    ),
    (
        "Foxglove Nurseries",
        "Agriculture",
        "Zilina",
        &["customer"],
        "bronze",
    ),
    ("Granite Gym", "Sport", "Bratislava", &["lead"], "none"),
    (
        "Hollow Tree Toys",
        "Retail",
        "Presov",
        &["customer"],
        "silver",
    ),
    (
        "Iron Lantern Security",
        "Security",
        "Martin",
        &["vip", "customer"],
        "gold",
    ),
    (
        "Juniper Dental",
        "Health",
        "Poprad",
        &["customer"],
        "silver",
    ),
    (
        "Kite and Anchor Travel",
        "Travel",
        "Bratislava",
        &["lead", "newsletter"],
        "none",
    ),
    (
        "Lime Street Studio",
        "Design",
        "Trencin",
        &["newsletter"],
        "none",
    ),
    (
        "Marble Bridge Finance",
        "Finance",
        "Bratislava",
        &["vip"],
        "gold",
    ),
    (
        "North Gate Hardware",
        "Retail",
        "Nitra",
        &["customer"],
        "bronze",
    ),
    (
        "Orchard Lane School",
        "Education",
        "Kosice",
        &["customer"],
        "silver",
    ),
    ("Paper Boat Films", "Media", "Bratislava", &["lead"], "none"),
    (
        "Quarry Hill Builders",
        "Construction",
        "Zilina",
        &["customer"],
        "silver",
    ),
    (
        "Red Brick Brewery",
        "Food",
        "Trnava",
        &["customer", "newsletter"],
        "bronze",
    ),
    (
        "Silver Birch Legal",
        "Legal",
        "Bratislava",
        &["vip", "customer"],
        "gold",
    ),
    (
        "Tin Whistle Music",
        "Education",
        "Martin",
        &["lead"],
        "none",
    ),
    ("Upland Cheese", "Food", "Poprad", &["customer"], "bronze"),
    (
        "Velvet Needle Tailors",
        "Retail",
        "Presov",
        &["newsletter"],
        "none",
    ),
    (
        "Windmill Data",
        "Software",
        "Bratislava",
        &["vip", "lead"],
        "none",
    ),
    (
        "Yellow Tram Couriers",
        "Logistics",
        "Kosice",
        &["customer"],
        "silver",
    ),
    (
        "Zephyr Bikes",
        "Sport",
        "Trencin",
        &["lead", "newsletter"],
        "none",
    ),
    (
        "Amber Coast Hotel",
        "Travel",
        "Bratislava",
        &["customer"],
        "gold",
    ),
    (
        "Bell Tower Insurance",
        "Finance",
        "Nitra",
        &["lead"],
        "none",
    ),
];

/// The address book. `plan` is the attribute that says what each has bought.
pub fn contacts(plan: AttributeId, slovakia: Option<u16>) -> Vec<NewContact> {
    ROWS.iter()
        .enumerate()
        .map(|(index, (name, industry, city, tags, bought))| {
            let slug = name.to_lowercase().replace(' ', "-");
            let number = PhoneNumber::parse(&format!("+4219000001{index:02}"))
                .expect("the plan's numbers are well formed");
            NewContact {
                fields: ContactFields {
                    name: (*name).to_owned(),
                    company: (*name).to_owned(),
                    industry: (*industry).to_owned(),
                    city: (*city).to_owned(),
                    website: format!("https://{slug}.example"),
                    country_id: slovakia,
                    ..ContactFields::default()
                },
                numbers: vec![number],
                emails: vec![format!("office@{slug}.example")],
                tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
                attributes: vec![(plan, (*bought).to_owned())],
                urls: Vec::new(),
            }
        })
        .collect()
}
