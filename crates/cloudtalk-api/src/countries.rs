//! The table of countries. Clients store its ids: never renumber, only append.

/// A country of the interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Country {
    pub id: u16,
    pub name: &'static str,
    pub alpha2: &'static str,
    pub alpha3: &'static str,
    /// Empty for places without a telephone of their own.
    pub calling_code: &'static str,
}

/// The id of a country by its ISO 3166 two-letter code, such as `SK`.
#[must_use]
pub fn country_id(alpha2: &str) -> Option<u16> {
    COUNTRIES
        .iter()
        .find(|country| country.alpha2.eq_ignore_ascii_case(alpha2))
        .map(|country| country.id)
}

pub(crate) fn by_id(id: i64) -> Option<&'static Country> {
    COUNTRIES.iter().find(|country| i64::from(country.id) == id)
}

/// The country of a number, by calling code. Where several share one, the largest user of it.
pub(crate) fn by_number(number: &model::PhoneNumber) -> Option<&'static Country> {
    let code = number.calling_code()?.to_string();
    let main = match code.as_str() {
        "1" => "US",
        "7" => "RU",
        "39" => "IT",
        "44" => "GB",
        "47" => "NO",
        "61" => "AU",
        "212" => "MA",
        "262" => "RE",
        "358" => "FI",
        "590" => "GP",
        "599" => "CW",
        _ => {
            return COUNTRIES
                .iter()
                .find(|country| country.calling_code == code);
        }
    };
    COUNTRIES.iter().find(|country| country.alpha2 == main)
}

const fn country(
    id: u16,
    name: &'static str,
    alpha2: &'static str,
    alpha3: &'static str,
    calling_code: &'static str,
) -> Country {
    Country {
        id,
        name,
        alpha2,
        alpha3,
        calling_code,
    }
}

// 61, 109 and 235 are the ids that clients are known to have stored; the rest follow the alphabet.
#[rustfmt::skip]
pub(crate) const COUNTRIES: &[Country] = &[
    country(1, "Afghanistan", "AF", "AFG", "93"),
    country(2, "Åland Islands", "AX", "ALA", "358"),
    country(3, "Albania", "AL", "ALB", "355"),
    country(4, "Algeria", "DZ", "DZA", "213"),
    country(5, "American Samoa", "AS", "ASM", "1"),
    country(6, "Andorra", "AD", "AND", "376"),
    country(7, "Angola", "AO", "AGO", "244"),
    country(8, "Anguilla", "AI", "AIA", "1"),
    country(9, "Antarctica", "AQ", "ATA", ""),
    country(10, "Antigua and Barbuda", "AG", "ATG", "1"),
    country(11, "Argentina", "AR", "ARG", "54"),
    country(12, "Armenia", "AM", "ARM", "374"),
    country(13, "Aruba", "AW", "ABW", "297"),
    country(14, "Australia", "AU", "AUS", "61"),
    country(15, "Austria", "AT", "AUT", "43"),
    country(16, "Azerbaijan", "AZ", "AZE", "994"),
    country(17, "Bahamas", "BS", "BHS", "1"),
    country(18, "Bahrain", "BH", "BHR", "973"),
    country(19, "Bangladesh", "BD", "BGD", "880"),
    country(20, "Barbados", "BB", "BRB", "1"),
    country(21, "Belarus", "BY", "BLR", "375"),
    country(22, "Belgium", "BE", "BEL", "32"),
    country(23, "Belize", "BZ", "BLZ", "501"),
    country(24, "Benin", "BJ", "BEN", "229"),
    country(25, "Bermuda", "BM", "BMU", "1"),
    country(26, "Bhutan", "BT", "BTN", "975"),
    country(27, "Bolivia", "BO", "BOL", "591"),
    country(28, "Bosnia and Herzegovina", "BA", "BIH", "387"),
    country(29, "Botswana", "BW", "BWA", "267"),
    country(30, "Bouvet Island", "BV", "BVT", ""),
    country(31, "Brazil", "BR", "BRA", "55"),
    country(32, "British Indian Ocean Territory", "IO", "IOT", "246"),
    country(33, "British Virgin Islands", "VG", "VGB", "1"),
    country(34, "Brunei Darussalam", "BN", "BRN", "673"),
    country(35, "Bulgaria", "BG", "BGR", "359"),
    country(36, "Burkina Faso", "BF", "BFA", "226"),
    country(37, "Burundi", "BI", "BDI", "257"),
    country(38, "Cabo Verde", "CV", "CPV", "238"),
    country(39, "Cambodia", "KH", "KHM", "855"),
    country(40, "Cameroon", "CM", "CMR", "237"),
    country(41, "Canada", "CA", "CAN", "1"),
    country(42, "Caribbean Netherlands", "BQ", "BES", "599"),
    country(43, "Cayman Islands", "KY", "CYM", "1"),
    country(44, "Central African Republic", "CF", "CAF", "236"),
    country(45, "Chad", "TD", "TCD", "235"),
    country(46, "Chile", "CL", "CHL", "56"),
    country(47, "China", "CN", "CHN", "86"),
    country(48, "Christmas Island", "CX", "CXR", "61"),
    country(49, "Cocos (Keeling) Islands", "CC", "CCK", "61"),
    country(50, "Colombia", "CO", "COL", "57"),
    country(51, "Comoros", "KM", "COM", "269"),
    country(52, "Congo", "CG", "COG", "242"),
    country(53, "Cook Islands", "CK", "COK", "682"),
    country(54, "Costa Rica", "CR", "CRI", "506"),
    country(55, "Côte d'Ivoire", "CI", "CIV", "225"),
    country(56, "Croatia", "HR", "HRV", "385"),
    country(57, "Cuba", "CU", "CUB", "53"),
    country(58, "Curaçao", "CW", "CUW", "599"),
    country(59, "Cyprus", "CY", "CYP", "357"),
    country(60, "Czechia", "CZ", "CZE", "420"),
    country(61, "Denmark", "DK", "DNK", "45"),
    country(62, "Djibouti", "DJ", "DJI", "253"),
    country(63, "Dominica", "DM", "DMA", "1"),
    country(64, "Dominican Republic", "DO", "DOM", "1"),
    country(65, "DR Congo", "CD", "COD", "243"),
    country(66, "Ecuador", "EC", "ECU", "593"),
    country(67, "Egypt", "EG", "EGY", "20"),
    country(68, "El Salvador", "SV", "SLV", "503"),
    country(69, "Equatorial Guinea", "GQ", "GNQ", "240"),
    country(70, "Eritrea", "ER", "ERI", "291"),
    country(71, "Estonia", "EE", "EST", "372"),
    country(72, "Eswatini", "SZ", "SWZ", "268"),
    country(73, "Ethiopia", "ET", "ETH", "251"),
    country(74, "Falkland Islands", "FK", "FLK", "500"),
    country(75, "Faroe Islands", "FO", "FRO", "298"),
    country(76, "Fiji", "FJ", "FJI", "679"),
    country(77, "Finland", "FI", "FIN", "358"),
    country(78, "France", "FR", "FRA", "33"),
    country(79, "French Guiana", "GF", "GUF", "594"),
    country(80, "French Polynesia", "PF", "PYF", "689"),
    country(81, "French Southern Territories", "TF", "ATF", ""),
    country(82, "Gabon", "GA", "GAB", "241"),
    country(83, "Gambia", "GM", "GMB", "220"),
    country(84, "Georgia", "GE", "GEO", "995"),
    country(85, "Germany", "DE", "DEU", "49"),
    country(86, "Ghana", "GH", "GHA", "233"),
    country(87, "Gibraltar", "GI", "GIB", "350"),
    country(88, "Greece", "GR", "GRC", "30"),
    country(89, "Greenland", "GL", "GRL", "299"),
    country(90, "Grenada", "GD", "GRD", "1"),
    country(91, "Guadeloupe", "GP", "GLP", "590"),
    country(92, "Guam", "GU", "GUM", "1"),
    country(93, "Guatemala", "GT", "GTM", "502"),
    country(94, "Guernsey", "GG", "GGY", "44"),
    country(95, "Guinea", "GN", "GIN", "224"),
    country(96, "Guinea-Bissau", "GW", "GNB", "245"),
    country(97, "Guyana", "GY", "GUY", "592"),
    country(98, "Haiti", "HT", "HTI", "509"),
    country(99, "Heard Island and McDonald Islands", "HM", "HMD", ""),
    country(100, "Holy See (Vatican City State)", "VA", "VAT", "39"),
    country(101, "Honduras", "HN", "HND", "504"),
    country(102, "Hong Kong", "HK", "HKG", "852"),
    country(103, "Hungary", "HU", "HUN", "36"),
    country(104, "Iceland", "IS", "ISL", "354"),
    country(105, "India", "IN", "IND", "91"),
    country(106, "Indonesia", "ID", "IDN", "62"),
    country(107, "Iran", "IR", "IRN", "98"),
    country(108, "Iraq", "IQ", "IRQ", "964"),
    country(109, "Italy", "IT", "ITA", "39"),
    country(110, "Ireland", "IE", "IRL", "353"),
    country(111, "Isle of Man", "IM", "IMN", "44"),
    country(112, "Israel", "IL", "ISR", "972"),
    country(113, "Jamaica", "JM", "JAM", "1"),
    country(114, "Japan", "JP", "JPN", "81"),
    country(115, "Jersey", "JE", "JEY", "44"),
    country(116, "Jordan", "JO", "JOR", "962"),
    country(117, "Kazakhstan", "KZ", "KAZ", "7"),
    country(118, "Kenya", "KE", "KEN", "254"),
    country(119, "Kiribati", "KI", "KIR", "686"),
    country(120, "Kuwait", "KW", "KWT", "965"),
    country(121, "Kyrgyzstan", "KG", "KGZ", "996"),
    country(122, "Laos", "LA", "LAO", "856"),
    country(123, "Latvia", "LV", "LVA", "371"),
    country(124, "Lebanon", "LB", "LBN", "961"),
    country(125, "Lesotho", "LS", "LSO", "266"),
    country(126, "Liberia", "LR", "LBR", "231"),
    country(127, "Libya", "LY", "LBY", "218"),
    country(128, "Liechtenstein", "LI", "LIE", "423"),
    country(129, "Lithuania", "LT", "LTU", "370"),
    country(130, "Luxembourg", "LU", "LUX", "352"),
    country(131, "Macao", "MO", "MAC", "853"),
    country(132, "Madagascar", "MG", "MDG", "261"),
    country(133, "Malawi", "MW", "MWI", "265"),
    country(134, "Malaysia", "MY", "MYS", "60"),
    country(135, "Maldives", "MV", "MDV", "960"),
    country(136, "Mali", "ML", "MLI", "223"),
    country(137, "Malta", "MT", "MLT", "356"),
    country(138, "Marshall Islands", "MH", "MHL", "692"),
    country(139, "Martinique", "MQ", "MTQ", "596"),
    country(140, "Mauritania", "MR", "MRT", "222"),
    country(141, "Mauritius", "MU", "MUS", "230"),
    country(142, "Mayotte", "YT", "MYT", "262"),
    country(143, "Mexico", "MX", "MEX", "52"),
    country(144, "Micronesia", "FM", "FSM", "691"),
    country(145, "Moldova", "MD", "MDA", "373"),
    country(146, "Monaco", "MC", "MCO", "377"),
    country(147, "Mongolia", "MN", "MNG", "976"),
    country(148, "Montenegro", "ME", "MNE", "382"),
    country(149, "Montserrat", "MS", "MSR", "1"),
    country(150, "Morocco", "MA", "MAR", "212"),
    country(151, "Mozambique", "MZ", "MOZ", "258"),
    country(152, "Myanmar", "MM", "MMR", "95"),
    country(153, "Namibia", "NA", "NAM", "264"),
    country(154, "Nauru", "NR", "NRU", "674"),
    country(155, "Nepal", "NP", "NPL", "977"),
    country(156, "Netherlands", "NL", "NLD", "31"),
    country(157, "New Caledonia", "NC", "NCL", "687"),
    country(158, "New Zealand", "NZ", "NZL", "64"),
    country(159, "Nicaragua", "NI", "NIC", "505"),
    country(160, "Niger", "NE", "NER", "227"),
    country(161, "Nigeria", "NG", "NGA", "234"),
    country(162, "Niue", "NU", "NIU", "683"),
    country(163, "Norfolk Island", "NF", "NFK", "672"),
    country(164, "North Korea", "KP", "PRK", "850"),
    country(165, "North Macedonia", "MK", "MKD", "389"),
    country(166, "Northern Mariana Islands", "MP", "MNP", "1"),
    country(167, "Norway", "NO", "NOR", "47"),
    country(168, "Oman", "OM", "OMN", "968"),
    country(169, "Pakistan", "PK", "PAK", "92"),
    country(170, "Palau", "PW", "PLW", "680"),
    country(171, "Palestine", "PS", "PSE", "970"),
    country(172, "Panama", "PA", "PAN", "507"),
    country(173, "Papua New Guinea", "PG", "PNG", "675"),
    country(174, "Paraguay", "PY", "PRY", "595"),
    country(175, "Peru", "PE", "PER", "51"),
    country(176, "Philippines", "PH", "PHL", "63"),
    country(177, "Pitcairn", "PN", "PCN", ""),
    country(178, "Poland", "PL", "POL", "48"),
    country(179, "Portugal", "PT", "PRT", "351"),
    country(180, "Puerto Rico", "PR", "PRI", "1"),
    country(181, "Qatar", "QA", "QAT", "974"),
    country(182, "Réunion", "RE", "REU", "262"),
    country(183, "Romania", "RO", "ROU", "40"),
    country(184, "Russia", "RU", "RUS", "7"),
    country(185, "Rwanda", "RW", "RWA", "250"),
    country(186, "Saint Barthélemy", "BL", "BLM", "590"),
    country(187, "Saint Helena", "SH", "SHN", "290"),
    country(188, "Saint Kitts and Nevis", "KN", "KNA", "1"),
    country(189, "Saint Lucia", "LC", "LCA", "1"),
    country(190, "Saint Martin (French part)", "MF", "MAF", "590"),
    country(191, "Saint Pierre and Miquelon", "PM", "SPM", "508"),
    country(192, "Saint Vincent and the Grenadines", "VC", "VCT", "1"),
    country(193, "Samoa", "WS", "WSM", "685"),
    country(194, "San Marino", "SM", "SMR", "378"),
    country(195, "Sao Tome and Principe", "ST", "STP", "239"),
    country(196, "Saudi Arabia", "SA", "SAU", "966"),
    country(197, "Senegal", "SN", "SEN", "221"),
    country(198, "Serbia", "RS", "SRB", "381"),
    country(199, "Seychelles", "SC", "SYC", "248"),
    country(200, "Sierra Leone", "SL", "SLE", "232"),
    country(201, "Singapore", "SG", "SGP", "65"),
    country(202, "Sint Maarten (Dutch part)", "SX", "SXM", "1"),
    country(203, "Slovakia", "SK", "SVK", "421"),
    country(204, "Slovenia", "SI", "SVN", "386"),
    country(205, "Solomon Islands", "SB", "SLB", "677"),
    country(206, "Somalia", "SO", "SOM", "252"),
    country(207, "South Africa", "ZA", "ZAF", "27"),
    country(208, "South Georgia and the South Sandwich Islands", "GS", "SGS", ""),
    country(209, "South Korea", "KR", "KOR", "82"),
    country(210, "South Sudan", "SS", "SSD", "211"),
    country(211, "Spain", "ES", "ESP", "34"),
    country(212, "Sri Lanka", "LK", "LKA", "94"),
    country(213, "Sudan", "SD", "SDN", "249"),
    country(214, "Suriname", "SR", "SUR", "597"),
    country(215, "Svalbard and Jan Mayen", "SJ", "SJM", "47"),
    country(216, "Sweden", "SE", "SWE", "46"),
    country(217, "Switzerland", "CH", "CHE", "41"),
    country(218, "Syria", "SY", "SYR", "963"),
    country(219, "Taiwan", "TW", "TWN", "886"),
    country(220, "Tajikistan", "TJ", "TJK", "992"),
    country(221, "Tanzania", "TZ", "TZA", "255"),
    country(222, "Thailand", "TH", "THA", "66"),
    country(223, "Timor-Leste", "TL", "TLS", "670"),
    country(224, "Togo", "TG", "TGO", "228"),
    country(225, "Tokelau", "TK", "TKL", "690"),
    country(226, "Tonga", "TO", "TON", "676"),
    country(227, "Trinidad and Tobago", "TT", "TTO", "1"),
    country(228, "Tunisia", "TN", "TUN", "216"),
    country(229, "Türkiye", "TR", "TUR", "90"),
    country(230, "Turkmenistan", "TM", "TKM", "993"),
    country(231, "Turks and Caicos Islands", "TC", "TCA", "1"),
    country(232, "Tuvalu", "TV", "TUV", "688"),
    country(233, "U.S. Virgin Islands", "VI", "VIR", "1"),
    country(234, "Uganda", "UG", "UGA", "256"),
    country(235, "United Kingdom", "GB", "GBR", "44"),
    country(236, "Ukraine", "UA", "UKR", "380"),
    country(237, "United Arab Emirates", "AE", "ARE", "971"),
    country(238, "United States", "US", "USA", "1"),
    country(239, "United States Minor Outlying Islands", "UM", "UMI", ""),
    country(240, "Uruguay", "UY", "URY", "598"),
    country(241, "Uzbekistan", "UZ", "UZB", "998"),
    country(242, "Vanuatu", "VU", "VUT", "678"),
    country(243, "Venezuela", "VE", "VEN", "58"),
    country(244, "Vietnam", "VN", "VNM", "84"),
    country(245, "Wallis and Futuna", "WF", "WLF", "681"),
    country(246, "Western Sahara", "EH", "ESH", "212"),
    country(247, "Yemen", "YE", "YEM", "967"),
    country(248, "Zambia", "ZM", "ZMB", "260"),
    country(249, "Zimbabwe", "ZW", "ZWE", "263"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_clients_stored_stay() {
        for (alpha2, id) in [("DK", 61), ("IT", 109), ("GB", 235)] {
            assert_eq!(country_id(alpha2), Some(id), "{alpha2}");
        }
    }

    #[test]
    fn ids_and_codes_are_unique_and_in_order() {
        for pair in COUNTRIES.windows(2) {
            assert!(pair[0].id < pair[1].id, "{pair:?}");
        }
        let codes: std::collections::HashSet<_> =
            COUNTRIES.iter().map(|country| country.alpha2).collect();
        assert_eq!(codes.len(), COUNTRIES.len());
    }

    #[test]
    fn a_shared_calling_code_names_its_largest_user() {
        let number = model::PhoneNumber::parse("+442079460000").expect("valid");
        assert_eq!(by_number(&number).map(|country| country.alpha2), Some("GB"));
    }
}
