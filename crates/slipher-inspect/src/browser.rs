//! The page of `slipher inspect`, on the loopback address only: each request needs the token that is
//! in the address of the page, a Host of this machine, and no foreign Origin.

mod guard;
mod routes;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::{InspectError, Session};

pub use guard::{Refused, allowed, token};

/// What the handlers share.
pub(crate) struct Shared {
    pub(crate) session: Session,
    pub(crate) token: String,
}

/// A server that listens.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Server {
    /// Listens on a port of the loopback address; 0 takes a free one.
    ///
    /// # Errors
    /// The port is in use.
    pub fn new(session: Session, port: u16) -> Result<Server, InspectError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_io()
            .build()?;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = runtime.block_on(TcpListener::bind(at)).map_err(|e| {
            InspectError::Asked(format!("port {port}: {e}; --port 0 takes a free one"))
        })?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            session,
            token: token(),
        });
        Ok(Server {
            runtime,
            listener,
            shared,
            address,
        })
    }

    /// The address of the page.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", self.address, self.shared.token)
    }

    /// Opens the page in the user's browser, if there is one.
    pub fn open_browser(&self) -> bool {
        open::that_detached(self.url()).is_ok()
    }

    /// Answers until the program ends.
    ///
    /// # Errors
    /// The network fails.
    pub fn run(self) -> Result<(), InspectError> {
        let app = routes::router(self.shared);
        let served = async { axum::serve(self.listener, app).await };
        Ok(self.runtime.block_on(served)?)
    }
}

#[cfg(test)]
mod tests;
