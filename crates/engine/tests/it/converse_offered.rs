//! What agents bring along and is not there: their models are told, and whoever reads the log.

use domain::orchestration::event::Event;
use domain::orchestration::state::Status;
use domain::orchestration::turns::Asked;
use providers::outgoing::{Outgoing, OutgoingSettings};

use crate::converse::{models, talker, talks};
use crate::house::{assert_status, begin, clock, ended, events};
use crate::place::on_both;

#[tokio::test]
async fn a_tool_server_that_is_not_there_is_told_in_the_log() {
    on_both(async |place| {
        let sheet = "
            [[answers]]
            last = 'tool server `files`'
            text = 'I must do without it.'";
        let agent = talker("a", "[mcpServers.files]\ncommand = 'no-such-server'");
        let mut setup = talks(&clock(), vec![agent], models(sheet));
        setup.outside.outgoing = Some(Outgoing::new(OutgoingSettings::default()).unwrap());
        let house = setup.open(&place).await;
        let id = begin(&house.engine, 1).await;
        assert_status(&ended(&house.engine, id).await, Status::Complete);
        let told = events(&house.engine, id).await;
        let told = told.iter().filter_map(|recorded| match &recorded.event {
            Event::TurnRecorded { asked, missing, .. } => Some((*asked, missing.clone())),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        let (asked, missing) = &told[0];
        assert_eq!((*asked, missing.len()), (Asked::Setup, 1), "{told:?}");
        assert!(missing[0].contains("`files` is not there"), "{missing:?}");
        assert!(told[1..].iter().all(|(_, missing)| missing.is_empty()));
        house.close().await;
    })
    .await;
}
