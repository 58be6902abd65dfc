//! The path drawn in text: what was reached, and where it is broken.

use super::heard::printable;
use super::position::Position;
use super::route::{self, Route, Target};
use super::stage::Stage;
use crate::key::HostKeys;

/// The widest drawing that stays on one line pair; a wider path is drawn downwards, one hop a line.
/// 96 leaves room for Terraform's frame on a 100-column terminal.
const WIDEST: usize = 96;

/// How far a walk came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Every stage passed.
    Proven,
    /// This stage failed; those before it passed.
    Failed(Position),
    /// As `Failed`, with other words under the broken hop than that stage's usual ones.
    Broken(Position, &'static str),
    /// The walk was ended at this stage, without a verdict on it.
    Ended(Position),
    /// The walk was to end after this stage, which passed like those before it.
    Asked(Position),
}

/// The shortest that a label is cut to where a drawing has to fit: enough to tell names apart by both their ends.
const SHORTEST_LABEL: usize = 12;

/// A node of the picture: a server, or a login on it.
struct Node {
    label: String,
    /// The last position on the way to it.
    last: Position,
    /// What stands under it when all of them passed.
    reached: &'static str,
}

/// A node as it is drawn: its label, what stands under it, the link that leads to it.
type Cell = (String, String, &'static str);

/// A node as a display shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Whose it is, such as `bastion.example.com:22`.
    pub label: String,
    /// What is known of it, such as `accepted`; empty behind a broken hop.
    pub note: String,
    /// How far the way to it held.
    pub link: Link,
}

/// The way to a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It holds.
    Whole,
    /// Here the path is broken.
    Broken,
    /// The walk was ended here, without a verdict.
    Open,
    /// The walk did not come so far.
    Unwalked,
}

impl Link {
    /// Three characters.
    const fn text(self) -> &'static str {
        match self {
            Self::Whole => "---",
            Self::Broken => "-x-",
            Self::Open => "-?-",
            Self::Unwalked => "...",
        }
    }
}

/// The hops of a route behind this machine, in order.
#[must_use]
pub fn drawn(route: &Route, reach: Reach) -> Vec<Drawn> {
    let mut broken = false;
    let draw = |hop: Node| {
        let (link, note) = if broken { (Link::Unwalked, String::new()) } else { state(&hop, reach) };
        broken = broken || link != Link::Whole || matches!(reach, Reach::Asked(at) if at <= hop.last);
        Drawn { label: hop.label, note, link }
    };
    nodes(route).into_iter().map(draw).collect()
}

/// Draws a route. Each line starts with two blanks, so that Terraform does not fold it.
#[must_use]
pub fn draw(route: &Route, reach: Reach) -> String {
    let cells = cells(route, reach);
    if width(&cells) <= WIDEST { across(&cells) } else { down(&cells) }
}

/// As [`draw`], in two lines: long names lose their middles.
pub(super) fn draw_in_two_lines(route: &Route, reach: Reach) -> String {
    let mut cells = cells(route, reach);
    loop {
        let longest = cells.iter().map(|(label, ..)| label.chars().count()).max().unwrap_or(0);
        let shortened =
            |most: usize| cells.iter().map(|(label, note, link)| (shorten(label, most), note.clone(), *link)).collect::<Vec<_>>();
        let fits = (SHORTEST_LABEL..=longest).rev().map(shortened).find(|cells| width(cells) <= WIDEST);
        // Of what was not walked the beginning says enough.
        let unwalked = cells.iter().filter(|(.., link)| *link == Link::Unwalked.text()).count();
        match fits {
            Some(cells) => return across(&cells),
            None if unwalked < 2 => return across(&shortened(SHORTEST_LABEL)),
            None => cells.pop(),
        };
    }
}

fn cells(route: &Route, reach: Reach) -> Vec<Cell> {
    let vantage = (route.vantage.name().to_owned(), String::new(), "");
    let hops = drawn(route, reach).into_iter().map(|hop| (printable(&hop.label), hop.note, hop.link.text()));
    std::iter::once(vantage).chain(hops).collect()
}

fn width(cells: &[Cell]) -> usize {
    cells.iter().map(|(label, note, link)| label.chars().count().max(note.chars().count()) + link.len() + 2).sum()
}

/// Cuts a text's middle out; the ends of a name tell more than what is between them.
fn shorten(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let (head, tail) = (most / 2, most.saturating_sub(most / 2 + 1));
    text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

fn nodes(route: &Route) -> Vec<Node> {
    let mut nodes = Vec::new();
    for (leg, hop) in route.hops.iter().enumerate() {
        nodes.push(Node { label: hop.at.to_string(), last: Position::new(leg, Stage::HostKey), reached: recognised(hop) });
        let user = hop.user.iter();
        nodes.extend(user.map(|user| Node { label: format!("user {user}"), last: Position::new(leg, Stage::Sync), reached: "accepted" }));
    }
    let leg = route.hops.len();
    if let Some(target) = &route.target {
        let last = if matches!(target, Target::Tcp(_)) { Stage::Hold } else { Stage::Tls };
        nodes.push(Node { label: target.at().to_string(), last: Position::new(leg, last), reached: "reached" });
    }
    let login = route.login().into_iter();
    nodes.extend(login.map(|route::Login { user, database }| Node {
        label: format!("{user}@{database}"),
        last: Position::new(leg, Stage::Hold),
        reached: "ready",
    }));
    nodes
}

/// What is said of an SSH server that was reached.
fn recognised(hop: &route::Hop) -> &'static str {
    match hop.host_keys {
        HostKeys::Any => "reached, key not checked",
        HostKeys::Pinned { .. } => "reached, key matches",
    }
}

fn state(node: &Node, reach: Reach) -> (Link, String) {
    match reach {
        Reach::Failed(at) if at <= node.last => (Link::Broken, broken(at.stage).to_owned()),
        Reach::Broken(at, note) if at <= node.last => (Link::Broken, note.to_owned()),
        Reach::Ended(at) if at <= node.last => (Link::Open, "no verdict".to_owned()),
        Reach::Asked(at) if at < node.last => half_way(at, node),
        Reach::Failed(_) | Reach::Broken(..) | Reach::Ended(_) | Reach::Asked(_) | Reach::Proven => (Link::Whole, node.reached.to_owned()),
    }
}

/// A node on the way to which a walk was to end.
fn half_way(at: Position, node: &Node) -> (Link, String) {
    match at.stage {
        // The walk ended on an earlier leg.
        _ if at.leg < node.last.leg => (Link::Unwalked, String::new()),
        Stage::Configure | Stage::Admit => (Link::Unwalked, String::new()),
        Stage::Resolve => (Link::Unwalked, "has an address".to_owned()),
        Stage::Connect | Stage::Handshake => (Link::Whole, "connected".to_owned()),
        Stage::Login | Stage::Open => (Link::Whole, "opened".to_owned()),
        _ => (Link::Whole, node.reached.to_owned()),
    }
}

const fn broken(stage: Stage) -> &'static str {
    match stage {
        Stage::Configure => "not tried",
        Stage::Admit => "not admitted",
        Stage::Resolve => "no address",
        Stage::Connect | Stage::Dial => "not reached",
        Stage::Handshake => "no SSH session",
        Stage::HostKey => "host key refused",
        Stage::Authenticate | Stage::Login => "refused",
        Stage::Sync => "not synced",
        Stage::Forward => "forwarding refused",
        Stage::Tls => "no TLS",
        Stage::Open => "not opened",
        Stage::Ready => "not ready",
        Stage::Hold => "lost",
    }
}

fn across(cells: &[Cell]) -> String {
    let (mut top, mut bottom) = (String::from(" "), String::from(" "));
    for (label, note, link) in cells {
        let width = label.chars().count().max(note.chars().count());
        if !link.is_empty() {
            top = format!("{top} {link}");
            bottom = format!("{bottom}    ");
        }
        top = format!("{top} {label:<width$}");
        bottom = format!("{bottom} {note:<width$}");
    }
    format!("{}\n{}", top.trim_end(), bottom.trim_end())
}

fn down(cells: &[Cell]) -> String {
    let width = cells.iter().map(|(label, ..)| label.chars().count()).max().unwrap_or(0);
    let lines: Vec<_> =
        cells.iter().map(|(label, note, link)| format!("  {link:<3} {label:<width$}  {note}").trim_end().to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::route::tests::{route, two_hops};

    fn at(route: &Route, stage: Stage) -> Position {
        route.position(stage).unwrap()
    }

    #[test]
    fn a_broken_hop_is_marked_and_what_lies_behind_it_is_dotted() {
        let drawn = [
            "  here --- bastion.example.com:22 --- user tf  -x- db.internal:5432   ... app@orders",
            "           reached, key matches       accepted     forwarding refused",
        ];
        assert_eq!(draw(&route("db.internal"), Reach::Failed(Position::new(1, Stage::Forward))), drawn.join("\n"));
    }

    #[test]
    fn a_key_that_nobody_checked_does_not_match() {
        let mut route = route("db.internal");
        route.hops[0].host_keys = HostKeys::Any;
        let drawn = draw(&route, Reach::Failed(at(&route, Stage::Forward)));
        assert!(drawn.contains("reached, key not checked") && !drawn.contains("matches"), "{drawn}");
    }

    #[test]
    fn what_a_walk_was_not_to_reach_is_dotted() {
        let connected = ["  here --- bastion.example.com:22 ... user tf ... db.internal:5432 ... app@orders", "           connected"];
        assert_eq!(draw(&route("db.internal"), Reach::Asked(Position::new(0, Stage::Connect))), connected.join("\n"));
        let opened = draw(&route("db.internal"), Reach::Asked(Position::new(1, Stage::Open)));
        assert!(opened.contains("--- app@orders") && opened.ends_with(" opened"), "{opened}");
        assert!(
            draw(&route("db.internal"), Reach::Asked(Position::new(0, Stage::Resolve))).starts_with("  here ... bastion.example.com:22")
        );
    }

    #[test]
    fn a_wide_path_is_drawn_downwards() {
        let drawn = draw(&route("orders.cluster-abcdefghijkl.us-west-2.rds.amazonaws.com"), Reach::Proven);
        assert_eq!(drawn.lines().count(), 5);
        assert!(drawn.lines().all(|line| line.starts_with("  ")), "{drawn}");
        assert!(drawn.ends_with("ready"), "{drawn}");
    }

    #[test]
    fn what_nothing_is_asked_of_is_not_drawn() {
        let mut route = route("db.internal");
        route.target = None;
        let drawn = ["  here --- bastion.example.com:22 -x- user tf", "           reached, key matches       refused"];
        assert_eq!(draw(&route, Reach::Failed(at(&route, Stage::Authenticate))), drawn.join("\n"));
        route.hops[0].user = None;
        let drawn = ["  here -x- bastion.example.com:22", "           not reached"];
        assert_eq!(draw(&route, Reach::Failed(at(&route, Stage::Connect))), drawn.join("\n"));
    }

    #[test]
    fn where_room_is_short_long_names_lose_their_middles() {
        let mut route = route(&format!("{}.us-west-2.rds.amazonaws.com", "a".repeat(200)));
        assert!(draw(&route, Reach::Proven).contains(route.address(1).unwrap().host.as_str()), "else they are whole");
        route.hops[0].user = Some("somebody-with-a-name-of-32-chars".to_owned());
        let drawn = draw_in_two_lines(&route, Reach::Failed(at(&route, Stage::Forward)));
        assert_eq!(drawn.lines().count(), 2);
        assert!(drawn.lines().all(|line| line.chars().count() <= WIDEST + 2), "{drawn}");
        assert!(drawn.contains("aaaaa…") && drawn.contains(".com:5432"), "{drawn}");
    }

    #[test]
    fn every_position_breaks_exactly_one_node() {
        for route in [two_hops("db"), route("db"), Route { hops: Vec::new(), ..route("db") }] {
            for at in Stage::ALL.into_iter().filter_map(|stage| route.position(stage)) {
                assert_eq!(draw(&route, Reach::Failed(at)).matches("-x-").count(), 1, "{at:?} {route:?}");
                assert_eq!(draw(&route, Reach::Ended(at)).matches("-?-").count(), 1, "{at:?} {route:?}");
                let asked = draw(&route, Reach::Asked(at));
                assert!(!asked.contains("-?-") && !asked.contains("-x-"), "{at:?} {route:?}:\n{asked}");
            }
        }
    }
}
