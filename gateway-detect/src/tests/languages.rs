//! Numbers behind their words in other languages, and with other signs between their parts. All are drawn by hand.

use super::{found, is_found_however_cut};

/// Each text has the number behind its last colon.
fn is_found(text: &str, detector: &str) {
    let (_, number) = text.rsplit_once(": ").unwrap_or_default();
    let expected = [(detector.to_owned(), number.to_owned())];
    assert_eq!(found(text), expected, "{text}");
    is_found_however_cut(text);
}

#[test]
fn words_of_many_languages_announce_numbers() {
    for (text, detector) in [
        ("Steuernummer: 21/815/08150", "de-tax-number"),
        ("St.-Nr.: 2893081508152", "de-tax-number"),
        ("Steuer-Identifikationsnummer: 65 929 970 489", "de-tax-id"),
        ("Führerscheinnummer: B072RRE2I55", "de-driver-licence"),
        (
            "numéro de carte d'identité: 880692310285",
            "fr-identity-card",
        ),
        ("carta d'identità: CA12345AA", "it-identity-card"),
        ("patente di guida: U1H70B123C", "it-driver-licence"),
        ("СНИЛС: 123-456-789 64", "ru-snils"),
        ("ИНН: 1234567894", "ru-inn"),
        ("инн: 123456789047", "ru-inn"),
        ("Паспорт: 45 08 123456", "ru-passport"),
        ("ІПН: 1234567899", "ua-tax-id"),
        ("RG: 12.345.678-9", "br-rg"),
        ("cédula de ciudadanía: 1.234.567.890", "co-cedula"),
        ("căn cước công dân: 001099012345", "vn-id"),
        ("운전면허: 11-22-123456-12", "kr-driver-license"),
        ("护照号码: E12345678", "passport-number"),
        ("パスポート: TK1234567", "passport-number"),
        ("née le: 12/03/1985", "date-of-birth"),
        ("дата рождения: 12.03.1985", "date-of-birth"),
        ("出生日期: 1985-03-12", "date-of-birth"),
        ("Kennzeichen: M-XY 123", "license-plate"),
        ("plaka: 34 ABC 1234", "license-plate"),
        ("driver's license: F255-9215-0094", "us-driver-license"),
        ("DL: D1234567", "us-driver-license"),
        ("Kontonummer: 532013000", "us-bank-account"),
        ("számlaszám: 532013000", "us-bank-account"),
        ("số tài khoản: 532013000", "us-bank-account"),
        ("nomor paspor: B1234567", "passport-number"),
        ("номер картки: 4111111111111111", "credit-card"),
        // Words that are of no language's own.
        ("national_id: 44051401359", "pl-pesel"),
        ("personalId: 39001010077", "ee-isikukood"),
        ("insurance_id: A123456780", "de-health-insurance"),
    ] {
        is_found(text, detector);
    }
}

#[test]
fn numbers_are_called_by_other_names_too() {
    for (text, detector) in [
        ("personal code: 120385-12345", "lv-personas-kods"),
        (
            "national register number: 85073003328",
            "be-national-number",
        ),
        ("citizen service number: 123456782", "nl-bsn"),
        ("personal code: 1850312123457", "ro-cnp"),
        ("turkish_id_number: 10000000146", "tr-tckn"),
        ("organisation number: 556036-0793", "se-orgnr"),
        ("ЕМБГ: 0101006500006", "si-emso"),
        ("ΑΜΚΑ: 01013099997", "gr-amka"),
        ("ΑΦΜ: 094259216", "gr-afm"),
        ("passport: 4508 123456", "ru-passport"),
        ("Karte: 4000000000000000006", "credit-card"),
        ("SIREN: 732 829 320", "fr-siren"),
        ("siret: 73282932000074", "fr-siret"),
        ("CIF: A58818501", "es-cif"),
        ("Y-tunnus: 2077474-0", "fi-business-id"),
        ("ОГРН: 1027700132195", "ru-ogrn"),
        ("registro geral: 123456789", "br-rg"),
        ("NIT: 1126018159-1", "co-nit"),
        ("VAT number: FR 83 404 833 048", "eu-vat"),
        ("Mehrwertsteuer: CHE-100.155.212", "eu-vat"),
        ("VAT: RO18547290", "eu-vat"),
        ("VAT: BG175074752", "eu-vat"),
        ("VAT: CZ25123891", "eu-vat"),
        ("VAT: GB980780684", "eu-vat"),
        ("VAT: LT119511515", "eu-vat"),
        ("VAT: LV40003521600", "eu-vat"),
        ("VAT: MT11679112", "eu-vat"),
        ("VAT: CY10259033P", "eu-vat"),
        ("VAT: FI20774740", "eu-vat"),
        ("VAT: GBGD485", "eu-vat"),
        ("VAT: GB 980 7806 84", "eu-vat"),
        ("VAT: BG8301661313", "eu-vat"),
        ("VAT: CZ7103192745", "eu-vat"),
        ("client_ip: 1.44.10.171", "ip-address"),
        ("VAT: LV26018159083", "eu-vat"),
        ("NIT: 55543231-5", "co-nit"),
        ("SSS: 34-1234567-8", "ph-sss"),
        ("cédula: V-12345678", "ve-cedula"),
        ("RIF: J-30700028-7", "ve-rif"),
        ("clave de elector: GMVLMR80070501M100", "mx-voter-key"),
        ("matrícula: 1234 BCD", "license-plate"),
        ("targa: AB 123 CD", "license-plate"),
        ("placa: ABC-1D23", "license-plate"),
        ("kenteken: 12-ABC-3", "license-plate"),
        ("bank account: 40302690018159083016", "us-bank-account"),
    ] {
        is_found(text, detector);
    }
}

#[test]
fn a_number_may_stand_before_its_name() {
    for text in [
        "536-22-8726 is my SSN",
        "use 536228726 as the SSN, please",
        "536228726 (SSN)",
        "0285601815 is my phone number",
        "<tr><th>mobile</th><td>92010276</td></tr>",
        "\"536228726\" is her social security number.",
    ] {
        assert_eq!(found(text).len(), 1, "{text}");
        is_found_however_cut(text);
    }
    assert_eq!(found("my number plate is 1234 BCD")[0].1, "1234 BCD");
    for text in [
        "ip: 1.2.3.4",
        "ip: 11.0.0.0",
        "release 1.44.10.171",
        "536228726 is a number, the SSN is missing",
        "536228726 is the order. The SSN is missing",
        "536228726 (see the note on how an SSN is written)",
        "536228726 rows have an SSN",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
}

#[test]
fn telephones_have_names_in_many_languages() {
    for text in [
        "Handynummer: 0151 23456789",
        "Mobilnummer: 015123456789",
        "tél : 0612345678",
        "portable: 06.12.34.56.78",
        "móvil: 612345678",
        "cellulare: 3471234567",
        "telemóvel: 912345678",
        "telefoonnummer: 06-12345678",
        "puhelin: 040 1234567",
        "Телефон: 8 (912) 345-67-89",
        "手机号: 13812345678",
        "携帯: 09012345678",
        "연락처: 010-1234-5678",
        "هاتف: 0501234567",
        "τηλέφωνο: 6912345678",
        "số điện thoại: 0912345678",
        "telefon numarası: 0532 123 45 67",
        "رقم الهاتف: 0501234567",
        "номер телефону: 0671234567",
    ] {
        is_found(&text.replace(" : ", ": "), "phone-number");
    }
}

#[test]
fn parts_may_be_separated_by_any_sign_behind_a_word_but_all_by_the_same() {
    for (text, detector) in [
        ("BSN: 1112.22.333", "nl-bsn"),
        ("SSN: 536/90/4399", "us-ssn"),
        ("NHS number: 943.476.5919", "uk-nhs"),
        ("card: 4111.1111.1111.1111", "credit-card"),
        ("card: 4111  1111  1111  1111", "credit-card"),
        ("card: 4111 - 1111 - 1111 - 1111", "credit-card"),
        ("IBAN: DE89.3704.0044.0532.0130.00", "iban"),
        ("IBAN: DE89 37040044 0532013000", "iban"),
        ("IBAN: de89370400440532013000", "iban"),
    ] {
        is_found(text, detector);
    }
    for text in [
        "SSN: 536/90.4399",
        "it is 536/90/4399",
        "it is 4111.1111.1111.1111",
        "it is 4111  1111  1111  1111",
        "henkilötunnus: 131052/308T",
        "IBAN: De89 3704 0044 0532 0130 00",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn what_counts_or_computes_is_no_number_of_anybody() {
    for text in [
        // What one does with a telephone is done with more.
        "pub const XDP_PGOFF_TX_RING: u32 = 2147483648;",
        "pub const VHOST_SET_CALL: u32 = 1074048887;",
        "use the ring_buf ([`8887014`](https://a.example/c/8887014))",
        "call_args = call(\n    assert '93.184.215' in args",
        "the label:ab\na=ssrc:2339516144",
        "mslabel:realtimeapi\na=ssrc:2339516144",
        "Nippon Telegraph and Telephone Corporation, 2012-2022",
        "dimensions 256/384/1024",
        "p(b\"+255959.999\")",
        "Decimal('+35236450.6')",
        "call 12345678 bytes back",
        "the cell A1 contains 20240501",
        "mobile app version 2.15, build number 1024567",
        "a ring buffer of 1048576 bytes",
        "the portable build 7240501 of it",
        "the mobile release 20240501",
        "mobile users grew to 12345678",
        "the fax machine model 123456789",
        "numéro de commande 12345678",
        // Parts of a text, and releases.
        "see sections 8.2.4.44 and §7.10.4.101",
        "see sections \"8.2.4.44 Comments\" and section \"8.2.4.45\"",
        "firmware version 113.0.5672.92",
        "deps: upgrade V8 to 4.5.103.35 (from 4.5.103.30)",
        "<path d=\"1.52-.87 2.83-2.12 3.51.98.32 2.03.5 3.11\"/>",
        "isInRange(ip(\"222.222.222.0/24\"))",
        "IPv6Network('2001:4:112::/48')",
        "nameserver 2001:4860:4860::8888 or 2606:4700:4700::1111",
        "ping 123.123.123.123",
    ] {
        let all = found(text);
        let other = |(id, _): &&(String, String)| id == "phone-number" || id == "ip-address";
        assert_eq!(all.iter().find(other), None, "{text}");
    }
    for (text, detector) in [
        ("please call me at: 5551234567", "phone-number"),
        ("the server is: 93.184.215.14", "ip-address"),
        ("update the A record to: 93.184.215.14", "ip-address"),
        ("GET 200: 93.184.215.14", "ip-address"),
        ("peer: 2606:2800:21f:cb07::14", "ip-address"),
    ] {
        is_found(text, detector);
    }
}

#[test]
fn numbers_of_programs_are_no_cards_and_languages_no_banks() {
    for text in [
        "[4951948911778577463, 2037035976334486086]",
        "LANGUAGES: RUST, SWIFT, AGNOSTIC",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
    for (text, detector) in [
        ("card: 4951948911778577463", "credit-card"),
        ("SWIFT: DEUTDEFF", "bic"),
        ("the SWIFT of the bank: DEUTDEFF500", "bic"),
    ] {
        is_found(text, detector);
    }
}

#[test]
fn a_name_with_a_value_of_its_own_announces_no_other_number() {
    for text in [
        "{\"tax_id\": null, \"order_id\": 123456789}",
        "{\"ssn\": \"\", \"account_id\": \"536221847\"}",
        "bsn: null, id=111222333",
        "PESEL: brak, nr 44051401359",
        "pesel: brak\nnr: 44051401359",
        "Partita IVA: da definire. Codice articolo 12345678903",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
    for (text, number) in [
        ("{\"type\": \"ssn\", \"value\": \"536221847\"}", "536221847"),
        ("{\"person\": \"Ada\", \"ssn\": \"536221847\"}", "536221847"),
        (
            "{\"ssn\": {\"kind\": \"own\", \"number\": \"536221847\"}}",
            "536221847",
        ),
        ("PESEL: 44051401359", "44051401359"),
        ("PESEL:\n44051401359", "44051401359"),
    ] {
        assert_eq!(found(text).len(), 1, "{text}");
        assert_eq!(found(text)[0].1, number, "{text}");
        is_found_however_cut(text);
    }
}
