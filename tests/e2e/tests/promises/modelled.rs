//! The simulator's model of the control plane and its database is held against the real ones:
//! random lists of commands to both, and they agree in what nodes are told of each and in what
//! they read after it. One list of each run is drawn from the day, and `PORTHOUSE_MODEL_SEED`
//! draws it again; what was drawn is in the message of what disagreed.

mod names;
mod real;
mod rules;
mod transactions;
mod watched;

use std::time::{SystemTime, UNIX_EPOCH};

use porthouse_e2e::house::House;
use porthouse_sim::{Command, Modelled};

use names::Names;
use real::Real;

const COMMANDS: usize = 300;

/// The seed that is another in another run: the day's, unless one is named.
#[expect(clippy::disallowed_methods, reason = "the day, and no span of time")]
fn seed_of_the_run() -> u64 {
    let named = std::env::var("PORTHOUSE_MODEL_SEED").ok();
    let named = named.map(|seed| seed.parse().expect("PORTHOUSE_MODEL_SEED is a number"));
    let day = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.expect("a clock that was set").as_secs() / 86_400
    };
    let seed = named.unwrap_or_else(day);
    println!("PORTHOUSE_MODEL_SEED={seed}");
    seed
}

/// A list that is the same in each run, as a test of its own.
macro_rules! lists {
    ($($name:ident: $seed:literal),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() {
            agrees($seed).await;
        })*
    };
}

lists! {
    the_model_of_the_control_plane_agrees_with_the_real_one: 1,
    it_agrees_in_the_second_list: 2,
    it_agrees_in_the_third_list: 3,
    it_agrees_in_the_fourth_list: 4,
    it_agrees_in_the_fifth_list: 5,
    it_agrees_in_the_sixth_list: 6,
    it_agrees_in_the_seventh_list: 7,
}

#[tokio::test]
async fn the_model_agrees_in_a_list_that_is_another_each_day() {
    agrees(seed_of_the_run()).await;
}

async fn agrees(seed: u64) {
    let house = House::start().await;
    let mut model = Modelled::new(seed);
    let mut of_model = Names::new(Modelled::users().collect());
    let mut real = Real::new(house.backend()).await;
    for step in 0..COMMANDS {
        let command = model.draw();
        let told = model.apply(&command);
        let heard = real.apply(&command).await;
        let told = told.map(|change| of_model.told(&change));
        let heard = heard.map(|change| real.names.told(&change));
        assert_eq!(told, heard, "seed {seed}, {step}: {command:?}");
        if let Command::OpenSession { .. } | Command::OpenDevice { .. } = command {
            let (id, token) = model.youngest();
            of_model.opened(id, token);
        }
        let about = real.names.all();
        let found = real.resolve(&real.names.keys(&about)).await;
        let expected = model.resolve(&of_model.keys(&about));
        for ((about, found), expected) in about.iter().zip(&found).zip(&expected) {
            assert_eq!(
                of_model.found(expected),
                real.names.found(found),
                "seed {seed}, {about:?} after {step}: {command:?}"
            );
        }
    }
    house.close().await;
}
