//! The modules of a crate, which of them import from which, and the circles that they are in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree};

use crate::run::{Outcome, about, workspace};

/// A path of names, from the root of the crate.
type Name = Vec<String>;

/// The modules of a crate.
pub struct Modules {
    modules: BTreeMap<Name, Module>,
}

#[derive(Default)]
struct Module {
    file: PathBuf,
    /// The imported items, by their names here.
    imports: BTreeMap<String, Name>,
    /// Paths that it mentions.
    mentions: BTreeSet<Name>,
}

impl Modules {
    /// Reads a crate, whose root is this file. Tests are left out.
    pub fn of(root: &Path) -> Outcome<Modules> {
        let mut modules = Modules {
            modules: BTreeMap::new(),
        };
        modules.read(Vec::new(), root)?;
        Ok(modules)
    }

    fn read(&mut self, name: Name, file: &Path) -> Outcome {
        let text = fs::read_to_string(file).map_err(about(file))?;
        let parsed = syn::parse_file(&text).map_err(about(file))?;
        self.add(name, file, parsed.items)
    }

    fn add(&mut self, name: Name, file: &Path, items: Vec<Item>) -> Outcome {
        let mut module = Module {
            file: file.to_owned(),
            ..Module::default()
        };
        for item in items {
            match item {
                Item::Mod(child) if !is_test(&child.attrs) => {
                    self.add_child(&name, file, child)?;
                }
                Item::Mod(_) => {}
                item => Reader(&mut module).visit_item(&item),
            }
        }
        self.modules.insert(name, module);
        Ok(())
    }

    fn add_child(&mut self, parent: &Name, file: &Path, child: ItemMod) -> Outcome {
        let own = child.ident.to_string();
        let mut name = parent.clone();
        name.push(own.clone());
        if let Some((_, items)) = child.content {
            // A module within a file is a room of its own: generated bindings, for instance.
            return self.add(name, &file.join(own), items);
        }
        let is_path = |attribute: &Attribute| attribute.path().is_ident("path");
        if child.attrs.iter().any(is_path) {
            return Ok(());
        }
        let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
            Some("lib" | "main" | "mod") | None => file.with_file_name(""),
            Some(_) => file.with_extension(""),
        };
        let beside = folder.join(&own).with_extension("rs");
        match beside.exists() {
            true => self.read(name, &beside),
            false => self.read(name, &folder.join(&own).join("mod.rs")),
        }
    }

    /// The module that defines the item of a path, as the module `from` sees it.
    fn resolve(&self, from: &Name, path: &[String], depth: usize) -> Option<&Module> {
        let (first, rest) = path.split_first()?;
        let mut at = from.clone();
        let mut rest = rest;
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
                while let Some((next, further)) = rest.split_first().filter(|(n, _)| *n == "super")
                {
                    let _ = next;
                    at.pop();
                    rest = further;
                }
            }
            _ => {
                let mut child = at.clone();
                child.push(first.clone());
                if !self.modules.contains_key(&child) {
                    let import = self.modules.get(&at)?.imports.get(first)?;
                    let mut path = import.clone();
                    path.extend_from_slice(rest);
                    return (depth < 8).then(|| self.resolve(from, &path, depth + 1))?;
                }
                at = child;
            }
        }
        while let Some((next, further)) = rest.split_first() {
            at.push(next.clone());
            if !self.modules.contains_key(&at) {
                at.pop();
                // A name that the module took from elsewhere to hand it on.
                let module = self.modules.get(&at)?;
                return match module.imports.get(next) {
                    Some(import) if depth < 8 => self.resolve(&at, import, depth + 1),
                    _ => Some(module),
                };
            }
            rest = further;
        }
        self.modules.get(&at)
    }

    /// The files that import from one another in a circle, a line for each circle.
    pub fn circles(&self) -> Vec<String> {
        let mut arrows: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for (name, module) in &self.modules {
            let mentions = module.imports.values().chain(&module.mentions);
            for found in mentions.filter_map(|path| self.resolve(name, path, 0)) {
                if found.file != module.file {
                    arrows.entry(&module.file).or_default().insert(&found.file);
                }
            }
        }
        let reached = |from: &Path| {
            let mut reached = BTreeSet::new();
            let mut open = vec![from];
            while let Some(file) = open.pop() {
                for next in arrows.get(file).into_iter().flatten() {
                    if reached.insert(*next) {
                        open.push(next);
                    }
                }
            }
            reached
        };
        let reach: BTreeMap<_, _> = arrows.keys().map(|file| (*file, reached(file))).collect();
        let mut circles = BTreeSet::new();
        for (file, others) in &reach {
            if others.contains(file) {
                let is_back = |other: &&&Path| reach.get(**other).is_some_and(|r| r.contains(file));
                let members: Vec<_> = others.iter().filter(is_back).collect();
                let shown = members.iter().map(|file| {
                    let file = file.strip_prefix(workspace()).unwrap_or(file);
                    file.display().to_string()
                });
                circles.insert(shown.collect::<Vec<_>>().join(", "));
            }
        }
        circles.into_iter().collect()
    }
}

/// Whether an item is for tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

/// Notes the imports and the mentions of a module.
struct Reader<'a>(&'a mut Module);

impl Reader<'_> {
    fn import(&mut self, mut path: Name, tree: &UseTree) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.import(path, &step.tree);
            }
            UseTree::Name(name) if name.ident == "self" => {
                if let Some(own) = path.last().cloned() {
                    self.0.imports.insert(own, path);
                }
            }
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.0.imports.insert(name.ident.to_string(), path);
            }
            UseTree::Rename(renamed) => {
                path.push(renamed.ident.to_string());
                self.0.imports.insert(renamed.rename.to_string(), path);
            }
            UseTree::Glob(_) => {
                self.0.mentions.insert(path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(path.clone(), tree);
                }
            }
        }
    }
}

impl<'a> Visit<'a> for Reader<'_> {
    fn visit_item_use(&mut self, item: &'a ItemUse) {
        self.import(Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        let names: Name = names.collect();
        if names.len() > 1 {
            self.0.mentions.insert(names);
        }
        visit::visit_path(self, path);
    }
}
