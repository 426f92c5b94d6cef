//! Tools that a request offers elsewhere than in its list, or by the names of members.

use super::*;

#[test]
fn tools_that_stand_elsewhere_than_in_the_list_are_named() {
    for (path, member, names) in [
        (
            CHAT,
            r#""search_parameters":{"mode":"auto"}"#,
            "f live_search",
        ),
        (CHAT, r#""search_parameters":{}"#, "f live_search"),
        (CHAT, r#""search_parameters":{"mode":"off"}"#, "f"),
        (
            CHAT,
            r#""compound_custom":{"tools":{"enabled_tools":["visit_website","wolfram_alpha"]}}"#,
            "f visit_website wolfram_alpha",
        ),
        (CHAT, r#""compound_custom":{}"#, "compound_custom f"),
        (CHAT, r#""preset":"mine""#, "f preset"),
        (CHAT, r#""models":["@preset/mine"]"#, "f preset"),
        (CHAT, r#""plugins":[{"id":"web"}]"#, "f web"),
        (
            RESPONSES,
            r#""prompt":{"id":"pmpt_1"}"#,
            "f prompt_template",
        ),
        (
            RESPONSES,
            r#""input":[{"type":"message"},{"type":"tool_search_output","tools":[{"type":"mcp","server_label":"x"},{"type":"namespace","name":"n","tools":[{"name":"g"}]}]}]"#,
            "f g mcp n namespace",
        ),
        (
            RESPONSES,
            r#""input":[{"type":"tool_search_output","tools":{"a":1}}]"#,
            "f tool_search_output",
        ),
    ] {
        let body = format!(
            r#"{{"model":"m","messages":[],"tools":[{{"type":"function","name":"f"}}],{member}}}"#
        );
        assert_eq!(tools(path, &body).join(" "), names, "{member}");
    }
    let path = "/v1beta/models/gemini-3-pro:generateContent";
    for (members, names) in [
        (r#""tools":[{"parallelAiSearch":{}}]"#, "parallel_ai_search"),
        (
            r#""tools":[{"functionDeclarations":[{"name":"f"}],"some_new_tool":{}}]"#,
            "f some_new_tool",
        ),
        (r#""cachedContent":"cachedContents/1""#, "cached_content"),
        (r#""cached_content":"cachedContents/1""#, "cached_content"),
    ] {
        let body = format!(r#"{{"contents":[{{}}],{members}}}"#);
        assert_eq!(tools(path, &body).join(" "), names, "{members}");
    }
}
