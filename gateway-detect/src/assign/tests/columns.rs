//! Secrets below the names of their columns.

use super::{PASSWORD, TOKEN, is_found};
use crate::tests::{found, is_found_however_cut};

#[test]
fn the_name_of_a_column_says_what_its_cells_are() {
    for text in [
        "| User | Password |\n|------|----------|\n| ada | @ |\n",
        "| Password | User |\n|---|---|\n| x | bob |\n| `@` | ada |\n",
        " id | name | password \n----+------+---------\n 1 | ada | @\n",
        "username,password,role\nada,@,admin\n",
        "id,db_password\n1,x\n2,@",
        "id;password;role\n1;@;x\n",
    ] {
        is_found(text, PASSWORD, "password");
    }
    is_found(
        "| Service | API token |\n|---|---|\n| shop | @ |\n",
        TOKEN,
        "generic-secret",
    );
    for text in [
        "| User | Colour |\n|------|----------|\n| ada | tr0ub4dor!Ex |\n",
        "| User | Password |\n|------|----------|\n| tr0ub4dor!Ex | sunshine |\n",
        "| Setting | Password |\n|---|---|\n| length | at least 8 |\n",
        "| Field | Password |\n|---|---|\n| kind | string |\n",
        "name,password\nada,sunshine\n",
        "f(username,password)\ng(ada,x1-y2z3)\n",
        "a || tr0ub4dor!Ex",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
}
