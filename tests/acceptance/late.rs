//! A bastion and a name that come up long after the apply began: a longer `verify.timeout` waits for them.

use std::time::Duration;

use crate::support::Bench;

/// How much later the bastion and the name of the database come than the apply that needs them: longer than a check waits by default.
const BASTION: Duration = Duration::from_secs(90);
const NAME: Duration = Duration::from_secs(70);

#[test]
fn a_bastion_that_starts_late_is_waited_for() {
    let bench = Bench::new();
    bench.lab.bastion.stop().unwrap();
    let block = bench.connection().set("verify", "{ timeout = \"5m\" }");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(BASTION);
            bench.lab.bastion.start_again().unwrap();
        });
        bench.settle(&[&block]);
    });
}

#[test]
fn a_database_whose_name_comes_late_is_waited_for() {
    const DATABASE: &str = "new.database.internal";
    let bench = Bench::new();
    let block = bench.connection().text("host", DATABASE).text("sslmode", "verify-ca").set("verify", "{ wait = { reach = \"3m\" } }");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(NAME);
            bench.lab.bastion.add_host(DATABASE, "127.0.0.1").unwrap();
        });
        bench.settle(&[&block]);
    });
}
