//! The path as a Mermaid flowchart, for a ticket or a page.

use crate::check::Survey;
use crate::path::picture::{Link, Reach, drawn};
use crate::path::route::Route;

/// One node a hop; the broken way is crossed and its hop red. `proven` is how far the walk came if nothing failed.
pub(super) fn flowchart(route: &Route, survey: &Survey, proven: Reach) -> String {
    let reach = survey.verdict.as_ref().map_or_else(|diagnosis| diagnosis.reach(), |_| proven);
    let mut chart = "flowchart LR\n  h0([\"here\"])\n".to_owned();
    if let Err(diagnosis) = &survey.verdict {
        chart = format!("%% {}: {}\n{chart}", diagnosis.code(), diagnosis.summary());
    }
    for (number, hop) in drawn(route, reach).into_iter().enumerate() {
        let link = match hop.link {
            Link::Whole => "-->",
            Link::Broken => "--x",
            Link::Open => "-.->",
            Link::Unwalked => "-.-",
        };
        let note = if hop.note.is_empty() { String::new() } else { format!("<br/>{}", escaped(&hop.note)) };
        let to = number + 1;
        chart.push_str(&format!("  h{number} {link} h{to}[\"{}{note}\"]\n", escaped(&hop.label)));
        if hop.link == Link::Broken {
            chart.push_str(&format!("  style h{to} stroke:#c00,stroke-width:3px\n  linkStyle {number} stroke:#c00\n"));
        }
    }
    chart
}

/// Names are the user's own; none of their characters may end a label.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_alphanumeric() || " .,:@-_[]".contains(c) { c.to_string() } else { format!("#{};", u32::from(c)) })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::path::cause::Cause;
    use crate::path::diagnosis::Diagnosis;
    use crate::path::heard::Heard;
    use crate::path::position::Position;
    use crate::path::route::Target;
    use crate::path::route::tests::route;
    use crate::path::stage::Stage;

    #[test]
    fn the_broken_hop_is_crossed_and_no_name_breaks_the_chart() {
        let mut route = route("db.internal");
        let Some(Target::Postgres { login: Some(login), .. }) = &mut route.target else { panic!("no login") };
        login.database = "a\"]\n<b>".to_owned();
        let (at, took, heard) = (Position::new(1, Stage::Forward), Duration::ZERO, Heard::default());
        let diagnosis = Diagnosis { at, cause: Cause::ForwardProhibited, heard, route: route.clone(), public_key: None, took, tries: 1 };
        let survey = Survey { path: Vec::new(), verdict: Err(Box::new(diagnosis)) };
        let chart = flowchart(&route, &survey, Reach::Proven);
        let lines = [
            "%% forward/prohibited: The bastion refuses to forward to the database",
            "flowchart LR",
            "  h0([\"here\"])",
            "  h0 --> h1[\"bastion.example.com:22<br/>reached, key matches\"]",
            "  h1 --> h2[\"user tf<br/>accepted\"]",
            "  h2 --x h3[\"db.internal:5432<br/>forwarding refused\"]",
            "  style h3 stroke:#c00,stroke-width:3px",
            "  linkStyle 2 stroke:#c00",
            "  h3 -.- h4[\"app@a#34;]#10;#60;b#62;\"]",
        ];
        assert_eq!(chart.lines().collect::<Vec<_>>(), lines);
    }
}
