//! Numbers and keys that their issuers publish as examples, and what looks like them.

use super::found;

fn ids(text: &str) -> Vec<String> {
    found(text).into_iter().map(|(id, _)| id).collect()
}

#[test]
fn published_examples_are_found() {
    for (id, text) in [
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "DE89370400440532013000"),
        ("iban", "DE89-3704-0044-0532-0130-00"),
        ("de-health-insurance", "KVNR A123456780"),
        ("se-orgnr", "orgnr 556036-0793"),
        ("sg-uen", "UEN 00192200M"),
        ("sg-uen", "UEN 197401143C"),
        ("kr-rrn", "RRN 960121-1234567"),
        ("es-nie", "Y8063915-Z"),
        ("us-npi", "NPI 1234-567-893"),
        ("ip-address", "at 2400:c401::5054:ff:fe1b:b031."),
        ("us-ssn", "ssn: 536-90-4399"),
        ("us-npi", "NPI 1234567893"),
        ("us-bank-routing", "routing number 021000021"),
        ("uk-nhs", "NHS number 943 476 5919"),
        ("uk-nino", "NI number AB123456C"),
        ("ca-sin", "SIN 046 454 286"),
        ("de-tax-id", "Steuer-ID 86095742719"),
        ("fr-nir", "1 84 12 76 451 089 46"),
        ("es-dni", "12345678Z"),
        ("es-nie", "X1234567L"),
        ("it-codice-fiscale", "RSSMRA85T10A562S"),
        ("pl-pesel", "PESEL 44051401359"),
        ("pt-nif", "NIF 123456789"),
        ("nl-bsn", "BSN 111222333"),
        ("fi-hetu", "131052-308T"),
        ("se-personnummer", "personnummer 811228-9874"),
        ("be-national-number", "93.05.18-223.61"),
        ("ch-ahv", "756.9217.0769.85"),
        ("at-svnr", "SVNR 1237 010180"),
        ("ie-pps", "PPS 1234567T"),
        ("tr-tckn", "kimlik 10000000146"),
        ("za-id", "South African ID 8001015009087"),
        ("br-cpf", "529.982.247-25"),
        ("br-cnpj", "11.222.333/0001-81"),
        ("cl-rut", "12.345.678-5"),
        ("in-aadhaar", "Aadhaar 2341 2341 2346"),
        ("in-pan", "ABCPE1234F"),
        ("cn-resident-id", "11010519491231002X"),
        ("hk-hkid", "A123456(3)"),
        ("tw-id", "national ID A123456789"),
        ("sg-nric", "S1234567D"),
        ("jp-my-number", "my number 123456789018"),
        ("au-tfn", "TFN 123 456 782"),
        ("au-abn", "51 824 753 556"),
        ("au-medicare", "medicare 2123 45670 1"),
        ("nz-ird", "IRD 49-091-850"),
        ("vin", "VIN 1M8GDM9AXKP042788"),
        ("imei", "IMEI 490154203237518"),
        ("bic", "SWIFT DEUTDEFF500"),
        ("eu-vat", "DE136695976"),
        ("lei", "LEI 5493001KJTIIGC8Y1R12"),
        ("crypto-address", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"),
        (
            "crypto-address",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        ),
        (
            "passport-mrz",
            "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
        ),
        ("phone-number", "+44 20 7946 0958"),
        ("phone-number", "call (415) 555-2671"),
        ("mac-address", "00:1B:44:11:3A:B7"),
        ("ip-address", "from 93.184.216.34 to"),
        ("date-of-birth", "born 1990-04-17"),
        (
            "private-key",
            "-----BEGIN RSA PRIVATE KEY-----\\nMIIEowIBAAKCAQEA1c7+9z5Pad7OejecsQ0bu3aumNl\\n-----END RSA PRIVATE KEY-----",
        ),
        (
            "connection-string",
            "postgres://app:s3cr3tPw9@db.internal:5432/app",
        ),
        ("password", "password = \"hunter2!\""),
        ("password", "ID:master,PW:dip10Gg!"),
        ("generic-secret", "Secret Key: AIhq5Xyb1Gga9Q27"),
        (
            "generic-secret",
            "api_key: 9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c",
        ),
        (
            "bearer-token",
            "Authorization: Bearer 8f3kd92mfq0zx71bv6nw5",
        ),
        (
            "basic-auth",
            "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (
            "password-hash",
            "root:$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1:19000:0",
        ),
        (
            "private-key",
            "Private-Lines: 2\nAAAAIFdlIGFyZSBub3QgYSByZWFsIGtleSBhdCBhbGwsIG5vdCBhdCBhbGwsIG5v\nAAAA\nPrivate-MAC: 00\n",
        ),
        (
            "jwt",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        ),
    ] {
        assert!(
            ids(&format!("{text} ")).contains(&id.to_owned()),
            "{id}: {text} has {:?}",
            found(text)
        );
    }
}

/// As people type them, and as programs name them.
#[test]
fn small_letters_count_behind_a_word_and_names_are_words() {
    for (id, text) in [
        ("uk-nino", "NINO ab123456c"),
        ("uk-nino", "NINO ab 12 34 56 c"),
        ("eu-vat", "USt-ID de 136 695 976"),
        ("de-health-insurance", "Krankenversicherung: a123456780"),
        ("es-nie", "NIE x1234567l"),
        ("eu-vat", "USt-IdNr.: de136695976"),
        ("eu-vat", "VAT DE 136 695 976"),
        ("us-mbi", "MBI 1eg4-te5-mk73"),
        ("de-lanr", "LANR 123456601"),
        ("de-bsnr", "Betriebsstättennummer: 521234567"),
        ("ph-tin", "TIN 000-123-456-000"),
        ("us-itin", "customerTaxId: 912-70-1234"),
        ("us-ssn", "{\"socialSecurityNumber\":\"536904399\"}"),
        ("us-ssn", "{\"social_security_number\":\"536904399\"}"),
        ("uk-nhs", "nhsNumber=9434765919"),
        ("credit-card", "{\"cardNumber\": \"5105105105105100\"}"),
        ("date-of-birth", "dateOfBirth: 1990-04-17"),
    ] {
        assert!(
            ids(&format!("{text} ")).contains(&id.to_owned()),
            "{id}: {text} has {:?}",
            found(text)
        );
        super::is_found_however_cut(text);
    }
    for text in [
        "see ab123456c here",
        "x1234567l",
        "NINO aB123456c",
        "passport a1234567",
        "NPI 1111111112",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn placeholders_code_and_lookalikes_are_left_alone() {
    for text in [
        "password = os.environ[\"DB_PASSWORD\"]",
        "password: ${DB_PASSWORD_1}",
        "password=your_password_1",
        "api_key = settings.API_KEY_2",
        "token = tokenizer.encode(text1)",
        "api_key: <your-api-key-goes-here-1>",
        "postgres://user:password@localhost/db",
        "https://user:${PASSWORD}@host/",
        "next_token: 9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c",
        "max_tokens: 4096, total_tokens=1234567",
        "created 1763640391, updated 1763640391123, id 018f4111-1111-4111-8111-111111111111",
        "version 1.2.3.4, section 10.4.2.1, oid 1.3.101.112",
        "127.0.0.1 10.1.2.3 192.168.0.1 203.0.113.7 ::1 fe80::1 2001:db8::1 8.8.8.8",
        "commit da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "-----BEGIN PUBLIC KEY----- and -----BEGIN PRIVATE KEY----- are headers",
        "a line -----BEGIN PRIVATE KEY----- and then comes the base 64 text of the key, in lines",
        "Primary key: 9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c",
        "Reisepass: C012345678, SSN 078-05-1120",
        "total 123456789, account of 12 items, 2024-01-31 12:00:00",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn a_private_key_is_found_to_its_end_whatever_its_lines_begin_with() {
    let line = "MIIEowIBAAKCAQEA1c7+9z5Pad7OejecsQ0bu3aumNlMIIEowIBAAKCAQEA1c7/";
    for (before, header) in [
        ("", ""),
        (" *  ", "Version: GnuPG v1.4.12 (GNU/Linux)\n"),
        ("// ", "Comment: ada@example.com <keys>, at home\n"),
        ("# ", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n"),
        ("> | ", ""),
    ] {
        let end = "-----END PGP PRIVATE KEY BLOCK-----";
        let body = format!("{header}\n{}{end}", format!("{line}\n").repeat(20));
        let body = body.replace('\n', &format!("\n{before}"));
        let key = format!("-----BEGIN PGP PRIVATE KEY BLOCK-----\n{before}{body}");
        let text = format!("{key} it is");
        assert_eq!(found(&text), [("private-key".to_owned(), key)], "{text}");
        super::is_found_however_cut(&text);
    }
}

#[test]
fn postal_codes_are_no_numbers_of_persons() {
    for text in [
        "Social Security Administration, Baltimore, MD 21235-6401",
        "Taxpayer Advocate Service, Fresno, CA 93888-0014",
        "Individual taxpayer mail: Austin, TX 73301-0002",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn the_private_lines_of_a_key_are_those_that_are_counted() {
    for (count, newline) in [
        (2, "\n"),
        (2, "\r\n"),
        (14, "\n"),
        (14, "\r\n"),
        (8, "\r\n"),
    ] {
        let lines = vec!["AAAAgQCnhV8sZ0aVj7nDqW1xQp3Lk9Tb5YfRm2EoUi4CvGdHs6NzXw0PlJyKtBa"; count];
        let key = format!("Private-Lines: {count}{newline}{}", lines.join(newline));
        for end in ["Private-MAC: 5b1d", "Private-Hash: 5b1d", "and", ""] {
            let text = format!("x\n{key}{newline}{end}");
            let expected = [("private-key".to_owned(), key.clone())];
            assert_eq!(found(&text), expected, "{text}");
            super::is_found_however_cut(&text);
        }
    }
    // With a wrong count, a line of another kind ends them.
    let text = "Private-Lines: 9\nAAAAgQCnhV8sZ0aVj7nDqW1xQp3Lk9Tb5YfRm2EoUi4CvGdHs6NzXw0PlJyKtBa\nPrivate-MAC: 00";
    assert_eq!(found(text).len(), 1);
    super::is_found_however_cut(text);
    for text in [
        "Private-Lines: 0\nAAAA",
        "Private-Lines: many\nAAAA",
        "Private-Lines: 1234\nAAAA",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}
