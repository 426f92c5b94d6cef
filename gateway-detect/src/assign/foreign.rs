//! Names of secrets in other languages that are in other letters than those of English, or of more than one word.

use super::Said;

/// What a name says that is a word of another language: in other letters than those of English, or of more than one word.
pub(super) fn foreign(name: &[u8]) -> Said {
    // Of nine bytes with an exit at the first that is not ASCII, each costs a step.
    let ascii = name.last_chunk::<LONGEST_TAIL>().map_or_else(
        || name.is_ascii(),
        |end| end.iter().fold(0, |all, byte| all | byte).is_ascii(),
    );
    let among = |all: &[&str]| {
        all.iter().any(|word| {
            let from = name.len().checked_sub(word.len());
            from.is_some_and(|from| name[from..].eq_ignore_ascii_case(word.as_bytes()))
        })
    };
    match ascii {
        false if among(&FOREIGN) => Said::Password,
        false if among(&FOREIGN_KEYS) => Said::Secret,
        true if matches!(name, [.., b'A' | b'a', b'P' | b'p', b'I' | b'i']) && among(&APIS) => {
            Said::Secret
        }
        _ => Said::Nothing,
    }
}

/// Words for a password in other letters than these; each has such a letter within its last [`LONGEST_TAIL`] bytes.
const FOREIGN: [&str; 40] = [
    "jelszó",
    "Jelszó",
    "mật khẩu",
    "Mật khẩu",
    "كلمة المرور",
    "كلمة السر",
    "كلمة مرور",
    "รหัสผ่าน",
    "पासवर्ड",
    "Κωδικός",
    "συνθηματικό",
    "סיסמא",
    "парола",
    "Парола",
    "лозинка",
    "口令",
    "暗証番号",
    "암호",
    "패스워드",
    "رمز عبور",
    "گذرواژه",
    "lykilorð",
    "slaptažodis",
    "পাসওয়ার্ড",
    "contraseña",
    "Contraseña",
    "hasło",
    "Hasło",
    "lösenord",
    "şifre",
    "Şifre",
    "parolă",
    "пароль",
    "Пароль",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
    "κωδικός",
    "סיסמה",
];
/// Words for a key in other letters, as those of [`FOREIGN`].
const FOREIGN_KEYS: [&str; 30] = [
    "токен",
    "Токен",
    "секретный ключ",
    "令牌",
    "トークン",
    "토큰",
    "clé secrète",
    "API klíč",
    "API-nøkkel",
    "API-nøgle",
    "khóa API",
    "مفتاح API",
    "API anahtarı",
    "κλειδί API",
    "מפתח API",
    "คีย์ API",
    "ключ доступа",
    "ключ к API",
    "clé API",
    "clé d'API",
    "ключ API",
    "API-ключ",
    "API ключ",
    "schlüssel",
    "APIキー",
    "密钥",
    "密鑰",
    "金鑰",
    "API 키",
    "API키",
];
/// What the key of an interface is called, which its name ends.
const APIS: [&str; 7] = [
    "clave API",
    "clave de API",
    "chave API",
    "chave de API",
    "chave da API",
    "chiave API",
    "klucz API",
];
/// So many bytes of ASCII at most end one of them.
const LONGEST_TAIL: usize = 9;
