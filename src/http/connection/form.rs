//! The form in which a request goes out, and back.

use http::header::{HOST, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};

/// What has to be undone so that a request is as it was given.
#[derive(Debug, Default)]
pub(super) struct Undo {
    uri: Option<Uri>,
    host_added: bool,
}

impl Undo {
    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(super) fn apply<B>(self, mut request: Request<B>) -> Request<B> {
        if let Some(uri) = self.uri {
            *request.uri_mut() = uri;
        }
        if self.host_added {
            request.headers_mut().remove(HOST);
        }
        request
    }
}

/// Puts an absolute URI into origin form, and its authority into `Host` (RFC 9112 §3.2).
///
/// A URI that is only a path stays as it is, and so does that of a CONNECT, which is an authority.
pub(super) fn origin_form<B>(request: &mut Request<B>) -> Undo {
    if request.method() == Method::CONNECT {
        return Undo::default();
    }
    let Some(authority) = request.uri().authority() else {
        return Undo::default();
    };
    let mut host_added = false;
    if !request.headers().contains_key(HOST) {
        // An authority may have credentials, which are nobody's business.
        let host = match authority.as_str().rsplit_once('@') {
            Some((_, host)) => HeaderValue::from_str(host),
            None => HeaderValue::from_str(authority.as_str()),
        };
        if let Ok(host) = host {
            request.headers_mut().insert(HOST, host);
            host_added = true;
        }
    }
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let uri = Some(std::mem::replace(request.uri_mut(), Uri::from(path)));
    Undo { uri, host_added }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(request: Request<()>) -> (String, Option<String>) {
        let mut request = request;
        let given = (request.uri().clone(), request.headers().clone());
        let undo = origin_form(&mut request);
        let host = request.headers().get(HOST);
        let host = host.map(|host| host.to_str().unwrap().to_owned());
        let sent = (request.uri().to_string(), host);
        let back = undo.apply(request);
        assert_eq!((back.uri(), back.headers()), (&given.0, &given.1));
        sent
    }

    fn get(uri: &str) -> Request<()> {
        Request::get(uri).body(()).unwrap()
    }

    #[test]
    fn it_is_sent_in_origin_form_with_a_host_and_handed_back_as_given() {
        let host = |host: &str| Some(host.to_owned());
        assert_eq!(
            sent(get("http://a.example:81/b?c=d")),
            ("/b?c=d".into(), host("a.example:81"))
        );
        assert_eq!(
            sent(get("http://u:p@a.example")),
            ("/".into(), host("a.example"))
        );
        assert_eq!(sent(get("/only/a/path")), ("/only/a/path".into(), None));
    }

    #[test]
    fn what_the_caller_has_set_stays() {
        let mut request = get("http://10.0.0.1/b");
        let name = HeaderValue::from_static("a.example");
        request.headers_mut().insert(HOST, name);
        assert_eq!(sent(request), ("/b".into(), Some("a.example".into())));
        let connect = Request::connect("a.example:443").body(()).unwrap();
        assert_eq!(sent(connect), ("a.example:443".into(), None));
    }
}
