use super::*;

const OPEN: Situation = Situation {
    retries_left: true,
    other_key: true,
    fallback_left: true,
    answer_begun: false,
    retry_forbidden: false,
};

#[test]
fn the_table_in_the_docs_is_the_table_in_the_code() {
    let documented: Vec<(String, String)> = include_str!("../verdict.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .filter(|row| !row.starts_with("Class"))
        .map(|row| {
            let mut cells = row.split(" | ");
            (cells.next().unwrap().to_owned(), cells.next().unwrap().to_owned())
        })
        .collect();
    let coded: Vec<(String, String)> = FaultClass::ALL
        .iter()
        .map(|class| (class.label().to_owned(), class.verdict().label().to_owned()))
        .collect();
    assert_eq!(documented, coded);
}

#[test]
fn all_lists_every_class_once_in_order() {
    for (index, class) in FaultClass::ALL.iter().enumerate() {
        assert_eq!(*class as usize, index);
    }
    assert_eq!(FaultClass::Internal as usize + 1, FaultClass::ALL.len());
}

#[test]
fn nothing_is_tried_once_the_answer_has_begun() {
    for class in FaultClass::ALL {
        assert_eq!(decide(class, Situation { answer_begun: true, ..OPEN }), Verdict::Stop);
    }
}

#[test]
fn with_everything_open_the_first_choice_is_taken() {
    for class in FaultClass::ALL {
        assert_eq!(decide(class, OPEN), class.verdict());
    }
}

#[test]
fn what_cannot_be_done_falls_through_to_failover_then_stop() {
    let last = Situation { fallback_left: false, ..OPEN };
    let spent = Situation { retries_left: false, ..OPEN };
    let lone = Situation { other_key: false, ..OPEN };
    let forbidden = Situation { retry_forbidden: true, ..OPEN };
    assert_eq!(decide(FaultClass::Overloaded, spent), Verdict::Failover);
    assert_eq!(decide(FaultClass::Overloaded, forbidden), Verdict::Failover);
    assert_eq!(decide(FaultClass::Overloaded, lone), Verdict::Retry);
    assert_eq!(decide(FaultClass::Overloaded, Situation { retries_left: false, ..last }), Verdict::Stop);
    assert_eq!(decide(FaultClass::Authentication, lone), Verdict::Failover);
    assert_eq!(decide(FaultClass::Authentication, forbidden), Verdict::RetryOtherKey);
    assert_eq!(decide(FaultClass::Authentication, Situation { other_key: false, ..last }), Verdict::Stop);
    assert_eq!(decide(FaultClass::ContextLength, last), Verdict::Stop);
    assert_eq!(decide(FaultClass::TtftTimeout, last), Verdict::Stop);
}

#[test]
fn a_stop_is_never_routed_around() {
    for class in FaultClass::ALL.into_iter().filter(|class| class.verdict() == Verdict::Stop) {
        for bits in 0..16_u8 {
            let on = |bit: u8| bits & bit != 0;
            let situation = Situation {
                retries_left: on(1),
                other_key: on(2),
                fallback_left: on(4),
                answer_begun: false,
                retry_forbidden: on(8),
            };
            assert_eq!(decide(class, situation), Verdict::Stop, "{}", class.label());
        }
    }
}
