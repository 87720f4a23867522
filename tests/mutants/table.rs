//! The mutants: the change that each makes to the source, and the test that catches it.

/// A deliberate fault in a copy of the source.
pub struct Mutant {
    /// The name of the mutant.
    pub name: &'static str,
    /// The fault of the changed code.
    pub fault: &'static str,
    /// The changed file.
    pub file: &'static str,
    /// Pairs of a text that occurs once in the file, and the text that replaces it.
    pub edits: &'static [(&'static str, &'static str)],
    /// The test that fails, in `tests/disk`.
    pub caught_by: &'static str,
}

const CRASH_FULL: &str = "crashes::full_durability_survives_every_crash_point";
const CRASH_ATOMIC: &str = "crashes::atomic_durability_stays_whole_at_every_crash_point";
const SECOND_CRASH: &str = "crashes::full_durability_survives_crashes_after_crashes";
const RACES: &str = "interleavings::every_race_is_explained_by_one_order";
const FLIPS: &str = "damage::any_flipped_byte_of_a_snapshot_is_survived_with_an_exact_count";
const FLIPS_OF_CHANGES: &str =
    "damage::any_flipped_byte_of_changes_is_survived_and_brings_nothing_back";
const FAILING_CALLS: &str = "failing_calls::whichever_call_fails_an_operation_is_done_or_not_done";
const SHORT_CALLS: &str = "failing_calls::short_reads_and_writes_are_gone_on_with";
const MODEL: &str = "contract::full::any_sequence_of_calls_gives_what_a_model_gives";

const DUPLICATES: &str =
    "bulk::the_last_of_several_entries_with_one_key_counts_whatever_lies_between_them";
const SHARES: &str = "bulk::changes_of_very_many_keys_are_each_given_once_and_as_they_are_now";

/// All mutants.
pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "no-sync-data",
        fault: "publishes a file that is not synced",
        file: "src/folder/publish.rs",
        edits: &[(
            "Durability::Full => file.sync_data(),",
            "Durability::Full => Ok(()),",
        )],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "draft-unsynced",
        fault: "publishes a file that was written piece by piece and is not synced",
        file: "src/folder/draft.rs",
        edits: &[("                file.sync_data()?;\n", "")],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "no-folder-sync",
        fault: "returns before the new name is synced",
        file: "src/folder/publish.rs",
        edits: &[("                    folder.sync()?;\n", "")],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "no-parent-sync",
        fault: "publishes the first version in a folder whose name is not synced",
        file: "src/store.rs",
        edits: &[(
            "                    self.root.sync()?;\n                }\n                // A file",
            "                }\n                // A file",
        )],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "built-on-unsynced",
        fault: "publishes changes on top of a version whose name may not be synced",
        file: "src/folder/publish.rs",
        edits: &[(
            "        false => folder.sync(),\n",
            "        false => Ok(()),\n",
        )],
        caught_by: "crashes::changes_never_outlast_the_version_that_they_build_upon",
    },
    Mutant {
        name: "pipe-opened",
        fault: "opens the folder of a cache without a check of its type",
        file: "src/folder/dir.rs",
        edits: &[(
            "            Some(_) => return Err(failed(ErrorCode::NotDirectory)),\n",
            "            Some(_) => {}\n",
        )],
        caught_by: "hostile::foreign::what_is_no_folder_is_an_error_in_the_place_of_a_cache",
    },
    Mutant {
        name: "publish-before-write",
        fault: "names the version before its file is written",
        file: "src/folder/publish.rs",
        edits: &[(
            "        let temporary = temporary()?;\n        let linked = link(folder, setting, &temporary, target);\n",
            "        let early = folder.create(TEMPORARY)?;\n        let linked = link(folder, setting, early.name(), target);\n        let temporary = temporary()?;\n        if let Some(file) = folder.open(&temporary)? {\n            early.write(&file.read_all()?, 0)?;\n            early.sync_data()?;\n        }\n        folder.remove(early.name())?;\n",
        )],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "delete-before-sync",
        fault: "deletes superseded versions before the name of the snapshot is synced",
        file: "src/folder/publish.rs",
        edits: &[(
            "                    folder.sync()?;\n",
            "                    if target == Target::Next {\n                        delete_superseded(folder, 0, version, 0)?;\n                    }\n                    folder.sync()?;\n",
        )],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "delete-before-publish",
        fault: "deletes the newest version before it publishes the next",
        file: "src/store.rs",
        edits: &[(
            "        let Some(version) = self.publish(folder, durability",
            "        delete_superseded(folder, 0, u64::MAX, 0)?;\n        let Some(version) = self.publish(folder, durability",
        )],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "legacy-deleted-first",
        fault: "deletes the legacy file before it publishes",
        file: "src/store.rs",
        edits: &[(
            "        let Some(version) = self.publish(folder, durability",
            "        self.remove_legacy();\n        let Some(version) = self.publish(folder, durability",
        )],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "clear-only-deletes",
        fault: "clears by deleting, without an empty snapshot",
        file: "src/store.rs",
        edits: &[(
            "file.write(&empty, 0);\n                let published = publish(\n",
            "file.write(&empty, 0);\n                let never = |_: &Dir, _, _, _, _, _: &mut dyn FnMut() -> _| Ok(Some(u64::MAX));\n                let published = never(\n",
        )],
        caught_by: SECOND_CRASH,
    },
    Mutant {
        name: "index-beside-its-blocks",
        fault: "writes an index into the sector of its last block",
        file: "src/format/header.rs",
        edits: &[("        _ => GAP,\n", "        _ => 0,\n")],
        caught_by: "damage::one_damaged_sector_costs_the_entries_of_its_blocks_and_no_others",
    },
    Mutant {
        name: "damaged-version-recovered",
        fault: "goes back to a version that is damaged",
        file: "src/recovery.rs",
        edits: &[(
            "        Some(chain) if !chain.is_whole()? => Err(not_there(number)),\n",
            "",
        )],
        caught_by: "recovery::a_version_that_is_missing_or_damaged_is_refused_and_nothing_changes",
    },
    Mutant {
        name: "clear-undone",
        fault: "goes back to an earlier version on top of a clear",
        file: "src/recovery.rs",
        edits: &[("Target::Only(listing.next()?)", "Target::Next")],
        caught_by: "recovery::going_back_undoes_no_clear_and_no_save_that_comes_between",
    },
    Mutant {
        name: "cut-short-is-whole",
        fault: "takes a file that is cut short behind a frame for whole",
        file: "src/folder/chain.rs",
        edits: &[(
            "damage.part == Part::Block && damage.length == 0",
            "damage.part != Part::Header && damage.length == 0",
        )],
        caught_by: "recovery::a_version_whose_file_is_cut_short_anywhere_is_not_whole",
    },
    Mutant {
        name: "compaction-deletes-its-base",
        fault: "deletes the snapshot that compacted changes build on",
        file: "src/store.rs",
        edits: &[(
            "delete_superseded(folder, base, version, MOST_COMPACTED)?;",
            "delete_superseded(folder, 0, version, MOST_COMPACTED)?;",
        )],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "compaction-covers-itself",
        fault: "says that compacted changes cover one version",
        file: "src/store.rs",
        edits: &[("covers: version - base,", "covers: 1,")],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "compaction-forgets-removals",
        fault: "leaves removals out of compacted changes",
        file: "src/records/compact.rs",
        edits: &[(
            "if stream.is_newest(record.key)? && (rebased.put.is_some() || kind != Kind::Snapshot) {",
            "if stream.is_newest(record.key)? && rebased.put.is_some() {",
        )],
        caught_by: "contract::full::hundreds_of_applies_add_up",
    },
    Mutant {
        name: "temporaries-left",
        fault: "leaves its temporary behind",
        file: "src/folder/publish.rs",
        edits: &[(
            "        let _ = folder.remove(&temporary);\n        match linked? {",
            "        match linked? {",
        )],
        caught_by: FAILING_CALLS,
    },
    Mutant {
        name: "temporaries-never-reaped",
        fault: "never reaps stale temporaries",
        file: "src/folder/publish.rs",
        edits: &[(
            "let age = time.abs_diff(clock::wall_now());",
            "let age = time & 0;",
        )],
        caught_by: CRASH_FULL,
    },
    Mutant {
        name: "atomic-takes-torn",
        fault: "with atomic durability, reads the newest version even if it is torn",
        file: "src/folder/chain.rs",
        edits: &[(
            "next = match published.is_synced || published.is_intact()? {",
            "next = match true {",
        )],
        caught_by: CRASH_ATOMIC,
    },
    Mutant {
        name: "atomic-first-unsynced",
        fault: "with atomic durability, does not sync the first save",
        file: "src/store.rs",
        edits: &[(
            "let few = 1..=MOST_SUPERSEDED;",
            "let few = 0..=MOST_SUPERSEDED;",
        )],
        caught_by: CRASH_ATOMIC,
    },
    Mutant {
        name: "atomic-deletes-unsynced",
        fault: "with atomic durability, deletes versions that an unsynced snapshot supersedes",
        file: "src/store.rs",
        edits: &[(
            "        if durability == Durability::Full {\n            // The cache is saved",
            "        if true {\n            // The cache is saved",
        )],
        caught_by: CRASH_ATOMIC,
    },
    Mutant {
        name: "rename-over",
        fault: "publishes by a rename, and replaces a file that has the name",
        file: "src/folder/dir.rs",
        edits: &[(
            "match self\n            .descriptor\n            .link_at(PathFlags::empty(), old, &self.descriptor, new)\n",
            "match self\n            .descriptor\n            .rename_at(old, &self.descriptor, new)\n",
        )],
        caught_by: RACES,
    },
    Mutant {
        name: "taken-is-published",
        fault: "treats the version of another writer as its own",
        file: "src/folder/dir.rs",
        edits: &[(
            "Err(ErrorCode::Exist) => Ok(Linked::Taken),",
            "Err(ErrorCode::Exist) => Ok(Linked::Done),",
        )],
        caught_by: RACES,
    },
    Mutant {
        name: "no-fence",
        fault: "deletes versions while other writers work",
        file: "src/folder/publish.rs",
        edits: &[(
            "match writing.is_empty() {\n        true => remove_versions",
            "match true {\n        true => remove_versions",
        )],
        caught_by: "concurrency::whatever_comes_between_two_calls_of_a_save_comes_before_or_after_it",
    },
    Mutant {
        name: "compaction-anywhere",
        fault: "publishes compacted changes above changes that the compaction did not read",
        file: "src/folder/publish.rs",
        edits: &[(
            "Target::Only(only) => only == version,",
            "Target::Only(_) => true,",
        )],
        caught_by: RACES,
    },
    Mutant {
        name: "one-listing",
        fault: "does not list the folder again after it has opened the files",
        file: "src/folder/chain.rs",
        edits: &[(
            "            let after = Listing::of(folder)?;\n            let unchanged = after.versions == before.versions && after.is_current(folder)?;\n",
            "            let after = Listing::default();\n            let unchanged = true;\n",
        )],
        caught_by: "concurrency::whatever_comes_between_two_calls_of_a_load_it_gives_one_version",
    },
    Mutant {
        name: "block-unchecked",
        fault: "does not check the checksums of blocks",
        file: "src/format/read.rs",
        edits: &[(
            "split_frame(&bytes).filter(|frame| frame.holds(seed));",
            "split_frame(&bytes).filter(|_| seed != 1);",
        )],
        caught_by: FLIPS,
    },
    Mutant {
        name: "salvaged-block-unchecked",
        fault: "does not check the checksums of salvaged blocks",
        file: "src/format/read.rs",
        edits: &[(
            "            && xxh3_64_with_seed(block, block_seed(self.header.id, start)) == entry.sum\n",
            "            && block_seed(self.header.id, start) != entry.sum\n",
        )],
        caught_by: FLIPS,
    },
    Mutant {
        name: "header-unchecked",
        fault: "does not check the checksum of the header",
        file: "src/format/header.rs",
        edits: &[(
            "        .filter(|frame| frame.holds(header_seed(version)))\n",
            "",
        )],
        caught_by: "damage::a_header_and_a_directory_that_are_both_damaged_leave_nothing_to_be_read",
    },
    Mutant {
        name: "index-unchecked",
        fault: "does not check the checksum of an index",
        file: "src/format/segments.rs",
        edits: &[(
            "            .filter(|frame| frame.holds(index_seed(id, start)))\n",
            "",
        )],
        caught_by: FLIPS,
    },
    Mutant {
        name: "directory-unchecked",
        fault: "does not check the checksum of the directory",
        file: "src/format/segments.rs",
        edits: &[(
            "        .filter(|frame| frame.holds(directory_seed(version, offset)))?;\n",
            "        .filter(|_| offset > 0)?;\n",
        )],
        caught_by: FLIPS,
    },
    Mutant {
        name: "missing-uncounted",
        fault: "does not count the lost entries if an index and a block of it are damaged",
        file: "src/format/read.rs",
        edits: &[(
            "(puts > 0 || removes > 0).then_some(Piece::Missing",
            "false.then_some(Piece::Missing",
        )],
        caught_by: "damage::a_block_that_is_damaged_with_its_index_is_counted",
    },
    Mutant {
        name: "header-left-blank",
        fault: "does not write the totals to the header of a large file",
        file: "src/format/encode.rs",
        edits: &[(
            "            _ => sink.write(0, &head)?,\n",
            "            _ => {}\n",
        )],
        caught_by: "bulk::a_snapshot_of_several_segments_is_whole_from_its_beginning_to_its_end",
    },
    Mutant {
        name: "segment-begun-early",
        fault: "treats an index as the first block of the next segment",
        file: "src/format/encode.rs",
        edits: &[(
            "        self.segment = self.offset();\n",
            "        self.segment = offset;\n",
        )],
        caught_by: "bulk::a_snapshot_of_several_segments_is_whole_from_its_beginning_to_its_end",
    },
    Mutant {
        name: "duplicates-kept",
        fault: "publishes batches without deduplication",
        file: "src/records/deduplicate.rs",
        edits: &[(
            "    if replaced.is_empty() && header.removes == 0 {",
            "    if replaced.is_empty() || header.removes < u64::MAX {",
        )],
        caught_by: DUPLICATES,
    },
    Mutant {
        name: "first-of-batches-counts",
        fault: "keeps the first entry of a key that is in several batches",
        file: "src/records/deduplicate.rs",
        edits: &[(
            "                        replaced.set(*last, count)?;\n                        *last = at;\n",
            "                        replaced.set(at, count)?;\n                        let _ = last;\n",
        )],
        caught_by: DUPLICATES,
    },
    Mutant {
        name: "stale-draft-not-copied",
        fault: "copies nothing of a draft that another writer removed",
        file: "src/folder/draft.rs",
        edits: &[(
            "            while offset < self.size {\n",
            "            while offset > self.size {\n",
        )],
        caught_by: "bulk::a_part_that_is_removed_before_it_is_committed_is_copied",
    },
    Mutant {
        name: "share-skipped",
        fault: "merges all shares of the keys except the last",
        file: "src/records/stream.rs",
        edits: &[(
            "        let is_left = self.shares_left > 0;\n",
            "        let is_left = self.shares_left > 1;\n",
        )],
        caught_by: SHARES,
    },
    Mutant {
        name: "share-of-everything",
        fault: "counts every key in every share",
        file: "src/records/merge.rs",
        edits: &[(
            "        self.of <= 1 || hash % self.of == self.number\n",
            "        self.of <= 1 || hash % self.of < self.of\n",
        )],
        caught_by: SHARES,
    },
    Mutant {
        name: "lost-keys-forgotten",
        fault: "returns older values if newer ones are damaged",
        file: "src/records/merge.rs",
        edits: &[(
            "Ok(is_newest && (!self.is_lossy || self.settle(key_hash(key))?))",
            "Ok(is_newest)",
        )],
        caught_by: FLIPS_OF_CHANGES,
    },
    Mutant {
        name: "short-write-taken",
        fault: "treats a short write as complete",
        file: "src/folder/dir.rs",
        edits: &[(
            "Some(rest) if written > 0 => rest,",
            "Some(_) if written > 0 => &[],",
        )],
        caught_by: SHORT_CALLS,
    },
    Mutant {
        name: "short-read-taken",
        fault: "treats a short read as the end of the file",
        file: "src/folder/dir.rs",
        edits: &[(
            "            if read == 0 {\n",
            "            if read < READ_BYTES.min(end - offset) {\n",
        )],
        caught_by: SHORT_CALLS,
    },
    Mutant {
        name: "failed-sync-ignored",
        fault: "continues if the sync of a file fails",
        file: "src/folder/dir.rs",
        edits: &[(
            "            .map_err(|code| error(\"syncing\", &self.name, code))\n",
            "            .or(Ok(()))\n",
        )],
        caught_by: FAILING_CALLS,
    },
    Mutant {
        name: "full-disk-unnamed",
        fault: "reports a full disk as another error",
        file: "src/folder/dir.rs",
        edits: &[(
            "ErrorCode::InsufficientSpace | ErrorCode::Quota => Error::NoSpace,",
            "ErrorCode::InsufficientSpace | ErrorCode::Quota => Error::Other(reason()),",
        )],
        caught_by: FAILING_CALLS,
    },
    Mutant {
        name: "clock-trusted",
        fault: "trusts a wall clock that was set back",
        file: "src/clock.rs",
        edits: &[("None if saved_at - now > MOST_AHEAD => return None,\n", "")],
        caught_by: "contract::full::a_wall_clock_set_back_far_lengthens_no_ttl_by_more_than_a_minute",
    },
    Mutant {
        name: "conditions-of-an-older-version",
        fault: "makes changes under conditions on top of a version that it did not look at",
        file: "src/store.rs",
        edits: &[(
            "false => Target::Only(base.version().saturating_add(1)),",
            "false => Target::OnTop(base.version()),",
        )],
        caught_by: "concurrency::a_condition_that_another_breaks_meanwhile_does_not_hold",
    },
    Mutant {
        name: "page-unchecked",
        fault: "does not check the checksum of a page of a table",
        file: "src/format/table.rs",
        edits: &[(
            "            && xxh3_64_with_seed(rest, seed(self.id, start)) == u64::from_le_bytes(*sum);",
            "            && (*sum != [0; 8] || rest.is_empty());",
        )],
        caught_by: "look_ups::a_damaged_table_loses_nothing",
    },
    Mutant {
        name: "lost-key-shows-an-older-value",
        fault: "looks a key up in older files if its block is damaged",
        file: "src/format/place.rs",
        edits: &[("puts: self.hashes,", "puts: Vec::new(),")],
        caught_by: "look_ups::a_lost_change_of_a_large_file_shows_no_older_value",
    },
    Mutant {
        name: "rename-without-need",
        fault: "publishes by a rename if one link fails",
        file: "src/folder/dir.rs",
        edits: &[(
            "Err(ErrorCode::Io) if !self.can_link(old)? =>",
            "Err(ErrorCode::Io) =>",
        )],
        caught_by: "file_system::a_link_that_fails_although_hard_links_work_is_no_reason_to_rename",
    },
    Mutant {
        name: "first-duplicate-counts",
        fault: "keeps the first entry of a key",
        file: "src/records/keys.rs",
        edits: &[(
            "keys.iter().rev().map(is_last).collect();\n    last.reverse();",
            "keys.iter().map(is_last).collect();\n    last.rotate_left(0);",
        )],
        caught_by: MODEL,
    },
];
