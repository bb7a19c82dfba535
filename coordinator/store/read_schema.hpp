// Tables of the read model. They hold nothing that the log does not: a new version is a new number here, and the file
// is made again from the log. Thread: constants.
#pragma once

#include <cstdint>

namespace fathom::store {

inline constexpr std::int64_t kReadModelId = 0x4654524D;  // "FTRM"
inline constexpr std::int64_t kReadModelVersion = 7;

// jobs: what lists show, one row a job; a sweep's jobs are numbers without a gap. What lists filter and sort by stands
// in front, since a row is read only as far as it has to be. `state` is the REST word. `changed` is the seq of the last
// event about the row (0 for a job that only its submit made), so that a stream can go on from any seq. `source`: the
// job whose result it took instead of being trained. `set` and `drop` are SQL words, hence set_label and drop_label.
// `result_seq`: the event that has its result and files (0: none), with the attempt that made it, the hash of its
// weights and how many rows of the result table are in it. `history`: job_history.hpp; job_events: older parts of a
// long one, by the first event in them. jobs_rare: states in which few jobs are at a time (of a condition
// with IN over three values SQLite makes a table with each change of a row; queries repeat these to the letter).
// counts: jobs by state, kept with each change, so that no list of sweeps ever counts. sweeps.submitted: seq of the
// event that made it. Its texts stand there alone: megabytes where all points are written out, they would be written
// again with each change of the row. job_settings: of jobs that have needs, or whose settings are completed or changed
// while it runs; of all others (and where `settings` is NULL) they stand in the plan.
inline constexpr const char* kReadSchema = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sweeps(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, file TEXT, state TEXT NOT NULL, cause TEXT,
  created INTEGER, ended INTEGER, jobs INTEGER NOT NULL, first_job INTEGER NOT NULL, priority INTEGER, weight INTEGER, limits TEXT, goal TEXT,
  tasks TEXT, stages TEXT, notes TEXT, changed INTEGER NOT NULL, reused INTEGER NOT NULL DEFAULT 0,
  submitted INTEGER NOT NULL, recipe TEXT, precision TEXT);
CREATE INDEX sweeps_changed ON sweeps(changed);
CREATE TABLE counts(sweep INTEGER, stage TEXT, state TEXT, n INTEGER NOT NULL, PRIMARY KEY(sweep, stage, state)) WITHOUT ROWID;
CREATE TABLE jobs(
  number INTEGER PRIMARY KEY, sweep INTEGER NOT NULL, state TEXT NOT NULL, stage TEXT, task TEXT, drop_label TEXT, seed INTEGER,
  objective REAL, epoch INTEGER DEFAULT 0, attempts INTEGER DEFAULT 0, started INTEGER, ended INTEGER, worker INTEGER,
  device TEXT DEFAULT '', set_label TEXT, keep INTEGER, step INTEGER DEFAULT 0, attempt INTEGER DEFAULT 0, id TEXT NOT NULL, kind TEXT,
  parameters TEXT, epochs INTEGER, cause TEXT DEFAULT '', generation INTEGER DEFAULT 1, source INTEGER, pinned INTEGER DEFAULT 0,
  changed INTEGER NOT NULL DEFAULT 0, result_generation INTEGER DEFAULT 0, result_attempt INTEGER DEFAULT 0,
  result_seq INTEGER DEFAULT 0, result_rows INTEGER DEFAULT 0, stats TEXT, sha256 TEXT DEFAULT '', history TEXT DEFAULT '');
CREATE INDEX jobs_id ON jobs(id, sweep);
CREATE INDEX jobs_rare ON jobs(sweep, state) WHERE state <> 'blocked' AND state <> 'ready' AND state <> 'succeeded';
CREATE INDEX jobs_changed ON jobs(changed) WHERE changed > 0;
CREATE INDEX jobs_active ON jobs(worker, device) WHERE state = 'leased' OR state = 'running' OR state = 'stopping';
CREATE TABLE job_settings(number INTEGER PRIMARY KEY, settings TEXT, needs TEXT, chosen TEXT);
CREATE TABLE job_events(job INTEGER, seq INTEGER, entries TEXT, PRIMARY KEY(job, seq)) WITHOUT ROWID;
CREATE TABLE workers(
  number INTEGER PRIMARY KEY, uid TEXT, name TEXT, state TEXT, devices TEXT, joined INTEGER, changed INTEGER);
)sql";

}  // namespace fathom::store
