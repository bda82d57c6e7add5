//! The models themselves are tested: each memory ordering is weakened alone, and a model must notice.

use dora_channel::protocol::order::{Site, mutate};

use crate::{
    check,
    deaths::{consumer_dies_reading, consumer_goes_with_a_sample, consumer_is_replaced},
    queues::{drop_oldest, end_of_stream, two_holders},
    waits::{blocked_sender, doorbell, sender_waits_for_memory},
};

/// The models that catch each ordering when it is weakened.
fn catching(site: Site) -> Vec<fn()> {
    match site {
        Site::TailPublish | Site::TailSeen => vec![|| drop_oldest(1, 1, 2, 2)],
        Site::HeadPop | Site::FullSeesPop => vec![|| blocked_sender(1, 1, 2), || consumer_is_replaced(false, 3)],
        Site::HeadEvict | Site::PopSeesEvict => vec![|| drop_oldest(1, 1, 2, 3)],
        Site::StateSet | Site::StateSeen => {
            vec![|| end_of_stream(false), || consumer_goes_with_a_sample(false), consumer_dies_reading, || {
                consumer_is_replaced(false, 2)
            }]
        }
        Site::HolderRelease | Site::HolderFree => vec![two_holders, || drop_oldest(1, 1, 2, 2)],
        Site::BellSleepFence | Site::BellWakeFence => vec![|| doorbell(1, 1, false), sender_waits_for_memory],
        Site::RoomFence => vec![|| blocked_sender(1, 1, 2)],
    }
}

/// What a model says when it fails; `None` if it passes. On a thread of its own: the mutation belongs to the thread.
fn failure(site: Option<Site>, model: fn()) -> Option<String> {
    let checked = std::thread::spawn(move || {
        mutate(site);
        check("mutated", Some(3), model);
    });
    let panic = checked.join().err()?;
    let message = panic.downcast_ref::<String>().cloned();
    Some(message.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default())
}

#[test]
fn each_weakened_ordering_is_caught() {
    for site in Site::ALL {
        for (number, model) in catching(site).into_iter().enumerate() {
            let message = failure(Some(site), model);
            let message = message.unwrap_or_else(|| panic!("{site:?} weakened, and model {number} passes"));
            eprintln!("{site:?}, model {number}: {}", message.lines().next().unwrap_or_default());
            assert!(!message.contains("number of branches"), "{site:?}: the model did not end, which proves nothing");
            assert_eq!(failure(None, model), None, "model {number} of {site:?} fails although nothing is weakened");
        }
    }
}
