//! Passwords that are arguments of programs: plain words, and no word of their manuals.

use super::{PASSWORD, is_found};
use crate::tests::{found, is_found_however_cut};

#[test]
fn arguments_of_programs_are_passwords() {
    for text in [
        "htpasswd -b /etc/nginx/.htpasswd ada @",
        "htpasswd -bc .htpasswd ada @\n",
        "$ htpasswd -nb ada '@'",
        "sudo htpasswd -c -b .htpasswd ada \"@\"",
        "mosquitto_passwd -b file ada @",
        "net user ada @ /add",
        "{\"command\": \"net user ada @ /add\"}",
        "smbclient //fs/share -U ada%@",
        "cd x && smbclient -U CORP/ada%@ //fs/share",
        "lftp -u ada,@ ftp://files.internal",
        "rabbitmqctl add_user ada @",
        "rabbitmqctl change_password ada @",
        "sqlplus ada/@",
        "requirepass @\n",
        "port 6379\nrequirepass @\n",
        "user ada on >@ ~*",
        "openssl rsa -in k.pem -passin pass:@ -out k",
        "openssl pkcs12 -export -passout \"pass:@\"",
        "mysqladmin -u root password @",
        "curl -uada:@ https://a.internal/",
        "xfreerdp /u:ada /p:@ /v:host",
        "echo 'ada:@' | sudo chpasswd",
    ] {
        is_found(text, "correcthorse", "password");
    }
    is_found("sqlplus ada/@ as x", "correcthorse", "password");
    for text in [
        "net user",
        "net user ada /delete",
        "net user names stay readable",
        "the net user gets correcthorse",
        "htpasswd -c file ada correcthorse",
        "use htpasswd -b when correcthorse is known",
        "smbclient -U ada //fs/correcthorse",
        "grep -U ada%correcthorse",
        "the requirepass directive is read",
        "requirepass",
        "compass correcthorse",
        "sqlplus /nolog",
        "sqlplus / as sysdba",
        "lftp -u ada ftp://files.internal",
        "openssl rsa -passin file:correcthorse",
        "-passin env:correcthorse",
        "mysqladmin -u root status correcthorse",
        "copy /p:correcthorse",
        "echo 'ada:correcthorse' | tee file",
        "echo ada:correcthorse",
        "user ada off >correcthorse",
        "login:password:UID:GID:GECOS",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
}

#[test]
fn a_word_is_a_password_behind_an_option_of_a_program_that_has_one() {
    for text in [
        "mysql -u root --password=@ shop",
        "mysqldump --password @ shop",
        "docker login --username ada --password @ registry.internal",
        "wget --user=ada --password=@ https://a.internal/f",
        "mongodump --username ada --password '@'",
        "kubectl create secret generic db --from-literal=password=@",
        "helm install db --set auth.password=@",
        "gpg --batch --passphrase @ -d a",
        "keytool -importcert -storepass @",
    ] {
        is_found(text, "correcthorse", "password");
    }
    for text in [
        "mysql --password=password",
        "mysql -u root --password",
        "mysql --password option",
        "mysql --password prompts for it"
            .replace("prompts", "when")
            .as_str(),
        "docker login --password-stdin correcthorse",
        "frob --password correcthorse",
        "the --password correcthorse option of mysql",
        "mysql --password=\"$MYSQL_PW\"",
        "mysql --password\ncorrecthorse",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn a_pair_of_a_user_and_a_password_is_one_of_words() {
    for text in [
        "requests.get(url, auth=(\"ada\", \"@\"))",
        "requests.post(url, auth = ('ada','@'))",
        "{\"username\": \"ada\", \"password\": \"@\"}",
        "auth: { user: 'ada', pass: '@' }",
        "CREATE USER ada WITH PASSWORD '@';",
        "ALTER ROLE ada PASSWORD '@';",
        "SET PASSWORD FOR ada = PASSWORD('@');",
    ] {
        is_found(text, "correcthorse", "password");
    }
    for text in [
        "auth=(\"user\", \"password\")",
        "pair=(\"ada\", \"correcthorse\")",
        "{\"username\": \"User name\", \"password\": \"Password\"}",
        "{\"username\": \"string\", \"password\": \"string\"}",
        "{\"colour\": \"red\", \"password\": \"correcthorse\"}",
        "the role of a PASSWORD 'correcthorse'",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
    for text in ["Authorization: ApiKey @", "\"Authorization\": \"Key @\""] {
        is_found(text, super::TOKEN, "bearer-token");
    }
    assert_eq!(found("Authorization: ApiKey required"), []);
}

#[test]
fn values_are_told_by_their_number_in_a_list() {
    for text in [
        "INSERT INTO users (username, password) VALUES ('ada', '@');",
        "insert into users (id, username, password, role) values (1, 'ada', '@', 'user')",
        "INSERT INTO `u` (`name`,`pwd`) VALUES ('ada','@'),('bob','x')",
        "INSERT INTO u (name, password) VALUES ('a', 'b'), ('ada', '@')",
    ] {
        is_found(text, PASSWORD, "password");
    }
    for text in [
        "mysqli_connect(\"localhost\", \"root\", \"@\", \"app\");",
        "new PDO('mysql:host=db;dbname=app', 'ada', '@');",
        "DriverManager.getConnection(url, \"ada\", \"@\")",
    ] {
        is_found(text, "correcthorse", "password");
    }
    for text in [
        "INSERT INTO users (username, password) VALUES ('ada', ?)",
        "INSERT INTO users (username, colour) VALUES ('ada', 'tr0ub4dor!Ex')",
        "INSERT INTO users (username, password) VALUES (:name, :password)",
        "mysqli_connect(\"localhost\", \"root\", \"\", \"app\");",
        "mysqli_connect($host, $user, $password1, $db);",
        "connect(\"localhost\", \"root\", \"tr0ub4dor!Ex\")",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
}

#[test]
fn a_data_source_has_the_password_of_its_user() {
    for (text, value) in [
        (
            "sql.Open(\"mysql\", \"ada:hunter2x@tcp(db:3306)/app\")",
            "hunter2x",
        ),
        (
            "DSN=ada:correcthorse@unix(/tmp/mysql.sock)/app",
            "correcthorse",
        ),
    ] {
        let expected = [("connection-string".to_owned(), value.to_owned())];
        assert_eq!(found(text), expected, "{text}");
        is_found_however_cut(text);
    }
    for text in [
        "\"ada:${PASSWORD}@tcp(db:3306)/app\"",
        "\"ada:hunter2x@tcp\"",
        "a:b:c@tcp(db)",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
}
