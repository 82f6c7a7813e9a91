//! What was set at run time, over what the file says.
//!
//! Each entity (a provider, a team, …) and each field of a section has one owner. What was set at run time replaces what
//! the file said then; it remembers that by a hash. A file that says something else later has the last word: it wins, and
//! whoever reads [`Merged::superseded`] says so. Nothing is merged within an entity, nothing is resolved or checked here.

use std::collections::{BTreeMap, HashMap, HashSet};

use ring::digest;
use serde_json::{Map, Value};

use crate::config::document::{Amended, Document};
use crate::config::problem::child;

/// Where an entity stands in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    Provider,
    Team,
    Customer,
    ModelConfig,
    ProviderGovernance,
    RoutingRule,
    VirtualKey,
    /// A field of a section; its id is its pointer without the first slash, as `client/allow_direct_keys`.
    Field,
}

/// An entity by where it stands and its id.
pub type Place = (Slot, String);

/// One entity as it was set at run time.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// As it would stand in the file; `None`: taken away.
    pub body: Option<Value>,
    /// [`hash`] of what the file said then; `None`: nothing.
    pub replaces: Option<String>,
    /// That of its last change.
    pub revision: u64,
}

/// All that was set at run time. Of virtual keys only those that replace one of the file's: the others are too many to be
/// compiled with each change, and stand beside the configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overlay {
    pub layers: BTreeMap<Place, Layer>,
}

/// Who says what an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    File,
    /// A provider that is there because its variable is set.
    Environment,
    Store {
        revision: u64,
        /// The file has one too, which does not count.
        overrides_file: bool,
    },
}

/// A configuration with what was set at run time.
#[derive(Debug, Clone)]
pub struct Merged {
    pub document: Document,
    /// Who owns what is not simply the file's.
    pub sources: HashMap<Place, Source>,
    /// What was set at run time and does not count any more: the file says something new of it.
    pub superseded: Vec<Place>,
}

impl Slot {
    /// Where the list or map of this kind stands; `None` for fields, which stand anywhere.
    #[must_use]
    pub fn pointer(self) -> Option<&'static str> {
        match self {
            Self::Provider => Some("/providers"),
            Self::Team => Some("/governance/teams"),
            Self::Customer => Some("/governance/customers"),
            Self::ModelConfig => Some("/governance/model_configs"),
            Self::ProviderGovernance => Some("/governance/providers"),
            Self::RoutingRule => Some("/governance/routing_rules"),
            Self::VirtualKey => Some("/governance/virtual_keys"),
            Self::Field => None,
        }
    }

    /// The id of an entity of a list.
    #[must_use]
    pub fn id_of(self, entity: &Value) -> Option<String> {
        let text = |name: &str| {
            entity.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        match self {
            Self::Provider | Self::Field => None,
            Self::ProviderGovernance => text("name"),
            Self::ModelConfig => text("id").or_else(|| match (text("provider"), text("model_name")?) {
                (Some(provider), model) => Some(format!("{provider}/{model}")),
                (None, model) => Some(model),
            }),
            _ => text("id").or_else(|| text("name")),
        }
    }
}

/// The lists, in the order in which they are merged.
const LISTS: [Slot; 6] = [
    Slot::Team,
    Slot::Customer,
    Slot::ModelConfig,
    Slot::ProviderGovernance,
    Slot::RoutingRule,
    Slot::VirtualKey,
];

/// SHA-256 of an entity, whatever the order of its fields.
#[must_use]
pub fn hash(entity: &Value) -> String {
    let mut text = String::new();
    canonical(entity, &mut text);
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// `overlay` over `file`. `named` are the providers that are there without being in the file.
#[must_use]
pub fn merge(file: &Document, overlay: &Overlay, named: &[&str]) -> Merged {
    let mut merging = Merging {
        root: file.root.clone(),
        overlay,
        sources: HashMap::new(),
        superseded: Vec::new(),
        amended: Amended::default(),
    };
    merging.providers(named);
    LISTS.into_iter().for_each(|slot| merging.list(slot));
    merging.fields();
    let Merging { root, sources, superseded, amended, .. } = merging;
    Merged { document: file.amended(root, amended), sources, superseded }
}

/// What the file says of a place; `None`: nothing.
#[must_use]
pub fn said<'d>(file: &'d Document, slot: Slot, id: &str) -> Option<&'d Value> {
    let at = match slot.pointer() {
        None => return file.root.pointer(&format!("/{id}")),
        Some(pointer) => file.root.pointer(pointer)?,
    };
    match at {
        Value::Object(map) => map.get(id),
        Value::Array(list) => list.iter().find(|entity| slot.id_of(entity).as_deref() == Some(id)),
        _ => None,
    }
}

struct Merging<'o> {
    root: Value,
    overlay: &'o Overlay,
    sources: HashMap<Place, Source>,
    superseded: Vec<Place>,
    amended: Amended,
}

impl Merging<'_> {
    fn layers(&self, slot: Slot) -> Vec<(String, Layer)> {
        let of =
            |((found, id), layer): (&Place, &Layer)| (*found == slot).then(|| (id.clone(), layer.clone()));
        self.overlay.layers.iter().filter_map(of).collect()
    }

    /// Whether the layer counts beside what the file says now; who owns the place is noted.
    fn counts(&mut self, place: Place, layer: &Layer, file: Option<&Value>) -> bool {
        let now = file.map(hash);
        // A file that says nothing of it any more contradicts nobody.
        if now.is_some() && now != layer.replaces {
            self.superseded.push(place);
            return false;
        }
        let source = Source::Store { revision: layer.revision, overrides_file: now.is_some() };
        self.sources.insert(place, source);
        true
    }

    fn providers(&mut self, named: &[&str]) {
        let layers = self.layers(Slot::Provider);
        let empty = self.root.get("providers").and_then(Value::as_object).is_none_or(Map::is_empty);
        if empty {
            named.iter().for_each(|name| {
                self.sources.insert((Slot::Provider, (*name).to_owned()), Source::Environment);
            });
        }
        if layers.is_empty() {
            return;
        }
        let mut providers = match self.root.get("providers") {
            Some(Value::Object(map)) => map.clone(),
            // Without any in the file those of the environment are there, and they stay.
            None => Map::new(),
            // Not what it should be: that is said of the file alone.
            Some(_) => return,
        };
        if empty {
            providers = named.iter().map(|name| ((*name).to_owned(), Value::Object(Map::new()))).collect();
        }
        for (id, layer) in layers {
            let said = if empty { None } else { providers.get(&id).cloned() };
            if !self.counts((Slot::Provider, id.clone()), &layer, said.as_ref()) {
                continue;
            }
            self.amended.replaced.insert(child("/providers", &id));
            match layer.body {
                Some(body) => drop(providers.insert(id, body)),
                None => drop(providers.remove(&id)),
            }
        }
        self.put("/providers", Value::Object(providers));
    }

    fn list(&mut self, slot: Slot) {
        let Some(pointer) = slot.pointer() else { return };
        let layers = self.layers(slot);
        if layers.is_empty() {
            return;
        }
        let file = match self.root.pointer(pointer) {
            Some(Value::Array(list)) => list.clone(),
            None => Vec::new(),
            Some(_) => return,
        };
        let mut layers: BTreeMap<String, Layer> = layers.into_iter().collect();
        let (mut merged, mut moved) = (Vec::with_capacity(file.len()), Vec::with_capacity(file.len()));
        let mut seen = HashSet::new();
        for entity in file {
            let id = slot.id_of(&entity);
            // The second of two with one id is a fault of the file, and stays where it is.
            let layer = id.as_ref().filter(|id| seen.insert((*id).clone())).and_then(|id| layers.remove(id));
            let kept = match (id, layer) {
                (Some(id), Some(layer)) if self.counts((slot, id.clone()), &layer, Some(&entity)) => {
                    moved.push(None);
                    layer.body
                }
                _ => {
                    moved.push(Some(merged.len()));
                    Some(entity)
                }
            };
            if let (Some(_), Some(None)) = (&kept, moved.last()) {
                self.amended.replaced.insert(child(pointer, &merged.len().to_string()));
            }
            merged.extend(kept);
        }
        for (id, layer) in layers {
            if self.counts((slot, id), &layer, None)
                && let Some(body) = layer.body
            {
                self.amended.replaced.insert(child(pointer, &merged.len().to_string()));
                merged.push(body);
            }
        }
        self.amended.moved.insert(pointer.to_owned(), moved);
        self.put(pointer, Value::Array(merged));
    }

    fn fields(&mut self) {
        for (id, layer) in self.layers(Slot::Field) {
            let pointer = format!("/{id}");
            let said = self.root.pointer(&pointer).cloned();
            if !self.counts((Slot::Field, id), &layer, said.as_ref()) {
                continue;
            }
            self.amended.replaced.insert(pointer.clone());
            match layer.body {
                Some(body) => self.put(&pointer, body),
                None => self.take(&pointer),
            }
        }
    }

    /// Sets what stands at `pointer`; objects on the way are made. What stands in the way stays: that is said of it.
    fn put(&mut self, pointer: &str, value: Value) {
        let mut at = &mut self.root;
        let mut names: Vec<String> = pointer.split('/').skip(1).map(plain).collect();
        let Some(last) = names.pop() else { return };
        for name in names {
            let Value::Object(map) = at else { return };
            at = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
        }
        if let Value::Object(map) = at {
            map.insert(last, value);
        }
    }

    fn take(&mut self, pointer: &str) {
        let Some((parent, name)) = pointer.rsplit_once('/') else { return };
        if let Some(Value::Object(map)) = self.root.pointer_mut(parent) {
            map.remove(&plain(name));
        }
    }
}

fn plain(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            out.push('{');
            for (name, inner) in sorted {
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                canonical(inner, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for inner in items {
                canonical(inner, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
#[path = "overlay/tests.rs"]
mod tests;
