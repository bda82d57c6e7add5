//! The endpoints of a service by name, and who may call them.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    FencingToken, Request, Role, RpcError,
    connection::{Directory, Exported, Wish},
    gateway::Mailbox,
};

/// The name under which an endpoint is started, and who reaches it: everybody, unless more is said.
#[derive(Clone, Debug)]
pub struct Publication {
    name: String,
    fence: Option<FencingToken>,
    roles: Option<Vec<Role>>,
}

impl Publication {
    /// Published under this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), fence: None, roles: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reached only by who names this leadership.
    pub fn fenced(mut self, token: FencingToken) -> Self {
        self.fence = Some(token);
        self
    }

    /// Reached, from other processes, only by these roles.
    pub fn only_for(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.roles = Some(roles.into_iter().collect());
        self
    }
}

impl From<&str> for Publication {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// Why an endpoint was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Another endpoint has the name.
    #[error("there is an endpoint `{0}` already")]
    NameTaken(String),
    /// The service stops.
    #[error("the service stops")]
    Stopping,
}

#[derive(Default)]
pub(crate) struct Registry {
    entries: RwLock<HashMap<String, Published>>,
}

struct Published {
    exported: Arc<dyn Exported>,
    publication: Publication,
}

impl Registry {
    pub(crate) fn add(&self, publication: Publication, exported: Arc<dyn Exported>) -> Result<(), StartError> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        match entries.entry(publication.name.clone()) {
            Entry::Occupied(taken) => Err(StartError::NameTaken(taken.key().clone())),
            Entry::Vacant(free) => {
                free.insert(Published { exported, publication });
                Ok(())
            }
        }
    }

    /// Frees a name, if it still belongs to this endpoint.
    pub(crate) fn remove(&self, name: &str, exported: &dyn Exported) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.get(name).is_some_and(|entry| entry.exported.is_same(exported)) {
            entries.remove(name);
        }
    }

    /// The mailbox of an endpoint of this process.
    pub(crate) fn mailbox<R: Request>(&self, wish: &Wish) -> Result<Mailbox<R>, RpcError> {
        let exported = self.find(wish, None)?;
        exported.as_any().downcast_ref::<Mailbox<R>>().cloned().ok_or_else(|| wrong_gateway(wish, &*exported))
    }

    fn find(&self, wish: &Wish, role: Option<Role>) -> Result<Arc<dyn Exported>, RpcError> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let unknown = || RpcError::UnknownEndpoint { name: wish.name.clone() };
        let Published { exported, publication } = entries.get(&wish.name).ok_or_else(unknown)?;
        if let (Some(roles), Some(role)) = (&publication.roles, role)
            && !roles.contains(&role)
        {
            return Err(RpcError::Forbidden { endpoint: wish.name.clone(), role: role.to_string() });
        }
        if exported.gateway() != wish.gateway {
            return Err(wrong_gateway(wish, &**exported));
        }
        if publication.fence != wish.token {
            let name = |token: Option<FencingToken>| token.map_or_else(|| "no leader".to_owned(), |it| it.to_string());
            let (asked, actual) = (name(wish.token), name(publication.fence));
            return Err(RpcError::Fenced { endpoint: wish.name.clone(), asked, actual });
        }
        Ok(exported.clone())
    }
}

impl Directory for Registry {
    fn open(&self, wish: &Wish, role: Role) -> Result<Arc<dyn Exported>, RpcError> {
        self.find(wish, Some(role))
    }
}

fn wrong_gateway(wish: &Wish, exported: &dyn Exported) -> RpcError {
    RpcError::WrongGateway {
        name: wish.name.clone(),
        expected: wish.gateway.clone(),
        actual: exported.gateway().to_owned(),
    }
}
