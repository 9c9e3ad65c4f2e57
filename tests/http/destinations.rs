//! Servers fail one by one.

use tower::{Layer, ServiceExt};

use super::calls::{client, get, held, layer, spawn, text, within};
use super::server::Server;

#[tokio::test]
async fn a_server_that_is_down_does_not_hold_up_another() {
    let mut away = Server::stopped().unwrap();
    let there = Server::started().unwrap();
    let service = layer().layer(client());
    let call = spawn(&service, get(away.url("/away")));
    let links = service.links();
    held(&links, 1).await;

    for path in ["/1", "/2"] {
        let answer = service.clone().oneshot(get(there.url(path)));
        assert_eq!(text(within(answer).await.unwrap()).await, path);
        assert_eq!(links.subscribe().borrow().waiting(), 1);
    }
    let [link] = &links.status()[..] else {
        panic!("{:?}", links.status());
    };
    assert_eq!(format!("{}/", link.destination()), away.url("/"));
    assert!(!link.is_up());

    away.start().unwrap();
    let answer = within(call).await.unwrap().unwrap();
    assert_eq!(text(answer).await, "/away");
}
