//! The my-page is right whatever the order of arrival.

use super::*;

fn letter() -> Letter {
    Letter { id: 1, message_id: "msg-1".into(), chatbot_id: "0801234567".into(), ..Letter::default() }
}

type Step = fn(&mut MyMessage, &EventMetadata);

const ACCEPTED: Step = |row, seen| accepted(row, &SendSuccess { letter: letter() }, seen);
const INVALID: Step = |row, seen| {
    let policy_info = "refused".to_owned();
    invalid(row, &ValidateFailed { letter: letter(), policy_info, findings: vec![] }, seen);
};
const DELIVERED: Step = |row, seen| {
    let event = SendSucceed { letter: letter(), result: String::new(), channel: Channel::Rcs, price_won: Some(17) };
    delivered(row, &event, seen);
};
const UNDELIVERED: Step = |row, seen| {
    let event = SendFailed { letter: letter(), result: String::new(), reason: "gone".into(), expired: true };
    undelivered(row, &event, seen);
};
const CANCELED: Step = |row, seen| canceled(row, &Canceled { id: 1, message_id: "msg-1".into() }, seen);
const RECALLED: Step = |row, seen| recalled(row, &RecallGranted { id: 1, message_id: "msg-1".into() }, seen);
const REFUSED: Step = |row, seen| {
    recall_refused(row, &RecallRefused { id: 1, message_id: "msg-1".into(), reason: "already read".into() }, seen);
};

fn seen(second: i64) -> EventMetadata {
    EventMetadata {
        id: second.to_string(),
        source: "message".into(),
        event_type: format!("E{second}"),
        key: "msg-1".into(),
        time: Timestamp::from_second(second).unwrap(),
    }
}

/// Every order in which the steps can arrive.
fn orders(steps: &[(i64, Step)]) -> Vec<Vec<(i64, Step)>> {
    if steps.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for at in 0..steps.len() {
        let mut rest = steps.to_vec();
        let first = rest.remove(at);
        all.extend(orders(&rest).into_iter().map(|tail| [vec![first], tail].concat()));
    }
    all
}

#[test]
fn the_row_is_the_same_whatever_the_order_of_arrival() {
    let cases: [(&[Step], ResultWord); 9] = [
        (&[ACCEPTED], ResultWord::Accepted),
        (&[ACCEPTED, INVALID], ResultWord::ValidateFailed),
        (&[ACCEPTED, DELIVERED], ResultWord::SendSucceed),
        (&[ACCEPTED, UNDELIVERED], ResultWord::SendFailed),
        (&[ACCEPTED, CANCELED], ResultWord::Cancel),
        (&[ACCEPTED, CANCELED, DELIVERED, RECALLED], ResultWord::Cancel),
        (&[ACCEPTED, CANCELED, REFUSED], ResultWord::Accepted),
        (&[ACCEPTED, DELIVERED, CANCELED, REFUSED], ResultWord::SendSucceed),
        (&[ACCEPTED, UNDELIVERED, DELIVERED], ResultWord::SendSucceed),
    ];
    for (steps, expected) in cases {
        let steps: Vec<_> = (1..).zip(steps.iter().copied()).collect();
        let rows: Vec<_> = orders(&steps)
            .into_iter()
            .map(|order| {
                let mut row = MyMessage::default();
                for (second, step) in order {
                    step(&mut row, &seen(second));
                }
                row
            })
            .collect();
        assert_eq!(rows[0].result, expected);
        assert!(rows.iter().all(|row| *row == rows[0]), "{expected:?}");
        assert_eq!(rows[0].accepted_at, Timestamp::from_second(1).ok());
    }
}

#[test]
fn a_receipt_after_a_refused_recall_wins_and_the_history_says_that_the_cancel_came_too_late() {
    let mut row = MyMessage::default();
    for (second, step) in (1..).zip([ACCEPTED, CANCELED, REFUSED, DELIVERED]) {
        step(&mut row, &seen(second));
    }
    assert_eq!(row.result, ResultWord::SendSucceed);
    assert_eq!(row.timeline.len(), 4);
    assert_eq!(row.timeline[2].note.as_deref(), Some("the cancel came too late: already read"));
}

#[test]
fn a_row_is_listed_under_the_messages_own_id_and_reads_as_the_specification_says() {
    let mut row = MyMessage::default();
    CANCELED(&mut row, &seen(2));
    assert_eq!(row.id(), Some(1));
    ACCEPTED(&mut row, &seen(1));
    let body = serde_json::to_value(&row).unwrap();
    for field in ["id", "messageId", "userContact", "chatbotId", "description", "result", "timeline"] {
        assert!(body.get(field).is_some(), "{field}");
    }
    assert_eq!(body["result"], "CANCEL");
    assert_eq!(serde_json::from_value::<MyMessage>(body).unwrap(), row);
}
